#include "executor/executor_impl.hpp"
#include "files/safe_files.hpp"
#include "handoff/claims.hpp"
#include "handoff/offers.hpp"
#include "protocol/control_files.hpp"
#include "protocol/layout.hpp"
#include "redaction/agent_text.hpp"
#include "text/text.hpp"

#include <boost/asio/post.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/json/value_from.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <new>
#include <utility>

/// One attempt: publish, wait, classify the end, and stop the agent if it is still running.
namespace autoexec::inline v1 {
namespace {

using std::chrono::milliseconds;

// A file that cannot be removed prevents writing.
std::string obstacles_in(const std::filesystem::path& worktree, const std::string& status_name)
{
    std::string paths;
    for (const auto& name : control_files::paths(status_name)) {
        std::error_code ec;
        const auto path = worktree / name;
        if (!std::filesystem::exists(std::filesystem::symlink_status(path, ec))) continue;
        paths += (paths.empty() ? " Remove " : ", ") + text::printable(path.string());
    }
    return paths.empty() ? paths : paths + '.';
}

std::string folder_instead_of(const std::filesystem::path& status_file)
{
    std::error_code ec;
    if (!std::filesystem::is_directory(std::filesystem::symlink_status(status_file, ec))) return {};
    return " The path of its status file is a folder: remove " +
           text::printable(status_file.string()) + ", or set another status_file_name.";
}

// What a retry adds to the command must not make it too large: the failure is cut, or a new session
// begins.
std::string command_text(protocol::CommandFile file)
{
    auto text = protocol::format_command(file);
    while (text.size() > protocol::command_file_limit && !file.session.empty()) {
        if (file.failure.empty()) file.session.clear();
        file.failure = text::head(file.failure, file.failure.size() / 2);
        text = protocol::format_command(file);
    }
    return text;
}

}  // namespace

AttemptEnd failed_end(Cause cause, std::string code, std::string message)
{
    AttemptEnd end;
    end.facts.cause = cause;
    end.error = CommandError{std::move(message), std::move(code), false, 0};
    return end;
}

Attempt::Attempt(const Execution& x, std::string id, int number, const MonitorOptions& monitoring)
    : execution(x.request),
      attempt_id(std::move(id)),
      attempt(number),
      monitor(*x.mailbox, x.request, attempt_id, monitoring)
{}

/// Returns the same bytes each time for an attempt.
PublishedFiles ExecutorCore::files_of(const Execution& x, const Attempt& a)
{
    const auto& r = x.request;
    protocol::CommandFile file;
    file.ids() = a.ids();
    file.command = r.command;
    file.created_at = a.started_at;
    file.expected_artifacts = r.expected_artifacts;
    file.worktree_path = x.worktree;
    file.agent = x.agent();
    file.argv = r.argv;
    file.env_refs = r.env_refs;
    if (r.environment) {
        file.env = r.environment->variables;
        file.working_directory = r.environment->working_directory;
        file.model = r.environment->model;
    }
    file.deadline_seconds =
        std::chrono::duration<double>(r.timeout.value_or(x.options->timeout)).count();
    const auto left = protocol::left_of(x.limits(), x.spending());
    if (left.max_cost > 0) file.max_cost = left.max_cost;
    if (left.max_tokens > 0) file.max_tokens = left.max_tokens;
    // The agent may continue where the attempt before has ended.
    if (protocol::is_session_id(x.result->session)) {
        file.session = x.result->session;
        if (x.result->error)
            file.failure = x.result->error->message;
        else if (r.resumed_session)
            file.failure = r.resumed_session->failure;
        std::ranges::replace(file.failure, '\0', ' ');  // agents refuse it
    }

    PublishedFiles files;
    files.command = command_text(file);
    files.simple = x.redacted_command();
    files.metadata = protocol::format_metadata(file, x.redacted_command());
    files.attempt_id = a.attempt_id;
    return files;
}

/// Publishes an attempt. The execution then waits for its end.
asio::awaitable<error_code> ExecutorCore::begin_attempt(Execution& x, int number)
{
    x.attempt = std::make_unique<Attempt>(x, text::new_uuid(), number, monitor_options(x));
    auto& a = *x.attempt;
    const auto ec = co_await publish(x, a);
    if (ec || x.refused) {
        x.attempt.reset();
        if (!ec && x.first_published) co_await notify_end(x);
        co_return ec;
    }
    a.times = times_of(x, a);
    const auto start_timeout = x.options->start_timeout;
    if (start_timeout > milliseconds::zero()) a.times.start = a.published + start_timeout;
    co_return error_code{};
}

asio::awaitable<error_code> ExecutorCore::publish(Execution& x, Attempt& a)
{
    a.started_at = options.clock->system_now();
    const auto files = files_of(x, a);
    if (files.command.size() > protocol::command_file_limit)
        co_return fail(
            x, errc::command_too_large,
            fmt::format("The command file would have {} bytes; agents read at most {}. Put the "
                        "text into a file in the worktree and refer to that file in the command.",
                        files.command.size(), protocol::command_file_limit));

    if (a.attempt == 1 && x.redacted && x.options->secrets_in_command == SecretsInCommand::warn) {
        x.result->warnings.emplace_back(
            "The command text contains a secret; use a variable in env_refs instead.");
        co_await emit_and_drain(event(x, a, EventType::secret_in_command));
    }

    bool has_start = false;  // in the records
    auto ec = x.mailbox->prepare();
    if (!ec) {
        a.monitor.remember();
        ec = co_await record_baseline(x);
        if (ec) co_return ec;
        announce_running(x, a);
        if (x.options->strict_audit && options.audit) has_start = co_await record_start_first(x, a);
        if (x.refused) co_return error_code{};
        ec = x.mailbox->publish(files, options.durability);
    }
    if (ec) {
        (void)x.mailbox->clean(a.attempt_id, false);
        forget_running(a);
        const auto code =
            fail(x, ec,
                 fmt::format("Cannot publish the command in the worktree '{}': {}.{}", x.worktree,
                             ec.message(), obstacles_in(x.worktree, options.status_file_name)));
        if (has_start) emit_not_started(x, a);
        co_return code;
    }
    a.published = options.clock->now();
    record_published(x, a);
    options.notifier->notify(x.worktree);

    if (!has_start) {
        co_await emit_and_drain(detected_event(x, a));
        co_await emit_and_drain(event(x, a, EventType::execution_started));
    }
    co_return error_code{};
}

void ExecutorCore::record_published(Execution& x, const Attempt& a)
{
    if (!x.first_published) x.first_published = a.published;
    x.attempts = a.attempt;
}

// A later attempt continues the work of the first one, so artifacts of that one count.
asio::awaitable<error_code> ExecutorCore::record_baseline(Execution& x)
{
    if (x.request.expected_artifacts.empty()) co_return error_code{};
    auto now = baseline_of(*x.mailbox, x.request.expected_artifacts);
    auto& baseline = x.request.artifact_baseline;
    if (!baseline) baseline.emplace();
    const auto known = baseline->size();
    baseline->merge(now);  // an existing baseline is not changed
    const auto& on_baseline = x.hooks().on_baseline;
    if (!on_baseline || baseline->size() == known) co_return error_code{};
    error_code ec;
    std::string problem;
    try {
        auto notified = on_baseline(*baseline);
        co_await std::move(notified);
    } catch (const system_error& e) {
        ec = e.code();
        problem = e.what();
    } catch (const std::exception& e) {
        ec = make_error_code(boost::system::errc::operation_canceled);
        problem = e.what();
    }
    if (ec)
        (void)fail(x, ec, fmt::format("Cannot record the baseline of the artifacts: {}", problem));
    co_return ec;
}

error_code ExecutorCore::write_running(const Execution& x, Attempt& a)
{
    protocol::RunningRecord record;
    record.ids() = a.ids();
    record.command = x.redacted_command();
    record.worktree = x.worktree;
    record.started_at = a.started_at;
    record.agent = x.agent();
    if (x.request.artifact_baseline) record.artifacts = *x.request.artifact_baseline;
    if (a.question) record.waiting_for = a.question->shown;
    const auto& prompts = a.prompts.get();
    if (prompts.accepted) record.prompts_taken = prompts.taken;
    record.taken_prompts.assign(prompts.taken_ids.begin(), prompts.taken_ids.end());
    record.pid = handoff::process_id();
    const auto ec = running_records.put(record);
    a.has_record |= !ec;
    return ec;
}

void ExecutorCore::announce_running(Execution& x, Attempt& a)
{
    if (const auto ec = write_running(x, a); ec && a.attempt == 1)
        x.result->warnings.push_back(fmt::format("Cannot record the running attempt in '{}': {}.",
                                                 (options.project_root / layout::running).string(),
                                                 ec.message()));
    withdraw_retry(x);
}

void ExecutorCore::forget_running(Attempt& a)
{
    if (std::exchange(a.has_record, false)) running_records.remove(a.attempt_id);
}

/// So that other processes do not take an execution between two attempts for ended.
void ExecutorCore::announce_retry(Execution& x, Attempt& a)
{
    if (std::exchange(a.has_record, false) && running_records.announce_retry(a.attempt_id))
        x.announced_retry = std::make_unique<std::string>(a.attempt_id);
}

// Without memory, the note is left until the executor has ended.
void ExecutorCore::withdraw_retry(Execution& x) noexcept
try {
    if (const auto attempt_id = std::move(x.announced_retry))
        running_records.withdraw_retry(*attempt_id);
} catch (const std::bad_alloc&) {
}

/// Ends the attempt and, if it may be tried again, begins another one.
asio::awaitable<error_code> ExecutorCore::end_attempt(Execution& x)
{
    auto& a = *x.attempt;
    co_await drain();
    if (a.question) end_question(x, a);
    if (a.end->facts.cause != Cause::reported && a.end->facts.cause != Cause::artifacts &&
        !x.read_only)
        co_await stop_agent(x, a);
    a.changes.reset();
    if (x.read_only) {
        fill_result(x, a);
        x.attempt.reset();
        co_return error_code{};
    }
    const auto next = a.attempt + 1;
    const bool again = co_await finish(x);
    if (!again) co_return error_code{};
    co_return co_await begin_attempt(x, next);
}

void ExecutorCore::classify(Execution& x, Attempt& a, const Observation& observation)
{
    switch (observation.kind) {
        case Observation::Kind::final_status:
            classify_status(x, a);
            break;
        case Observation::Kind::artifacts_ready:
            a.end->status = ExecutionStatus::completed;
            a.end->facts.cause = Cause::artifacts;
            x.result->completion_method = CompletionMethod::artifact_detection;
            break;
        case Observation::Kind::status_too_large:
            a.end = failed_end(Cause::broken, "status_too_large",
                               "Cannot read the status file: " + a.monitor.problem() + ".");
            break;
        case Observation::Kind::agent_lost: {
            if (agent_lacks_resources(a.attempt_id)) {
                a.end = failed_end(Cause::agent_lost, error_codes::no_resources, too_few_resources);
                break;
            }
            a.end = failed_end(Cause::agent_lost, "agent_lost",
                               "The agent ended without reporting a result." +
                                   folder_instead_of(x.worktree + '/' + options.status_file_name) +
                                   worktree_problem(x.worktree));
            auto lost = event(x, a, EventType::agent_lost);
            lost.details["claim"] = a.monitor.claim() == ClaimState::free ? "free" : "silent";
            emit(lost);
            break;
        }
        case Observation::Kind::worktree_lost:
            a.end =
                failed_end(Cause::broken, "worktree_lost",
                           fmt::format("The worktree '{}' was removed or replaced.", x.worktree));
            break;
        case Observation::Kind::waiting:
            break;
    }
}

// The agent cannot write its status if the worktree is not writable.
std::string ExecutorCore::worktree_problem(const std::filesystem::path& tree)
{
    error_code ec;
    std::string problem;
    const auto again = open_mailbox(tree, ec, problem);
    return again || files::is_resource_shortage(ec) ? std::string() : " " + problem;
}

void ExecutorCore::classify_status(Execution& x, Attempt& a)
{
    const auto& status = *a.monitor.status();
    auto& end = a.end.edit();
    x.result->completion_method = CompletionMethod::status_file;
    end.facts.cause = Cause::reported;
    end.facts.names_attempt = !status.attempt_id.empty();
    if (status.status == ReportedStatus::completed) {
        end.status = ExecutionStatus::completed;
        return;
    }
    end.error = status.error.value_or(CommandError{});
    end.error->message = agent_text(*options.redactor, end.error->message, max_agent_message);
    end.error->code = agent_text(*options.redactor, end.error->code, max_agent_code);
    if (end.error->message.empty()) end.error->message = "Unknown error";
    end.facts.retryable = end.error->retryable;
    // Another process cancelled the attempt; the agent may react before this executor reads the
    // request.
    const bool requested = records::consume_cancel_request(options.project_root, a.attempt_id);
    const bool cancelled = end.error->code == "cancelled" && (x.is_cancelled() || requested);
    // The agent's own time-out may be shorter.
    const bool out_of_time = end.error->code == "timeout";
    end.status = cancelled     ? ExecutionStatus::cancelled
                 : out_of_time ? ExecutionStatus::timeout
                               : ExecutionStatus::failed;
    if (cancelled) end.facts.cause = Cause::cancelled;
}

asio::awaitable<void> ExecutorCore::stop_agent(Execution& x, Attempt& a)
{
    auto& facts = a.end->facts;
    std::optional<FileStamp> pending;
    if (facts.cause == Cause::deadline && a.monitor.end_is_pending())
        pending = a.monitor.final_file();
    (void)x.mailbox->withdraw(a.attempt_id);
    auto observation = a.monitor.poll(options.clock->now());
    if (a.monitor.started() && facts.cause == Cause::not_started)
        facts.cause = Cause::deadline;  // an agent claimed it meanwhile
    // No agent has it, or the agent does not support cancelling: do not wait.
    if (!a.monitor.started() || !a.monitor.supports_cancel()) co_return;

    const bool is_unwanted = a.end->status == ExecutionStatus::cancelled ||
                             (a.end->error && a.end->error->code == error_codes::input_needed);
    const char* const reason = is_unwanted ? "cancelled" : "timeout";
    auto refused = request_stop(*x.mailbox, a.ids(), reason);
    options.notifier->notify(x.worktree);

    const auto limit = options.clock->now() + x.options->stop_grace + stop_margin;
    facts.stop_confirmed = false;
    for (;;) {
        record_rejections(x, a, observation.rejections);
        if (observation.kind == Observation::Kind::final_status) {
            classify_end_during_stop(x, a, pending);
            // The agent has released its claim, and does not touch the worktree afterwards.
            facts.stop_confirmed = true;
        } else if (a.monitor.claim() == ClaimState::free || !a.monitor.started() ||
                   observation.kind == Observation::Kind::worktree_lost) {
            facts.stop_confirmed = true;  // also if an agent dropped its claim without starting
        }
        const auto now = options.clock->now();
        const bool at_once =
            (x.cancelled & asio::cancellation_type::terminal) != asio::cancellation_type::none;
        if (facts.stop_confirmed || at_once || now >= limit) break;
        co_await x.alarm->wait_until(std::min(now + stop_poll, limit));
        if (!turns.enter()) co_await turns.admission(*x.alarm);
        if (files::is_resource_shortage(refused))
            refused = request_stop(*x.mailbox, a.ids(), reason);
        observation = a.monitor.poll(options.clock->now());
    }
    if (facts.stop_confirmed) co_return;
    x.result->warnings.emplace_back(
        "The agent has not confirmed that it stopped; the worktree stays busy until then.");
    if (!a.monitor.end_is_pending()) co_return;
    const auto reported = a.monitor.status()->status;
    x.result->unreleased_status = reported;
    if (a.end->error)
        a.end->error->message += fmt::format(
            "; its agent reported {}, but has not released its claim", to_string(reported));
}

error_code ExecutorCore::request_stop(Mailbox& mailbox, const Correlation& attempt,
                                      std::string reason) const
{
    protocol::CancelFile cancel;
    cancel.ids() = attempt;
    cancel.reason = std::move(reason);
    cancel.requested_at = options.clock->system_now();
    return mailbox.request_stop(protocol::format_cancel(cancel));
}

// A status that was final before the deadline and is unchanged counts: only its claim was not
// released. Any other status is too late.
void ExecutorCore::classify_end_during_stop(Execution& x, Attempt& a,
                                            const std::optional<FileStamp>& pending)
{
    if (!pending || pending != a.monitor.final_file()) {
        x.result->status_during_stop = a.monitor.status()->status;
        return;
    }
    a.end = AttemptEnd{};
    classify_status(x, a);
}

}  // namespace autoexec::inline v1
