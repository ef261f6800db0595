#include "executor/executor_impl.hpp"
#include "protocol/layout.hpp"
#include "records/agent_presence.hpp"
#include "text/text.hpp"

#include <boost/asio/this_coro.hpp>

#include <fmt/format.h>

#include <algorithm>

/// Attempts that this executor did not publish: adopted, only watched, or left by a dead executor.
namespace autoexec::inline v1 {
namespace {

using std::chrono::milliseconds;
using namespace std::chrono_literals;

// Bounded, because clocks may be changed.
constexpr std::chrono::hours max_downtime{24 * 7};
// Total for all worktrees: those that other executors use are left to a later recovery.
constexpr milliseconds recovery_timeout{1000};

InterruptedAttempt interrupted_attempt(const protocol::RunningRecord& record, bool agent_alive)
{
    InterruptedAttempt attempt;
    attempt.ids() = record.ids();
    attempt.command = record.command;
    attempt.worktree = record.worktree;
    attempt.started_at = record.started_at;
    attempt.agent_alive = agent_alive;
    return attempt;
}

}  // namespace

asio::awaitable<error_code> ExecutorCore::lock_adopted(Execution& x)
{
    error_code ec;
    std::string problem;
    x.mailbox = open_mailbox(x.worktree, ec, problem);
    if (!x.mailbox) co_return fail(x, ec, std::move(problem));
    // Later executions queue behind this one; a running one is not waited for.
    join_tree_queue(x);
    if (is_first_in_tree(x)) co_return co_await lock(x);
    co_return fail(x, errc::worktree_busy,
                   fmt::format("Another command is running in the worktree '{}'.", x.worktree));
}

// A reader has the lock of the dead executor for a moment, and a recovery for a second.
asio::awaitable<bool> ExecutorCore::adopt_record(Execution& x, const std::string& attempt_id)
{
    const auto give_up_time = options.clock->now() + recovery_timeout;
    bool adopted = running_records.adopt(attempt_id);
    while (!adopted && options.clock->now() < give_up_time &&
           records::has_record(options.project_root, attempt_id)) {
        co_await x.alarm->wait_until(options.clock->now() + lock_retry);
        adopted = running_records.adopt(attempt_id);
    }
    co_return adopted;
}

asio::awaitable<error_code> ExecutorCore::adopt(Execution& x, AttemptReference reference)
{
    if (const auto ec = check(x)) co_return ec;
    if (const auto ec = co_await lock_adopted(x)) co_return ec;
    find_git_tree(x);
    auto w = monitor_options(x);
    w.artifact_detection = false;  // the files before this attempt are unknown
    w.claim_required = false;      // its agent may belong to another process
    x.attempt =
        std::make_unique<Attempt>(x, reference.attempt_id, std::max(reference.number, 1), w);
    auto& a = *x.attempt;
    if (auto recorded = records::artifacts_before(options.project_root, a.attempt_id))
        x.request.artifact_baseline = std::move(recorded);
    const auto now = options.clock->system_now();
    a.started_at = reference.started_at.value_or(now);
    a.published = options.clock->now() -
                  std::clamp<std::chrono::nanoseconds>(now - a.started_at, 0s, max_downtime);
    a.has_record = co_await adopt_record(x, a.attempt_id);
    // Its executor died before publishing or after withdrawing it.
    if (observe(x, a).kind == Observation::Kind::waiting && !a.monitor.started() &&
        !x.mailbox->offer_again(a.attempt_id)) {
        (void)x.mailbox->clean(a.attempt_id, false);
        forget_running(a);
        co_return co_await begin_attempt(x, a.attempt);
    }
    record_published(x, a);
    x.recorded = is_recorded(a.ids());
    a.times = times_of(x, a);
    co_return error_code{};
}

asio::awaitable<error_code> ExecutorCore::watch(Execution& x)
{
    if (const auto flaw = check(x)) co_return flaw;
    error_code ec;
    std::string problem;
    x.mailbox = open_mailbox(x.worktree, ec, problem);
    if (!x.mailbox) co_return fail(x, ec, std::move(problem));
    auto w = monitor_options(x);
    w.claim_required = false;
    x.attempt = std::make_unique<Attempt>(x, std::string(), 1, w);
    auto& a = *x.attempt;
    a.published = options.clock->now();
    x.first_published = a.published;
    x.read_only = true;
    a.times = times_of(x, a);
    co_return error_code{};
}

// The process may be killed after any step: each can be repeated, and the record is removed last.
asio::awaitable<std::vector<InterruptedAttempt>> ExecutorCore::recover(
    std::shared_ptr<ExecutorCore>)
{
    co_await asio::this_coro::reset_cancellation_state(asio::disable_cancellation());
    records::sweep_agents(options.project_root);
    error_code problem;
    auto orphans = records::lock_orphaned(options.project_root, &problem);
    if (problem) throw system_error(problem, (options.project_root / layout::running).string());
    std::vector<InterruptedAttempt> found;
    std::vector<const records::OrphanedRecord*> done;
    const auto give_up_time = options.clock->now() + recovery_timeout;
    for (const auto& orphan : orphans) {
        const auto& record = orphan.record();
        const auto left = co_await clean_after_dead_executor(record, give_up_time);
        const bool alive = left == Leftovers::of_live_agent || left == Leftovers::of_ended_agent;
        // Its executor may have died between recording the end and cleaning up.
        const bool interrupted = left != Leftovers::of_other_executor && !is_recorded(record) &&
                                 reported_interrupted.insert(record.attempt_id).second;
        if (interrupted) {
            record_interrupted(record, alive);
            found.push_back(interrupted_attempt(record, alive));
        }
        if (left == Leftovers::none || left == Leftovers::of_ended_agent) done.push_back(&orphan);
    }
    // Recorded first; otherwise a kill in between would lose them.
    if (!found.empty()) (void)co_await flush_all();
    for (const auto* const orphan : done) orphan->remove();
    orphans.clear();  // releases the locks
    records::sweep_running(options.project_root);
    co_return found;
}

asio::awaitable<Leftovers> ExecutorCore::clean_after_dead_executor(
    const protocol::RunningRecord& record, time_point give_up_time)
{
    error_code ec;
    std::string problem;
    const auto mailbox = open_mailbox(record.worktree, ec, problem);
    if (!mailbox) {
        // No files there belong to the attempt, unless this process lacks resources now.
        const bool lasting = ec.category() == autoexec_category();
        co_return lasting ? Leftovers::none : Leftovers::out_of_reach;
    }
    const std::shared_ptr<Timer> alarm = options.clock->make_timer(strand);
    const auto lock_until = std::min(give_up_time, options.clock->now() + lock_timeout);
    while ((ec = mailbox->try_lock()) == errc::worktree_busy && options.clock->now() < lock_until)
        co_await alarm->wait_until(options.clock->now() + lock_retry);
    if (ec == errc::worktree_busy) co_return Leftovers::of_other_executor;
    if (ec) co_return Leftovers::out_of_reach;

    records::note_interrupted(options.project_root, record.execution_id);
    // Withdrawn first: while this executor holds the worktree, an agent would run the left-over
    // command.
    (void)mailbox->withdraw(record.attempt_id);
    const auto is_alive = [&] { return mailbox->claim(record.attempt_id) == ClaimState::live; };
    bool alive = is_alive();
    const bool was_alive = alive;
    if (alive) {
        (void)request_stop(*mailbox, record, "interrupted");
        options.notifier->notify(record.worktree);
        // Most agents have died with their executor; what they started ends now.
        while (options.clock->now() < give_up_time && (alive = is_alive()))
            co_await alarm->wait_until(options.clock->now() + lock_retry);
    }
    (void)mailbox->clean(record.attempt_id, alive);
    co_return alive ? Leftovers::of_live_agent
    : was_alive     ? Leftovers::of_ended_agent
                    : Leftovers::none;
}

void ExecutorCore::record_interrupted(const protocol::RunningRecord& record, bool agent_alive)
{
    auto e = event(record, record.command, record.worktree, EventType::execution_interrupted);
    e.details["agent_alive"] = agent_alive;
    e.details["started_at"] = text::iso_utc(record.started_at);
    if (!is_recorded(record)) {
        ExecutionMetric m;
        m.ids() = record.ids();
        m.command = record.command;
        m.status = ExecutionStatus::failed;
        m.started_at = record.started_at;
        m.retry_count = record.attempt - 1;
        m.completed_at = e.time;
        m.error_message = records::interrupted_message;
        if (m.started_at) m.duration = e.time - *m.started_at;
        e.metric = std::move(m);
    }
    emit(e);
}

bool ExecutorCore::is_recorded(const Correlation& attempt) const
{
    if (!options.metrics) return false;
    MetricsFilter filter;
    filter.execution_id = attempt.execution_id;
    const auto metrics = options.metrics->get_metrics(filter);
    return std::any_of(metrics.begin(), metrics.end(), [&](const ExecutionMetric& metric) {
        return metric.retry_count == attempt.attempt - 1;
    });
}

}  // namespace autoexec::inline v1
