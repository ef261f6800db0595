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

// Its executor died before publishing or after withdrawing it.
bool is_nowhere(Mailbox& mailbox, const AttemptMonitor& monitor, const Observation& observation,
                const std::string& attempt_id)
{
    return observation.kind == Observation::Kind::waiting && !monitor.started() &&
           !mailbox.offer_again(attempt_id);
}

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

asio::awaitable<OperationResult> BackgroundAgentAutoExecutor::Impl::adopt(
    std::shared_ptr<Impl>, AttemptReference reference, CommandRequest request)
{
    co_await asio::this_coro::reset_cancellation_state(asio::enable_total_cancellation());
    co_await asio::this_coro::throw_if_cancelled(false);

    request.execution_id = reference.execution_id;
    const auto x = std::make_unique<Execution>(std::move(request), options);
    const ActiveGuard present(*this, *x);
    auto ec = check(*x);
    if (!ec) ec = co_await lock_adopted(*x);
    if (!ec) ec = co_await resume(*x, reference);
    if (x->first_published)
        x->result.duration =
            std::chrono::duration_cast<milliseconds>(options.clock->now() - *x->first_published);
    leave(*x);
    OperationResult outcome{ec, std::move(x->result)};
    co_return outcome;
}

asio::awaitable<error_code> BackgroundAgentAutoExecutor::Impl::lock_adopted(Execution& x)
{
    error_code ec;
    std::string problem;
    x.mailbox = open_mailbox(x.request.worktree, ec, problem);
    if (!x.mailbox) co_return fail(x, ec, std::move(problem));
    // Later executions queue behind this one; a running one is not waited for.
    x.tree_key = tree_key_of(x.request.worktree);
    x.tree_slot = std::make_unique<async::SemaphoreGuard>(tree_queue(x.tree_key), *x.alarm);
    if (x.tree_slot->admitted()) co_return co_await lock(x);
    co_return fail(x, errc::worktree_busy,
                   fmt::format("Another command is running in the worktree '{}'.",
                               x.request.worktree.string()));
}

asio::awaitable<error_code> BackgroundAgentAutoExecutor::Impl::resume(
    Execution& x, const AttemptReference& reference)
{
    auto w = monitor_options(x);
    const auto a =
        std::make_unique<Attempt>(x, reference.attempt_id, std::max(reference.number, 1));
    w.ids = a->ids();
    w.artifact_detection = false;  // the files before this attempt are unknown
    w.claim_required = false;      // its agent may belong to another process
    AttemptMonitor monitor(*x.mailbox, w);
    if (auto recorded = records::artifacts_before(options.project_root, reference.attempt_id))
        x.baseline = std::move(recorded);
    if (x.baseline) monitor.set_baseline(*x.baseline);
    a->published = options.clock->now();
    a->started_at = options.clock->system_now();
    if (reference.started_at) {
        const auto since = options.clock->system_now() - *reference.started_at;
        a->started_at = *reference.started_at;
        a->published -= std::clamp<std::chrono::nanoseconds>(since, 0s, max_downtime);
    }
    if (auto file = records::RunningFile::lock_orphaned(options.project_root, a->attempt_id))
        a->running.emplace(std::move(*file));
    const auto observation = monitor.poll(options.clock->now());
    record_rejections(x, *a, observation.rejections);
    if (is_nowhere(*x.mailbox, monitor, observation, a->attempt_id)) {
        (void)x.mailbox->clean(a->attempt_id, false);
        forget_running(*a);
        co_return co_await run_attempts(x, a->attempt);
    }
    x.first_published = a->published;
    x.attempt_id = a->attempt_id;
    x.result.attempt_id = a->attempt_id;
    x.result.attempts = a->attempt;
    x.recorded = is_recorded(x.request.execution_id, a->attempt);
    x.adopted = true;
    AttemptEnd end;
    co_await wait(x, *a, monitor, end);
    x.adopted = false;
    if (!co_await finish(x, *a, monitor, end)) co_return error_code{};
    co_return co_await run_attempts(x, a->attempt + 1);
}

