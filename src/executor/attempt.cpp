#include "executor/agent_words.hpp"
#include "executor/executor_impl.hpp"
#include "files/resources.hpp"
#include "handoff/offers.hpp"
#include "protocol/control_files.hpp"
#include "protocol/layout.hpp"
#include "text/text.hpp"

#include <boost/asio/post.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/json/value_from.hpp>

#include <fmt/format.h>

#include <unistd.h>

#include <algorithm>

/// One attempt: publish, wait, judge, and stop the agent where the wait ended before it did.
namespace autoexec {
namespace {

using std::chrono::duration_cast;
using std::chrono::milliseconds;

constexpr milliseconds stop_margin{5000};  // beyond the agent's own grace
constexpr milliseconds stop_poll{250};
constexpr milliseconds release_poll{250};  // from an agent's final status to its claim's release
constexpr int max_published_again = 10;
constexpr milliseconds unclaimed_after{10'000};

constexpr char too_few_resources[] =
    "The agent has no descriptor or memory left. Run fewer commands at once, or raise the limit "
    "(ulimit -n).";

CommandError engine_error(std::string code, std::string message)
{
    return {std::move(message), std::move(code), false, 0};
}

AttemptEnd failed_end(Cause cause, std::string code, std::string message)
{
    AttemptEnd end;
    end.facts.cause = cause;
    end.error = engine_error(std::move(code), std::move(message));
    return end;
}

// What could not be removed is what keeps others from being written.
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
    return " Its status file can't be written, because it is a folder: remove " +
           text::printable(status_file.string()) + ", or set another status_file_name.";
}

std::string seconds(milliseconds d)
{
    return fmt::format("{:g} s", std::chrono::duration<double>(d).count());
}

}  // namespace

/// The same bytes each time it is called for an attempt.
PublishedFiles BackgroundAgentAutoExecutor::Impl::files_of(const Execution& x, const Attempt& a)
{
    const auto& r = x.request;
    protocol::CommandFile file;
    file.command = r.command;
    file.workflow_id = r.workflow_id;
    file.step_id = r.step_id;
    file.created_at = a.started_at;
    file.expected_artifacts = r.expected_artifacts;
    file.worktree_path = r.worktree.string();
    file.execution_id = x.id;
    file.attempt_id = a.id;
    file.attempt = a.number;
    file.agent = r.agent;
    file.argv = r.argv;
    file.env_refs = r.env_refs;
    file.deadline_seconds =
        std::chrono::duration<double>(r.timeout.value_or(x.options.timeout)).count();

    PublishedFiles files;
    files.command = protocol::format_command(file);
    files.simple = x.redacted;
    files.metadata = protocol::format_metadata(file, x.redacted);
    files.attempt_id = a.id;
    return files;
}

asio::awaitable<error_code> BackgroundAgentAutoExecutor::Impl::publish(Execution& x, Attempt& a,
                                                                       AttemptMonitor& watch)
{
    const auto& r = x.request;
    a.started_at = text::iso_utc(options.clock->system_now());
    const auto files = files_of(x, a);
    if (files.command.size() > protocol::command_file_limit)
        co_return fail(x, errc::command_too_large,
                       fmt::format("The command file would have {} bytes; agents read at most {}. "
                                   "Put the text into a file in the worktree and name that file "
                                   "in the command.",
                                   files.command.size(), protocol::command_file_limit));

    if (a.number == 1 && x.redacted != r.command &&
        x.options.secrets_in_command == SecretsInCommand::warn) {
        x.result.warnings.emplace_back(
            "The command text contains a secret; name a variable in env_refs instead.");
        co_await emit_and_drain(event(x, a, EventType::secret_in_command));
    }

    auto ec = x.mailbox->prepare();
    if (!ec) {
        ec = co_await take_baseline(x);
        if (ec) co_return ec;
        watch.remember();
        watch.set_baseline(*x.baseline);
        announce_running(x, a);
        ec = x.mailbox->publish(files, options.durability);
    }
    if (ec) {
        (void)x.mailbox->clean(a.id, false);
        forget_running(a);
        co_return fail(x, ec,
                       fmt::format("Cannot publish the command in the worktree '{}': {}.{}",
                                   r.worktree.string(), ec.message(),
                                   obstacles_in(r.worktree, options.status_file_name)));
    }
    a.published = options.clock->now();
    if (!x.first_published) x.first_published = a.published;
    x.attempt_id = a.id;
    x.result.attempt_id = a.id;
    x.result.attempts = a.number;
    options.notifier->notify(r.worktree);

    auto detected = event(x, a, EventType::command_detected);
    detected.details["command_file"] = (r.worktree / control_files::command).string();
    if (!r.expected_artifacts.empty())
        detected.details["expected_artifacts"] = boost::json::value_from(r.expected_artifacts);
    co_await emit_and_drain(std::move(detected));
    co_await emit_and_drain(event(x, a, EventType::execution_started));
    co_return error_code{};
}

// A later attempt continues the work of the first one, so what that one made counts as made.
asio::awaitable<error_code> BackgroundAgentAutoExecutor::Impl::take_baseline(Execution& x)
{
    auto now = baseline_of(*x.mailbox, x.request.expected_artifacts);
    if (!x.baseline) x.baseline.emplace();
    const auto known = x.baseline->size();
    x.baseline->merge(now);  // what is known stays as it is
    const auto& on_baseline = x.hooks().on_baseline;
    if (!on_baseline || x.baseline->size() == known) co_return error_code{};
    error_code ec;
    std::string why;
    try {
        auto telling = on_baseline(*x.baseline);
        co_await async::uncancellable(strand, std::move(telling));
    } catch (const system_error& e) {
        ec = e.code();
        why = e.what();
    } catch (const std::exception& e) {
        ec = make_error_code(boost::system::errc::operation_canceled);
        why = e.what();
    }
    if (ec) (void)fail(x, ec, fmt::format("Cannot record the baseline of the artifacts: {}", why));
    co_return ec;
}

void BackgroundAgentAutoExecutor::Impl::announce_running(Execution& x, Attempt& a)
{
    records::RunningRecord record;
    record.execution_id = x.id;
    record.attempt_id = a.id;
    record.attempt = a.number;
    record.workflow_id = x.request.workflow_id;
    record.step_id = x.request.step_id;
    record.command = x.redacted;
    record.worktree = x.request.worktree.string();
    record.started_at = a.started_at;
    record.agent = x.request.agent;
    record.artifacts = *x.baseline;
    record.pid = ::getpid();
    error_code ec;
    if (auto file = records::RunningFile::create(options.project_root, record, ec))
        a.running.emplace(std::move(*file));
    if (ec && a.number == 1)
        x.result.warnings.push_back(fmt::format("Cannot record the running attempt in '{}': {}.",
                                                (options.project_root / layout::running).string(),
                                                ec.message()));
}

void BackgroundAgentAutoExecutor::Impl::forget_running(Attempt& a)
{
    if (a.running) a.running->remove();
    a.running.reset();
}

asio::awaitable<void> BackgroundAgentAutoExecutor::Impl::wait(Execution& x, Attempt& a,
                                                              AttemptMonitor& watch,
                                                              AttemptEnd& end)
{
    const auto timeout = x.request.timeout.value_or(x.options.timeout);
    auto deadline = a.published + timeout;
    if (x.options.total_timeout > milliseconds::zero())
        deadline = std::min(deadline, *x.first_published + x.options.total_timeout);
    auto start_deadline = x.options.start_timeout > milliseconds::zero() && !x.adopted
                              ? a.published + x.options.start_timeout
                              : time_point::max();
    auto unclaimed_at = x.only_watching ? time_point::max() : a.published + unclaimed_after;
    // A status that is there and can't be read for want of resources may be the result.
    const auto give_up_at = deadline + x.options.stop_grace + stop_margin;
    const bool stalls = x.options.stall_timeout > milliseconds::zero();
    auto last_change = a.published;
    auto next_poll = a.published;
    PollingInterval interval(x.options.polling_interval, x.options.max_polling_interval,
                             x.options.adaptive_polling);
    const auto subscription = options.notifier->watch(
        x.request.worktree, [weak = std::weak_ptr(x.alarm), strand_copy = strand] {
            asio::post(strand_copy, [weak] {
                if (const auto alarm = weak.lock()) alarm->wake();
            });
        });

    for (;;) {
        auto sight = watch.look(options.clock->now());
        const auto now = options.clock->now();
        note_rejections(x, a, sight.rejections);
        if (sight.changed) {
            interval.reset();
            last_change = now;
            note_progress(x, a, watch);
        }
        co_await drain();
        if (sight.kind != Observation::Kind::waiting) {
            judge(x, a, watch, sight, end);
            break;
        }
        const auto state = co_await asio::this_coro::cancellation_state;
        if (x.cancel_asked || state.cancelled() != asio::cancellation_type::none) {
            end = failed_end(Cause::cancelled, "cancelled", "The command was cancelled.");
            end.status = ExecutionStatus::cancelled;
            break;
        }
        if (!watch.started() && x.mailbox->command_replaced() && !publish_again(x, a, end)) break;
        bool is_poll = true;  // and not only woken for the notice
        if (!watch.started() && now >= unclaimed_at) {
            emit(event(x, a, EventType::command_unclaimed));
            unclaimed_at = time_point::max();
            is_poll = sight.changed || now >= next_poll;
        }
        if (now >= deadline && watch.shortage() && now < give_up_at) {
            co_await x.alarm->wait_until(std::min(now + stop_poll, give_up_at));
            continue;
        }
        // What can't be read may be the status of an agent that has started.
        if (now >= start_deadline && watch.shortage()) start_deadline = now + stop_poll;
        const bool hopeless = agent_is_short(a.id) && !may_get_resources(x);
        if (!watch.started() && (now >= start_deadline || hopeless)) {
            // Taken away first: an agent that claims after this sees that the command is gone.
            (void)x.mailbox->withdraw(a.id);
            sight = watch.look(now);
            note_rejections(x, a, sight.rejections);
            if (!watch.started() && sight.kind == Observation::Kind::waiting) {
                end = not_started_end(x, a);
                break;
            }
            start_deadline = now + stop_poll;  // an agent may still drop its claim
            continue;
        }
        if (now >= deadline && watch.shortage()) {
            end = failed_end(Cause::deadline, no_resources,
                             fmt::format("The status file could not be read: {}. Run fewer "
                                         "commands at once, or raise the limit.",
                                         watch.shortage().message()));
            break;
        }
        if (now >= deadline && !watch.started() && agent_is_short(a.id)) {
            end = not_started_end(x, a);
            break;
        }
        if (now >= deadline) {
            end = failed_end(
                Cause::deadline, "timeout",
                fmt::format("Command did not complete within {} timeout",
                            seconds(duration_cast<milliseconds>(deadline - a.published))));
            if (!watch.problem().empty())
                end.error->message += "; its status file was ignored: " + watch.problem();
            end.status = ExecutionStatus::timeout;
            break;
        }
        if (stalls && now >= last_change + x.options.stall_timeout) {
            end = failed_end(Cause::stalled, "stalled",
                             fmt::format("No progress for {}.", seconds(x.options.stall_timeout)));
            end.status = ExecutionStatus::timeout;
            break;
        }
        if (is_poll) next_poll = now + interval.next(options.random());
        auto next = std::min(deadline, next_poll);
        if (watch.end_is_pending()) next = std::min(next, now + release_poll);
        if (!watch.started()) next = std::min({next, start_deadline, unclaimed_at});
        if (stalls) next = std::min(next, last_change + x.options.stall_timeout);
        co_await x.alarm->wait_until(next);
    }
    if (end.facts.cause != Cause::reported && end.facts.cause != Cause::artifacts &&
        !x.only_watching)
        co_await stop_agent(x, a, watch, end);
}

// Whether its agent, one of this process, has no descriptor or memory to look at it.
bool BackgroundAgentAutoExecutor::Impl::agent_is_short(const std::string& attempt_id) const
{
    return options.offers && options.offers->is_short(attempt_id);
}

// Those in flight give descriptors back when they end.
bool BackgroundAgentAutoExecutor::Impl::may_get_resources(const Execution& x) const
{
    return std::any_of(active.begin(), active.end(), [&](const Execution* other) {
        return other != &x && !other->attempt_id.empty() && !agent_is_short(other->attempt_id);
    });
}

AttemptEnd BackgroundAgentAutoExecutor::Impl::not_started_end(const Execution& x,
                                                              const Attempt& a) const
{
    // Alone, another attempt would lack the same.
    const auto cause = may_get_resources(x) ? Cause::not_started : Cause::broken;
    if (agent_is_short(a.id)) return failed_end(cause, no_resources, too_few_resources);
    return failed_end(Cause::not_started, "not_started",
                      fmt::format("No agent claimed the command within {}. Check that an agent "
                                  "is running and watches this worktree.",
                                  seconds(x.options.start_timeout)));
}

/// Something else is where the command file was, and no agent has claimed the attempt. False if it
/// ends, not started.
bool BackgroundAgentAutoExecutor::Impl::publish_again(Execution& x, Attempt& a, AttemptEnd& end)
{
    note_rejections(x, a, {{"command_replaced", "The command file was replaced."}});
    if (++a.published_again > max_published_again) {
        end =
            failed_end(Cause::not_started, "not_started",
                       fmt::format("No agent claimed the command: its file was replaced {} times. "
                                   "Find out what writes {} in the worktree.",
                                   a.published_again, control_files::command));
        return false;
    }
    // What fails now is tried at the next look, as often as that is allowed.
    (void)x.mailbox->publish(files_of(x, a), options.durability);
    options.notifier->notify(x.request.worktree);
    return true;
}

void BackgroundAgentAutoExecutor::Impl::judge(Execution& x, Attempt& a, AttemptMonitor& watch,
                                              const Observation& sight, AttemptEnd& end)
{
    switch (sight.kind) {
        case Observation::Kind::final_status:
            judge_status(x, *watch.status(), end);
            x.result.completion_method = CompletionMethod::status_file;
            break;
        case Observation::Kind::artifacts_ready:
            end.status = ExecutionStatus::completed;
            end.facts.cause = Cause::artifacts;
            x.result.completion_method = CompletionMethod::artifact_detection;
            break;
        case Observation::Kind::status_too_large:
            end = failed_end(Cause::broken, "status_too_large",
                             "Cannot read the status file: " + watch.problem() + ".");
            break;
        case Observation::Kind::agent_lost: {
            if (agent_is_short(a.id)) {
                end = failed_end(Cause::agent_lost, no_resources, too_few_resources);
                break;
            }
            end = failed_end(Cause::agent_lost, "agent_lost",
                             "The agent ended without reporting a result." +
                                 folder_instead_of(x.request.worktree / options.status_file_name) +
                                 why_unreported(x.request.worktree));
            auto lost = event(x, a, EventType::agent_lost);
            lost.details["claim"] = watch.claim() == ClaimState::free ? "free" : "silent";
            emit(lost);
            break;
        }
        case Observation::Kind::worktree_lost:
            end = failed_end(Cause::broken, "worktree_lost",
                             fmt::format("The worktree '{}' was removed or replaced.",
                                         x.request.worktree.string()));
            break;
        case Observation::Kind::waiting:
            break;
    }
}

// An agent can't write its status where nobody can.
std::string BackgroundAgentAutoExecutor::Impl::why_unreported(const std::filesystem::path& tree)
{
    error_code ec;
    std::string why;
    const auto again = open_mailbox(tree, ec, why);
    return again || files::is_resource_shortage(ec) ? std::string() : " " + why;
}

void BackgroundAgentAutoExecutor::Impl::judge_status(Execution& x, const AgentStatus& status,
                                                     AttemptEnd& end)
{
    end.facts.cause = Cause::reported;
    end.facts.echoes = status.attempt_id && !status.attempt_id->empty();
    if (status.status == ReportedStatus::completed) {
        end.status = ExecutionStatus::completed;
        return;
    }
    end.error = status.error.value_or(CommandError{});
    end.error->message = words_of_agent(*options.redactor, end.error->message, max_agent_message);
    end.error->code = words_of_agent(*options.redactor, end.error->code, max_agent_code);
    if (end.error->message.empty()) end.error->message = "Unknown error";
    end.facts.retryable = end.error->retryable;
    // The agent was told by another process to stop; that this engine was, too, comes later.
    const bool told = records::take_cancel_request(options.project_root, x.attempt_id);
    const bool cancelled = end.error->code == "cancelled" && (x.cancel_asked || told);
    // Its own time-out may be shorter than ours.
    const bool out_of_time = end.error->code == "timeout";
    end.status = cancelled     ? ExecutionStatus::cancelled
                 : out_of_time ? ExecutionStatus::timeout
                               : ExecutionStatus::failed;
    if (cancelled) end.facts.cause = Cause::cancelled;
}

asio::awaitable<void> BackgroundAgentAutoExecutor::Impl::stop_agent(Execution& x, Attempt& a,
                                                                    AttemptMonitor& watch,
                                                                    AttemptEnd& end)
{
    std::optional<FileStamp> pending;
    if (end.facts.cause == Cause::deadline && watch.end_is_pending()) pending = watch.final_file();
    (void)x.mailbox->withdraw(a.id);
    auto sight = watch.look(options.clock->now());
    if (watch.started() && end.facts.cause == Cause::not_started)
        end.facts.cause = Cause::deadline;  // an agent claimed it meanwhile
    // Nobody has it, or nobody is left who could hear: there is nothing to wait for.
    if (!watch.started() || !watch.supports_cancel()) co_return;

    protocol::CancelFile cancel;
    cancel.execution_id = x.id;
    cancel.attempt_id = a.id;
    cancel.reason = end.status == ExecutionStatus::cancelled ? "cancelled" : "timeout";
    cancel.requested_at = text::iso_utc(options.clock->system_now());
    auto refused = x.mailbox->request_stop(protocol::format_cancel(cancel));
    options.notifier->notify(x.request.worktree);

    const auto limit = options.clock->now() + x.options.stop_grace + stop_margin;
    end.facts.stop_confirmed = false;
    for (;;) {
        note_rejections(x, a, sight.rejections);
        if (sight.kind == Observation::Kind::final_status) {
            judge_end_during_stop(x, watch, pending, end);
            // Its last act is to give up the claim; then it touches the worktree no more.
            end.facts.stop_confirmed = true;
        } else if (watch.claim() == ClaimState::free || !watch.started() ||
                   sight.kind == Observation::Kind::worktree_lost) {
            end.facts.stop_confirmed = true;  // also where an agent dropped its claim, unused
        }
        const auto now = options.clock->now();
        const auto state = co_await asio::this_coro::cancellation_state;
        const bool at_once = (state.cancelled() & asio::cancellation_type::terminal) !=
                             asio::cancellation_type::none;
        if (end.facts.stop_confirmed || at_once || now >= limit) break;
        co_await x.alarm->wait_until(std::min(now + stop_poll, limit));
        if (files::is_resource_shortage(refused))
            refused = x.mailbox->request_stop(protocol::format_cancel(cancel));
        sight = watch.look(options.clock->now());
    }
    if (end.facts.stop_confirmed) co_return;
    x.result.warnings.emplace_back(
        "The agent has not confirmed that it stopped; the worktree stays busy until then.");
    note_pending_end(x, watch, end);
}

// A status that was final before the deadline, and is still the same, was only waiting for the
// release of its claim. Any other comes too late.
void BackgroundAgentAutoExecutor::Impl::judge_end_during_stop(
    Execution& x, const AttemptMonitor& watch, const std::optional<FileStamp>& pending,
    AttemptEnd& end)
{
    const auto& status = *watch.status();
    if (!pending || pending != watch.final_file()) {
        x.result.status_during_stop = status.status;
        return;
    }
    end = {};
    judge_status(x, status, end);
    x.result.completion_method = CompletionMethod::status_file;
}

void BackgroundAgentAutoExecutor::Impl::note_pending_end(Execution& x, const AttemptMonitor& watch,
                                                         AttemptEnd& end)
{
    if (!watch.end_is_pending()) return;
    const auto reported = watch.status()->status;
    x.result.unreleased_status = reported;
    if (end.error)
        end.error->message += fmt::format("; its agent reported {}, but has not released its claim",
                                          to_string(reported));
}

}  // namespace autoexec
