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
#include <utility>

/// One attempt: publish, wait, classify the end, and stop the agent if it is still running.
namespace autoexec::inline v1 {
namespace {

using std::chrono::duration_cast;
using std::chrono::milliseconds;

constexpr milliseconds stop_margin{5000};  // in addition to the agent's own grace
constexpr milliseconds stop_poll{250};
constexpr milliseconds release_poll{
    250};  // from an agent's final status to the release of its claim
constexpr int max_published_again = 10;
// Of all executions that are notified of changes: polling is only their safety net.
constexpr milliseconds between_safety_polls{10};
constexpr milliseconds unclaimed_after{10'000};

constexpr char too_few_resources[] =
    "The agent is out of file descriptors or memory. Run fewer commands at once or raise the limit "
    "(ulimit -n).";

AttemptEnd failed_end(Cause cause, std::string code, std::string message)
{
    AttemptEnd end;
    end.facts.cause = cause;
    end.error = CommandError{std::move(message), std::move(code), false, 0};
    return end;
}

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

std::string seconds(milliseconds d)
{
    return fmt::format("{:g} s", std::chrono::duration<double>(d).count());
}

}  // namespace

Attempt::Attempt(Execution& x, std::string id, int number, const MonitorOptions& monitoring)
    : Correlation{x.request.ids(), std::move(id), number}, monitor(*x.mailbox, *this, monitoring)
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
    file.worktree_path = r.worktree.string();
    file.agent = x.agent();
    file.argv = r.argv;
    file.env_refs = r.env_refs;
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
    files.simple = x.redacted;
    files.metadata = protocol::format_metadata(file, x.redacted);
    files.attempt_id = a.attempt_id;
    return files;
}

asio::awaitable<error_code> ExecutorCore::publish(Execution& x, Attempt& a)
{
    const auto& r = x.request;
    a.started_at = options.clock->system_now();
    const auto files = files_of(x, a);
    if (files.command.size() > protocol::command_file_limit)
        co_return fail(
            x, errc::command_too_large,
            fmt::format("The command file would have {} bytes; agents read at most {}. Put the "
                        "text into a file in the worktree and refer to that file in the command.",
                        files.command.size(), protocol::command_file_limit));

    if (a.attempt == 1 && x.redacted != r.command &&
        x.options->secrets_in_command == SecretsInCommand::warn) {
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
        const auto code = fail(x, ec,
                               fmt::format("Cannot publish the command in the worktree '{}': {}.{}",
                                           r.worktree.string(), ec.message(),
                                           obstacles_in(r.worktree, options.status_file_name)));
        if (has_start) emit_not_started(x, a);
        co_return code;
    }
    a.published = options.clock->now();
    begin(x, a);
    options.notifier->notify(r.worktree);

    if (!has_start) {
        co_await emit_and_drain(detected_event(x, a));
        co_await emit_and_drain(event(x, a, EventType::execution_started));
    }
    co_return error_code{};
}

void ExecutorCore::begin(Execution& x, const Attempt& a)
{
    if (!x.first_published) x.first_published = a.published;
    x.attempt_id = a.attempt_id;
    x.attempts = a.attempt;
}

// A later attempt continues the work of the first one, so artifacts of that one count.
asio::awaitable<error_code> ExecutorCore::record_baseline(Execution& x)
{
    auto now = baseline_of(*x.mailbox, x.request.expected_artifacts);
    if (!x.baseline) x.baseline.emplace();
    const auto known = x.baseline->size();
    x.baseline->merge(now);  // an existing baseline is not changed
    const auto& on_baseline = x.hooks().on_baseline;
    if (!on_baseline || x.baseline->size() == known) co_return error_code{};
    error_code ec;
    std::string problem;
    try {
        auto notified = on_baseline(*x.baseline);
        co_await async::uncancellable(strand, std::move(notified));
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
    record.command = x.redacted;
    record.worktree = x.request.worktree.string();
    record.started_at = a.started_at;
    record.agent = x.agent();
    if (x.baseline) record.artifacts = *x.baseline;
    if (a.question) record.waiting_for = a.question->shown;
    if (a.prompts.accepted) record.prompts_taken = a.prompts.taken;
    record.taken_prompts.assign(a.prompts.taken_ids.begin(), a.prompts.taken_ids.end());
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
}

void ExecutorCore::forget_running(Attempt& a)
{
    if (std::exchange(a.has_record, false)) running_records.remove(a.attempt_id);
}

AttemptTimes ExecutorCore::times_of(const Execution& x, const Attempt& a)
{
    const auto& o = *x.options;
    AttemptTimes times;
    times.deadline = a.published + x.request.timeout.value_or(o.timeout);
    if (o.total_timeout > milliseconds::zero())
        times.deadline = std::min(times.deadline, *x.first_published + o.total_timeout);
    if (o.start_timeout > milliseconds::zero() && !x.adopted)
        times.start = a.published + o.start_timeout;
    if (!x.read_only) times.unclaimed = a.published + unclaimed_after;
    times.give_up = times.deadline + o.stop_grace + stop_margin;
    times.stall_timeout = o.stall_timeout;
    times.last_change = a.published;
    times.next_poll = a.published;
    return times;
}

asio::awaitable<void> ExecutorCore::wait(Execution& x, Attempt& a)
{
    a.times = times_of(x, a);
    auto& times = a.times;
    PollingInterval interval(x.options->polling_interval, x.options->max_polling_interval,
                             x.options->adaptive_polling);
    const auto subscription = wake_on_notice(x);

    for (;;) {
        const auto observation = observe(x, a);
        const auto now = options.clock->now();
        if (observation.changed) {
            interval.reset();
            times.last_change = now;
            record_progress(x, a);
        }
        follow_question(x, a);
        pass_on(x, a);
        co_await drain();
        if (observation.kind != Observation::Kind::waiting) {
            classify(x, a, observation);
            break;
        }
        const auto state = co_await asio::this_coro::cancellation_state;
        if (x.cancel_requested || state.cancelled() != asio::cancellation_type::none) {
            a.end = failed_end(Cause::cancelled, "cancelled", "The command was cancelled.");
            a.end.status = ExecutionStatus::cancelled;
            break;
        }
        if (!a.monitor.started() && x.mailbox->command_replaced() && !publish_again(x, a)) break;
        bool is_poll = true;  // and not woken only for the warning
        if (!a.monitor.started() && now >= times.unclaimed) {
            emit(event(x, a, EventType::command_unclaimed));
            times.unclaimed = time_point::max();
            is_poll = observation.changed || now >= times.next_poll;
        }
        if (now >= times.deadline && a.monitor.shortage() && now < times.give_up) {
            co_await x.alarm->wait_until(std::min(now + stop_poll, times.give_up));
            continue;
        }
        if (is_start_overdue(x, a, now)) {
            if (withdraw(x, a)) {
                a.end = not_started_end(x, a);
                break;
            }
            times.start = now + stop_poll;  // an agent may still drop its claim
            continue;
        }
        if (fails_on_input(x, a) || ends_by_time(x, a, now)) break;
        if (is_poll) {
            const bool notified = is_notified(x, a);
            if (!notified) report_polling(x, a);
            times.next_poll =
                now + (notified ? safety_interval(x) : interval.next(options.random()));
        }
        co_await x.alarm->wait_until(times.next(a.monitor, now));
        const auto earliest = std::min(times.looks.next(options.clock->now()), times.deadline);
        if (options.clock->now() < earliest) co_await wait_for_look(x, earliest);
        if (!turns.enter()) co_await turns.admission(*x.alarm);
    }
    if (a.question) end_question(x, a);
    if (a.end.facts.cause != Cause::reported && a.end.facts.cause != Cause::artifacts &&
        !x.read_only)
        co_await stop_agent(x, a);
}

/// A program that changes its files without a pause does not keep the executor busy.
asio::awaitable<void> ExecutorCore::wait_for_look(Execution& x, time_point earliest)
{
    while (options.clock->now() < earliest && !x.cancel_requested) {
        const auto state = co_await asio::this_coro::cancellation_state;
        if (state.cancelled() != asio::cancellation_type::none) co_return;
        co_await x.alarm->wait_until(earliest);
    }
}

/// True if whatever could end the attempt is notified.
bool ExecutorCore::is_notified(const Execution& x, const Attempt& a) const
{
    if (options.file_events == FileEvents::off) return false;
    const auto coverage = options.notifier->coverage(x.request.worktree);
    // Until it is claimed, a program may replace the command file.
    if (options.agent_in_process && a.monitor.started()) return coverage != Coverage::none;
    const bool by_artifacts =
        x.options->artifact_detection && !x.request.expected_artifacts.empty();
    return coverage == Coverage::all && !by_artifacts;
}

milliseconds ExecutorCore::safety_interval(const Execution& x) const
{
    const auto share = between_safety_polls * static_cast<std::int64_t>(active.size());
    const auto interval = std::max(x.options->max_polling_interval, share);
    // ± 10 %, so that not all come at once.
    return duration_cast<milliseconds>(interval * (0.9 + 0.2 * options.random()));
}

Observation ExecutorCore::observe(Execution& x, Attempt& a)
{
    auto observation = a.monitor.poll(options.clock->now());
    record_rejections(x, a, observation.rejections);
    return observation;
}

Notifier::Subscription ExecutorCore::wake_on_notice(const Execution& x)
{
    return options.notifier->watch(x.request.worktree,
                                   [alarm = std::weak_ptr(x.alarm), core = weak_from_this()] {
                                       const auto self = core.lock();
                                       if (!self) return;
                                       asio::post(self->strand, [alarm] {
                                           if (const auto timer = alarm.lock()) timer->wake();
                                       });
                                   });
}

time_point AttemptTimes::next(const AttemptMonitor& monitor, time_point now) const
{
    auto next = std::min({deadline, next_poll, stall()});
    if (monitor.end_is_pending()) next = std::min(next, now + release_poll);
    if (!monitor.started()) next = std::min({next, start, unclaimed});
    if (awaits_agent) next = std::min(next, now + answered_poll);
    return next;
}

bool ExecutorCore::is_start_overdue(const Execution& x, Attempt& a, time_point now) const
{
    // An unreadable status may belong to an agent that has started.
    if (now >= a.times.start && a.monitor.shortage()) a.times.start = now + stop_poll;
    if (a.monitor.started()) return false;
    return now >= a.times.start || (agent_lacks_resources(a.attempt_id) && !may_get_resources(x));
}

// True if no agent has started the command, and none can any more. Withdrawn first: an agent that
// claims later then finds no command.
bool ExecutorCore::withdraw(Execution& x, Attempt& a)
{
    (void)x.mailbox->withdraw(a.attempt_id);
    return observe(x, a).kind == Observation::Kind::waiting && !a.monitor.started();
}

// Sets the end if a time-out has been reached.
bool ExecutorCore::ends_by_time(const Execution& x, Attempt& a, time_point now) const
{
    if (now >= a.times.deadline && a.monitor.shortage()) {
        a.end = failed_end(Cause::deadline, error_codes::no_resources,
                           fmt::format("The status file could not be read: {}. Run fewer commands "
                                       "at once or raise the limit.",
                                       a.monitor.shortage().message()));
    } else if (now >= a.times.deadline && !a.monitor.started() &&
               agent_lacks_resources(a.attempt_id)) {
        a.end = not_started_end(x, a);
    } else if (now >= a.times.deadline) {
        a.end = failed_end(
            Cause::deadline, "timeout",
            fmt::format("The command was stopped after its {} time-out",
                        seconds(duration_cast<milliseconds>(a.times.deadline - a.published))));
        if (!a.monitor.problem().empty())
            a.end.error->message += "; its status file was ignored: " + a.monitor.problem();
        if (a.question)
            a.end.error->message += "; it waited for a person: " + words_of(*a.question);
        a.end.status = ExecutionStatus::timeout;
    } else if (now >= a.times.stall()) {
        a.end = failed_end(Cause::stalled, "stalled",
                           fmt::format("No progress for {}.", seconds(a.times.stall_timeout)));
        a.end.status = ExecutionStatus::timeout;
    } else {
        return false;
    }
    return true;
}

// True if an agent of this process lacks the descriptors or memory to read it.
bool ExecutorCore::agent_lacks_resources(const std::string& attempt_id) const
{
    return options.offers && options.offers->is_short(attempt_id);
}

// Running executions release descriptors when they end.
bool ExecutorCore::may_get_resources(const Execution& x) const
{
    return std::any_of(active.begin(), active.end(), [&](const Execution* other) {
        return other != &x && !other->attempt_id.empty() &&
               !agent_lacks_resources(other->attempt_id);
    });
}

AttemptEnd ExecutorCore::not_started_end(const Execution& x, const Attempt& a) const
{
    // Without other executions, a retry would fail in the same way.
    const auto cause = may_get_resources(x) ? Cause::not_started : Cause::broken;
    if (agent_lacks_resources(a.attempt_id))
        return failed_end(cause, error_codes::no_resources, too_few_resources);
    return failed_end(Cause::not_started, "not_started",
                      fmt::format("No agent claimed the command within {}. Check that an agent "
                                  "is running and watches this worktree.",
                                  seconds(x.options->start_timeout)));
}

/// Publishes again after another file has replaced the command file of an unclaimed attempt.
/// Returns false if the attempt ends, not started.
bool ExecutorCore::publish_again(Execution& x, Attempt& a)
{
    record_rejections(x, a, {{"command_replaced", "The command file was replaced."}});
    if (++a.published_again > max_published_again) {
        a.end =
            failed_end(Cause::not_started, "not_started",
                       fmt::format("No agent claimed the command: its file was replaced {} times. "
                                   "Find out what writes {} in the worktree.",
                                   a.published_again, control_files::command));
        return false;
    }
    // On failure, the next poll tries again, up to the limit.
    (void)x.mailbox->publish(files_of(x, a), options.durability);
    options.notifier->notify(x.request.worktree);
    return true;
}

void ExecutorCore::classify(Execution& x, Attempt& a, const Observation& observation)
{
    switch (observation.kind) {
        case Observation::Kind::final_status:
            classify_status(x, a);
            break;
        case Observation::Kind::artifacts_ready:
            a.end.status = ExecutionStatus::completed;
            a.end.facts.cause = Cause::artifacts;
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
            a.end =
                failed_end(Cause::agent_lost, "agent_lost",
                           "The agent ended without reporting a result." +
                               folder_instead_of(x.request.worktree / options.status_file_name) +
                               worktree_problem(x.request.worktree));
            auto lost = event(x, a, EventType::agent_lost);
            lost.details["claim"] = a.monitor.claim() == ClaimState::free ? "free" : "silent";
            emit(lost);
            break;
        }
        case Observation::Kind::worktree_lost:
            a.end = failed_end(Cause::broken, "worktree_lost",
                               fmt::format("The worktree '{}' was removed or replaced.",
                                           x.request.worktree.string()));
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
    auto& end = a.end;
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
    const bool requested = records::consume_cancel_request(options.project_root, x.attempt_id);
    const bool cancelled = end.error->code == "cancelled" && (x.cancel_requested || requested);
    // The agent's own time-out may be shorter.
    const bool out_of_time = end.error->code == "timeout";
    end.status = cancelled     ? ExecutionStatus::cancelled
                 : out_of_time ? ExecutionStatus::timeout
                               : ExecutionStatus::failed;
    if (cancelled) end.facts.cause = Cause::cancelled;
}

asio::awaitable<void> ExecutorCore::stop_agent(Execution& x, Attempt& a)
{
    auto& facts = a.end.facts;
    std::optional<FileStamp> pending;
    if (facts.cause == Cause::deadline && a.monitor.end_is_pending())
        pending = a.monitor.final_file();
    (void)x.mailbox->withdraw(a.attempt_id);
    auto observation = a.monitor.poll(options.clock->now());
    if (a.monitor.started() && facts.cause == Cause::not_started)
        facts.cause = Cause::deadline;  // an agent claimed it meanwhile
    // No agent has it, or the agent does not support cancelling: do not wait.
    if (!a.monitor.started() || !a.monitor.supports_cancel()) co_return;

    const bool is_unwanted = a.end.status == ExecutionStatus::cancelled ||
                             (a.end.error && a.end.error->code == error_codes::input_needed);
    const char* const reason = is_unwanted ? "cancelled" : "timeout";
    auto refused = request_stop(*x.mailbox, a, reason);
    options.notifier->notify(x.request.worktree);

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
        const auto state = co_await asio::this_coro::cancellation_state;
        const bool at_once = (state.cancelled() & asio::cancellation_type::terminal) !=
                             asio::cancellation_type::none;
        if (facts.stop_confirmed || at_once || now >= limit) break;
        co_await x.alarm->wait_until(std::min(now + stop_poll, limit));
        if (!turns.enter()) co_await turns.admission(*x.alarm);
        if (files::is_resource_shortage(refused)) refused = request_stop(*x.mailbox, a, reason);
        observation = a.monitor.poll(options.clock->now());
    }
    if (facts.stop_confirmed) co_return;
    x.result->warnings.emplace_back(
        "The agent has not confirmed that it stopped; the worktree stays busy until then.");
    if (!a.monitor.end_is_pending()) co_return;
    const auto reported = a.monitor.status()->status;
    x.result->unreleased_status = reported;
    if (a.end.error)
        a.end.error->message += fmt::format(
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
    a.end = {};
    classify_status(x, a);
}

}  // namespace autoexec::inline v1