asio::awaitable<OperationResult> BackgroundAgentAutoExecutor::Impl::poll(
    std::shared_ptr<Impl>, std::filesystem::path worktree, std::vector<std::string> expected,
    std::optional<milliseconds> timeout)
{
    co_await asio::this_coro::reset_cancellation_state(asio::enable_total_cancellation());
    co_await asio::this_coro::throw_if_cancelled(false);

    CommandRequest request("(watched)", std::move(worktree));
    request.expected_artifacts = std::move(expected);
    request.timeout = timeout;
    request.execution_id = text::new_uuid();
    const auto x = std::make_unique<Execution>(std::move(request), options);
    const ActiveGuard present(*this, *x);
    x->adopted = true;
    auto ec = check(*x);
    std::string problem;
    if (!ec) x->mailbox = open_mailbox(x->request.worktree, ec, problem);
    if (x->mailbox) {
        MonitorOptions w;
        w.expected_artifacts = x->request.expected_artifacts;
        w.artifact_detection = x->options.artifact_detection;
        w.stability = std::max(x->options.polling_interval, milliseconds{2000});
        AttemptMonitor monitor(*x->mailbox, w);
        Attempt a(*x, {}, 1);
        a.published = options.clock->now();
        x->first_published = a.published;
        x->read_only = true;
        AttemptEnd end;
        co_await wait(*x, a, monitor, end);
        fill_result(*x, monitor, end);
        x->result.duration =
            std::chrono::duration_cast<milliseconds>(options.clock->now() - a.published);
    } else if (!problem.empty()) {
        (void)fail(*x, ec, std::move(problem));
    }
    OperationResult outcome{ec, std::move(x->result)};
    co_return outcome;
}

// The process may be killed after any step: each can be repeated, and the record is removed last.
asio::awaitable<std::vector<InterruptedAttempt>> BackgroundAgentAutoExecutor::Impl::recover(
    std::shared_ptr<Impl>)
{
    co_await asio::this_coro::reset_cancellation_state(asio::disable_cancellation());
    records::sweep_agents(options.project_root);
    error_code problem;
    const auto running = records::list_running(options.project_root, problem);
    if (problem) throw system_error(problem, (options.project_root / layout::running).string());
    std::vector<InterruptedAttempt> found;
    std::vector<records::RunningFile> done;
    const auto give_up_time = options.clock->now() + recovery_timeout;
    for (const auto& entry : running) {
        if (entry.alive) continue;
        const auto& record = entry.record;
        auto held = records::RunningFile::lock_orphaned(options.project_root, record.attempt_id);
        if (!held) continue;
        const auto left = co_await clean_after_dead_executor(record, give_up_time);
        const bool alive = left == Leftovers::of_live_agent;
        // Its executor may have died between recording the end and cleaning up.
        const bool interrupted = !is_recorded(record.execution_id, record.attempt) &&
                                 reported_interrupted.insert(record.attempt_id).second;
        if (interrupted) {
            record_interrupted(record, alive);
            found.push_back(interrupted_attempt(record, alive));
        }
        if (left == Leftovers::none) done.push_back(std::move(*held));
    }
    // Recorded first; otherwise a kill in between would lose them.
    if (!found.empty()) (void)co_await flush_all();
    for (auto& file : done) file.remove();
    records::sweep_running(options.project_root);
    co_return found;
}

asio::awaitable<Leftovers> BackgroundAgentAutoExecutor::Impl::clean_after_dead_executor(
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
    give_up_time = std::min(give_up_time, options.clock->now() + lock_timeout);
    while ((ec = mailbox->try_lock()) == errc::worktree_busy && options.clock->now() < give_up_time)
        co_await alarm->wait_until(options.clock->now() + lock_retry);
    if (ec) co_return Leftovers::out_of_reach;

    // Withdrawn first: while this executor holds the worktree, an agent would run the left-over
    // command.
    (void)mailbox->withdraw(record.attempt_id);
    const bool alive = mailbox->claim(record.attempt_id) == ClaimState::live;
    if (alive) {
        protocol::CancelFile cancel;
        cancel.ids() = record.ids();
        cancel.reason = "interrupted";
        cancel.requested_at = options.clock->system_now();
        (void)mailbox->request_stop(protocol::format_cancel(cancel));
        options.notifier->notify(record.worktree);
    }
    (void)mailbox->clean(record.attempt_id, alive);
    co_return alive ? Leftovers::of_live_agent : Leftovers::none;
}

void BackgroundAgentAutoExecutor::Impl::record_interrupted(const protocol::RunningRecord& record,
                                                           bool agent_alive)
{
    Event e;
    e.type = EventType::execution_interrupted;
    e.time = options.clock->system_now();
    e.ids() = record.ids();
    e.command = record.command;
    e.worktree = record.worktree;
    e.status = EventStatus::interrupted;
    e.details["agent_alive"] = agent_alive;
    e.details["started_at"] = text::iso_utc(record.started_at);
    if (!is_recorded(record.execution_id, record.attempt)) {
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

bool BackgroundAgentAutoExecutor::Impl::is_recorded(const std::string& execution_id,
                                                    int attempt) const
{
    if (!options.metrics) return false;
    MetricsFilter filter;
    filter.execution_id = execution_id;
    for (const auto& metric : options.metrics->get_metrics(filter))
        if (metric.retry_count == attempt - 1) return true;
    return false;
}

}  // namespace autoexec::inline v1
