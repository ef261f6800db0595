#include "executor/executor_impl.hpp"
#include "handoff/offers.hpp"
#include "protocol/control_files.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/post.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <new>
#include <utility>

/// The wait of an execution for its agent. It is no coroutine: thousands wait.
namespace autoexec::inline v1 {
namespace {

using std::chrono::duration_cast;
using std::chrono::milliseconds;

constexpr milliseconds release_poll{
    250};  // from an agent's final status to the release of its claim
constexpr int max_published_again = 10;
// Of all executions that are notified of changes: polling is only their safety net.
constexpr milliseconds between_safety_polls{10};
constexpr milliseconds unclaimed_after{10'000};

std::string seconds(milliseconds d)
{
    return fmt::format("{:g} s", std::chrono::duration<double>(d).count());
}

/// What waits ends with its coroutine, if the context is destroyed.
class WaitingOwner {
public:
    explicit WaitingOwner(WaitingExecutions& waiting) : waiting_(waiting) {}
    ~WaitingOwner()
    {
        waiting_.clear_and_dispose([](Execution* x) { x->self.reset(); });
    }
    WaitingOwner(const WaitingOwner&) = delete;
    WaitingOwner& operator=(const WaitingOwner&) = delete;

private:
    WaitingExecutions& waiting_;
};

}  // namespace

AttemptTimes ExecutorCore::times_of(const Execution& x, const Attempt& a)
{
    const auto& o = *x.options;
    AttemptTimes times;
    times.deadline = a.published + x.request.timeout.value_or(o.timeout);
    if (o.total_timeout > milliseconds::zero())
        times.deadline = std::min(times.deadline, *x.first_published + o.total_timeout);
    if (!x.read_only) times.unclaimed = a.published + unclaimed_after;
    times.stall_timeout = o.stall_timeout;
    times.last_change = a.published;
    times.next_poll = a.published;
    return times;
}

void ExecutorCore::wait_for_agent(const std::shared_ptr<Execution>& x)
{
    x->alarm.reset();
    x->attempt->changes =
        options.notifier->watch(x->worktree, [weak = std::weak_ptr(x)] {  // called on any thread
            if (auto one = weak.lock()) wake_later(std::move(one));
        });
    poll(x);
}

void ExecutorCore::wake_later(std::shared_ptr<Execution> x)
{
    const auto on = x->core->strand;
    asio::post(on, [one = std::move(x)] { one->core->wake(*one); });
}

/// Afterwards, it waits for the next poll, or its attempt ends.
void ExecutorCore::poll(const std::shared_ptr<Execution>& x)
{
    auto& a = *x->attempt;
    if (const auto next = poll_attempt(*x, a))
        schedule(x, *next);
    else
        run(x, end_attempt(*x));
}

void ExecutorCore::schedule(const std::shared_ptr<Execution>& x, time_point wake)
{
    x->wake_time = wake;
    x->self = x;
    waiting_executions.insert(*x);
    if (waiting_alarm) {
        if (wake < waiting_until) waiting_alarm->wake();
        return;
    }
    try {
        waiting_alarm = options.clock->make_timer(strand);
        asio::co_spawn(strand, serve_waiting(shared_from_this()), asio::detached);
    } catch (...) {
        waiting_alarm.reset();
        throw;
    }
}

void ExecutorCore::poll_soon(Execution& x)
{
    const auto now = options.clock->now();
    if (x.wake_time <= now) return;
    waiting_executions.erase(waiting_executions.iterator_to(x));
    x.wake_time = now;
    waiting_executions.insert(x);
    if (now < waiting_until) waiting_alarm->wake();
}

// Polls each execution that waits when its time has come.
asio::awaitable<void> ExecutorCore::serve_waiting(std::shared_ptr<ExecutorCore>)
{
    const WaitingOwner owner(waiting_executions);
    try {
        while (!waiting_executions.empty()) {
            waiting_until = waiting_executions.begin()->wake_time;
            co_await waiting_alarm->wait_until(waiting_until);
            waiting_until = time_point::min();
            for (std::size_t n = 0; n < max_per_turn && is_poll_due(); ++n) {
                poll_first();
                co_await drain();
            }
            if (is_poll_due()) co_await asio::post(strand, asio::use_awaitable);
        }
    } catch (const std::bad_alloc&) {
        while (!waiting_executions.empty())
            complete(*waiting_executions.begin(), errc::no_resources, {});
    }
    waiting_alarm.reset();
}

bool ExecutorCore::is_poll_due() const
{
    return !waiting_executions.empty() &&
           waiting_executions.begin()->wake_time <= options.clock->now();
}

std::shared_ptr<Execution> ExecutorCore::remove_waiting(Execution& x)
{
    waiting_executions.erase(waiting_executions.iterator_to(x));
    return std::move(x.self);
}

void ExecutorCore::poll_first()
{
    const auto x = remove_waiting(*waiting_executions.begin());
    auto& times = x->attempt->times;
    const auto now = options.clock->now();
    const auto earliest = std::min(times.polls.next(now), times.deadline);
    try {
        if (now < earliest && !x->is_cancelled())
            schedule(x, earliest);
        else
            poll(x);
    } catch (const std::bad_alloc&) {
        complete(*x, errc::no_resources, {});
    }
}

/// Returns the time of the next poll; nullopt: the attempt has ended.
std::optional<time_point> ExecutorCore::poll_attempt(Execution& x, Attempt& a)
{
    auto& times = a.times;
    const auto observation = observe(x, a);
    const auto now = options.clock->now();
    if (observation.changed) {
        times.interval.reset();
        times.last_change = now;
        record_progress(x, a);
    }
    follow_question(x, a);
    pass_on(x, a);
    if (observation.kind != Observation::Kind::waiting) {
        classify(x, a, observation);
        return std::nullopt;
    }
    if (x.is_cancelled()) {
        a.end = failed_end(Cause::cancelled, "cancelled", "The command was cancelled.");
        a.end->status = ExecutionStatus::cancelled;
        return std::nullopt;
    }
    if (!a.monitor.started() && x.mailbox->command_replaced() && !publish_again(x, a))
        return std::nullopt;
    const bool is_poll =
        !warn_if_unclaimed(x, a, now) || observation.changed || now >= times.next_poll;
    // Until then, a status may be read for which resources are lacking now: it may be the result.
    const auto give_up = times.deadline + x.options->stop_grace + stop_margin;
    if (now >= times.deadline && a.monitor.shortage() && now < give_up)
        return std::min(now + stop_poll, give_up);
    if (is_start_overdue(x, a, now)) {
        if (withdraw(x, a)) {
            a.end = not_started_end(x, a);
            return std::nullopt;
        }
        times.start = now + stop_poll;  // an agent may still drop its claim
        return now;
    }
    if (fails_on_input(x, a) || ends_by_time(x, a, now)) return std::nullopt;
    if (is_poll) times.next_poll = now + polling_interval(x, a);
    return times.next(a.monitor, now);
}

bool ExecutorCore::warn_if_unclaimed(Execution& x, Attempt& a, time_point now)
{
    if (a.monitor.started() || now < a.times.unclaimed) return false;
    emit(event(x, a, EventType::command_unclaimed));
    a.times.unclaimed = time_point::max();
    return true;
}

std::chrono::nanoseconds ExecutorCore::polling_interval(Execution& x, Attempt& a)
{
    const bool notified = is_notified(x, a);
    if (!notified) report_polling(x, a);
    return notified ? safety_interval(x) : a.times.interval.next(*x.options, options.random());
}

/// True if whatever could end the attempt is notified.
bool ExecutorCore::is_notified(const Execution& x, const Attempt& a) const
{
    if (options.file_events == FileEvents::off) return false;
    const auto coverage = options.notifier->coverage(x.worktree);
    // Until it is claimed, a program may replace the command file.
    if (options.agent_in_process && a.monitor.started()) return coverage != Coverage::none;
    const bool by_artifacts =
        x.options->artifact_detection && !x.request.expected_artifacts.empty();
    return coverage == Coverage::all && !by_artifacts;
}

milliseconds ExecutorCore::safety_interval(const Execution& x) const
{
    const auto share = between_safety_polls * static_cast<std::int64_t>(waiting_executions.size());
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
            a.end->error->message += "; its status file was ignored: " + a.monitor.problem();
        if (a.question)
            a.end->error->message += "; it waited for a person: " + words_of(*a.question);
        a.end->status = ExecutionStatus::timeout;
    } else if (now >= a.times.stall()) {
        a.end = failed_end(Cause::stalled, "stalled",
                           fmt::format("No progress for {}.", seconds(a.times.stall_timeout)));
        a.end->status = ExecutionStatus::timeout;
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
    return std::any_of(active.begin(), active.end(), [&](const Execution& other) {
        return &other != &x && !other.attempt_id().empty() &&
               !agent_lacks_resources(other.attempt_id());
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
    options.notifier->notify(x.worktree);
    return true;
}

}  // namespace autoexec::inline v1
