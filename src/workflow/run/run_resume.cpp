#include "protocol/workflow_result.hpp"
#include "records/running.hpp"
#include "text/text.hpp"
#include "workflow/run/run.hpp"

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/bind_executor.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/this_coro.hpp>

#include <fmt/format.h>

#include <algorithm>

/// How a run goes on: its journal is told to the scheduler again, and what was in flight when the
/// engine died is settled.
namespace autoexec::workflow {
namespace {

namespace json = boost::json;

constexpr std::string_view redacted = "***REDACTED***";

bool is_hidden(const json::value& value)
{
    return value.is_string() && value.get_string().find(redacted) != json::string::npos;
}

std::optional<records::RunningEntry> running_entry(const std::filesystem::path& root,
                                                   const std::string& execution_id)
{
    for (auto& entry : records::list_running(root))
        if (entry.record.execution_id == execution_id) return std::move(entry);
    return std::nullopt;
}

}  // namespace

asio::awaitable<std::string> Run::read_journal(error_code& ec)
{
    const auto& root = context_->options.project_root;
    const auto& run_id = resumption_->run_id;
    std::string problem;
    auto record = read_run(root, run_id, problem);
    if (!record) co_return problem;
    // Without those records a step that is still in flight would be started again.
    (void)records::list_running(root, ec);
    if (ec) co_return records::unreadable_sentence(root, ec);
    auto taking = take_journal(ec);
    co_await std::move(taking);
    if (!journal_ && ec == errc::worktree_busy) {
        ec = {};
        co_return fmt::format("The run '{}' goes on already: its engine lives.", run_id);
    }
    if (!journal_)
        co_return fmt::format("The journal of '{}' can't be taken over: {}.", run_id, ec.message());
    auto settling = settle_calls();
    if (!co_await std::move(settling))
        co_return fmt::format(
            "Git still works for the engine of '{}' that has ended. Go on when it has finished.",
            run_id);
    record = read_run(root, run_id, problem);  // once more: it is ours now
    if (!record || record->transitions.empty())
        co_return fmt::format("The journal of '{}' says nothing of a run.", run_id);
    if (record->workflow_id != workflow_.id)
        co_return fmt::format("The run '{}' is of the workflow '{}', not of '{}'.", run_id,
                              record->workflow_id, workflow_.id);
    if (!resumption_->what.accept_changed && !record->hash.empty() &&
        record->hash != workflow_.hash)
        co_return fmt::format(
            "The workflow '{}' has changed since the run began. To go on with it as "
            "it is now, accept that: --accept-changed.",
            workflow_.path);
    // What was asked of an engine that is no more.
    (void)take_run_cancel(root, run_id);
    resumption_->entries = std::move(record->transitions);
    std::set<std::string> hashes;
    const protocol::RunStarted* last_start = nullptr;
    for (const auto& entry : resumption_->entries) {
        const auto* const start = std::get_if<protocol::RunStarted>(&entry.transition);
        if (start == nullptr) continue;
        last_start = start;
        hashes.insert(start->hash);
    }
    hashes.insert(workflow_.hash);
    has_changed_ = hashes.size() > 1;
    if (last_start == nullptr)
        co_return fmt::format("The journal of '{}' does not say how the run began.", run_id);
    co_return take_back_options(*last_start);
}

// Readers hold its lock for microseconds.
asio::awaitable<void> Run::take_journal(error_code& ec)
{
    constexpr int max_tries = 250;
    constexpr std::chrono::milliseconds interval{1};
    const auto& options = context_->options;
    const auto timer = options.clock->make_timer(context_->strand);
    for (int tries = 0; tries < max_tries; ++tries) {
        journal_ =
            Journal::take_over(options.project_root, resumption_->run_id, options.durability, ec);
        if (ec != boost::system::errc::resource_unavailable_try_again) co_return;
        co_await timer->wait_until(options.clock->now() + interval);
    }
    ec = errc::worktree_busy;
}

// Calls of git that the engine before us had begun are not stopped by its death.
asio::awaitable<bool> Run::settle_calls()
{
    constexpr std::chrono::milliseconds interval{20};
    constexpr std::chrono::seconds time_limit{75};  // more than they get
    auto& clock = *context_->options.clock;
    const auto timer = clock.make_timer(context_->strand);
    const auto deadline = clock.now() + time_limit;
    while (!journal_->is_settled()) {
        if (clock.now() >= deadline) co_return false;
        co_await timer->wait_until(clock.now() + interval);
    }
    co_return true;
}

std::string Run::take_back_options(const protocol::RunStarted& start)
{
    if (!start.worktrees)
        return fmt::format("The journal of '{}' does not say where its steps work.",
                           resumption_->run_id);
    options_.worktrees = *start.worktrees;
    options_.worktree = start.worktree;
    options_.base = start.base.empty() ? "HEAD" : start.base;
    if (options_.merge_into.empty()) options_.merge_into = start.merge_into;
    std::string problems;
    for (const auto& [name, value] : start.params) {
        if (options_.params.contains(name)) continue;
        if (is_hidden(value))
            problems += fmt::format(
                "The parameter '{}' holds a secret, which is not kept: give it "
                "again.\n",
                std::string_view(name));
        else if (workflow_.params.contains(name) || name == "prompt")
            options_.params[name] = value;
    }
    return problems;
}

// Steps that the workflow no longer has are ignored.
void Run::replay(const protocol::JournalEntry& entry)
{
    const auto& transition = entry.transition;
    if (std::holds_alternative<protocol::RunStarted>(transition)) ended_as_.reset();
    if (const auto* const it = std::get_if<protocol::RunEnded>(&transition)) ended_as_ = it->status;
    if (const auto* const it = std::get_if<protocol::Merged>(&transition))
        last_commit_ = it->commit;
    if (const auto* const it = std::get_if<protocol::Restarted>(&transition)) replay(*it);
    if (const auto* const it = std::get_if<protocol::StepStarted>(&transition))
        replay(*it, entry.time);
    if (const auto* const it = std::get_if<protocol::StepPrepared>(&transition)) replay(*it);
    if (const auto* const it = std::get_if<protocol::StepReady>(&transition)) replay(*it);
    if (const auto* const it = std::get_if<protocol::StepWaiting>(&transition)) replay(*it);
    if (const auto* const it = std::get_if<protocol::StepExecuted>(&transition)) replay(*it);
    if (const auto* const it = std::get_if<protocol::StepEnded>(&transition)) replay(*it);
    if (const auto* const it = std::get_if<protocol::StepSkipped>(&transition)) replay(*it);
    if (const auto* const it = std::get_if<protocol::GateJudged>(&transition)) replay(*it);
}

void Run::replay(const protocol::Restarted& restart)
{
    std::vector<std::size_t> roots;
    for (const auto& id : restart.roots)
        if (const auto k = index_of(workflow_, id)) roots.push_back(*k);
    const auto all = scheduler_->restart(roots);
    forget_work(all);
    drop_baselines(all, roots);
    note_skipped_by_restart();
}

void Run::replay(const protocol::StepStarted& start, const std::string& time)
{
    const auto i = index_of(workflow_, start.step);
    if (!i) return;
    auto& step = *steps_[*i];
    step.result = StepResult{};
    step.result.id = start.step;
    step.result.state = StepState::running;
    step.result.round = std::max(start.round, 1);
    step.result.started_at = time;
    step.request.execution_id = start.execution_id;
    step.recorded = step.failed_late = false;
    step.tree.clear();
    step.base.clear();
    step.laid.clear();
    if (!step.in_git) drop_baseline_of_others(*i);
    if (start.tree) use_tree(*i, *start.tree);
    executed_.erase(*i);
    scheduler_->resume_start(*i, step.result.round);
}

void Run::replay(const protocol::StepPrepared& prepared)
{
    if (const auto i = index_of(workflow_, prepared.step)) use_tree(*i, prepared.tree);
}

// A journal is a file like others: a name that this executor would not give is ignored.
void Run::use_tree(std::size_t i, const protocol::StepTree& tree)
{
    auto& step = *steps_[i];
    if (!step.in_git || !git::is_branch_part(tree.name)) return;
    step.base = tree.base;
    step.laid.clear();
    for (const auto& one : tree.laid) step.laid.push_back({one.commit, one.path});
    step.tree = tree.name;
    step.result.branch = "workflow/" + step.tree;
    step.request.worktree = trees_->path_of(step.tree);
    drop_baseline_of_others(i);
}

void Run::replay(const protocol::StepWaiting& waiting)
{
    if (const auto i = index_of(workflow_, waiting.step))
        steps_[*i]->result.state = StepState::waiting_manual;
}

void Run::replay(const protocol::StepExecuted& executed)
{
    const auto i = index_of(workflow_, executed.result.id);
    if (!i) return;
    Ended ended;
    ended.step = *i;
    ended.state = executed.state;
    ended.reason = executed.reason;
    ended.missing = executed.missing;
    ended.execution = executed.result.execution;
    executed_.insert_or_assign(*i, std::move(ended));
    steps_[*i]->recorded = true;
}

// What was skipped because of failures is decided again.
void Run::replay(const protocol::StepSkipped& skipped)
{
    const auto i = index_of(workflow_, skipped.step);
    if (!i || !skipped.goes_on || scheduler_->node(*i).state != StepState::pending) return;
    scheduler_->resume_skip(*i, skipped.reason);
    auto& result = steps_[*i]->result;
    result.state = StepState::skipped;
    result.tolerated = true;
    result.reason = skipped.reason;
}

void Run::replay(const protocol::StepEnded& end)
{
    const auto found = index_of(workflow_, end.result.id);
    if (!found) return;
    const auto i = *found;
    auto& step = *steps_[i];
    auto& result = step.result;
    executed_.erase(i);
    result.reason = end.result.reason;
    result.code = end.result.code;
    result.ended_at = end.result.ended_at;
    result.duration = end.result.duration;
    result.execution = end.result.execution;
    // Its work exists; whether it can be merged is tried again at the end.
    if (end.late) {
        result.state = scheduler_->node(i).state;
        result.reason.clear();
        result.code.clear();
        step.failed_late = true;
        return;
    }
    if (scheduler_->node(i).state != StepState::running) return;
    step.commit = end.result.commit;
    step.kept = end.kept;
    if (options_.worktrees == WorktreeMode::workflow && !step.commit.empty())
        last_commit_ = step.commit;
    if (end.discarded) {
        step.commit.clear();
        step.kept.clear();
    }
    const auto state = end.result.state;
    if (end.discarded || state == StepState::completed) drop_baseline(i);
    // A failure that counts as skipped was a failure when it ended.
    (void)scheduler_->ended(i, state == StepState::skipped ? StepState::failed : state,
                            {end.provided.begin(), end.provided.end()}, result.reason);
    result.state = scheduler_->node(i).state;
    result.tolerated = end.result.tolerated;
    result.commit = step.commit;
}

void Run::replay(const protocol::GateJudged& judged)
{
    const auto found = index_of(workflow_, judged.step);
    if (!found || !scheduler_->node(*found).judging) return;
    const auto i = *found;
    auto& result = steps_[i]->result;
    if (!judged.passed) {
        scheduler_->fail_judgement(i, judged.reason.empty() ? "it was not judged" : judged.reason);
    } else {
        result.gate_passed = judged.passed;
        const auto verdict = scheduler_->judge(i, *judged.passed);
        if (verdict.kind == Verdict::Kind::back) {
            Parent feedback{result.id, steps_[i]->commit};
            forget_work(verdict.steps);
            drop_baselines(verdict.steps);
            steps_[verdict.to]->feedback = std::move(feedback);
            return;
        }
    }
    const auto& node = scheduler_->node(i);
    result.state = node.state;
    if (node.state == StepState::completed) return;
    result.reason = node.reason;
    result.code = "gate";
    result.tolerated = node.goes_on;
}

// Tried on a copy: what is pending may all be there only to be skipped.
bool Run::anything_left() const
{
    if (scheduler_->in_flight() > 0) return true;
    for (std::size_t i = 0; i < steps_.size(); ++i)
        if (scheduler_->node(i).judging) return true;
    auto rehearsal = *scheduler_;
    Scheduler::Asks asks;
    asks.has_room = [](std::size_t) { return true; };
    asks.condition = [](std::size_t, std::string&) { return true; };
    while (const auto decision = rehearsal.next(asks))
        if (decision->kind == Decision::Kind::start) return true;
    return false;
}

/// A sentence if there is nothing to do.
std::string Run::restart_what_is_asked()
{
    const auto& what = resumption_->what;
    std::vector<std::size_t> roots;
    std::string problems;
    for (const auto& id : what.from) {
        const auto i = index_of(workflow_, id);
        if (i && scheduler_->node(*i).state == StepState::running)
            problems += fmt::format("Step '{}' is in flight.\n", id);
        else if (i)
            roots.push_back(*i);
        else
            problems += fmt::format("There is no step '{}'.\n", id);
    }
    const auto named = roots;
    if (!problems.empty()) return problems;
    const auto failures = scheduler_->failures();
    for (const auto i : failures) {
        const auto& result = steps_[i]->result;
        if (!what.from_failed && result.state != StepState::cancelled &&
            result.code != "merge_conflict")
            continue;
        if (std::find(named.begin(), named.end(), i) == named.end()) roots.push_back(i);
    }
    // Whoever's work is whole begins anew from what it now stands on.
    for (const auto i : roots)
        steps_[i]->goes_on =
            steps_[i]->in_git && !steps_[i]->tree.empty() && steps_[i]->commit.empty();
    // Failed without a failed step: only the work could not be brought together.
    const bool is_over = ended_as_ && (ended_as_ == WorkflowStatus::completed || !failures.empty());
    if (roots.empty() && is_over && !anything_left())
        return failures.empty()
                   ? fmt::format("The run '{}' has completed: there is nothing left to do.",
                                 resumption_->run_id)
                   : fmt::format(
                         "Of the run '{}' {} failed, and nothing else is left to do. To run "
                         "again what failed: --from-failed.",
                         resumption_->run_id, failures.size() == 1 ? "one step" : "some steps");
    scheduler_->set_fail_fast(options_.fail_fast);
    record_start();
    tell_start();
    if (roots.empty()) return {};
    const auto all = scheduler_->restart(roots);
    std::vector<std::string> names;
    std::vector<std::string> ids;
    for (const auto i : roots) names.push_back(workflow_.steps[i].id);
    for (const auto i : all) ids.push_back(workflow_.steps[i].id);
    record(protocol::Restarted{std::move(names), ids});
    forget_work(all);
    drop_baselines(all, roots);
    note_skipped_by_restart();
    WorkflowEvent event;
    event.type = WorkflowEvent::Type::restarted;
    event.steps = std::move(ids);
    tell(std::move(event));
    return {};
}

// With a gate's end that stands, although others run again.
void Run::note_skipped_by_restart()
{
    for (std::size_t i = 0; i < steps_.size(); ++i) {
        auto& result = steps_[i]->result;
        const auto& node = scheduler_->node(i);
        if (node.state != StepState::skipped || result.state != StepState::pending) continue;
        result.state = node.state;
        result.reason = node.reason;
    }
}

void Run::settle_in_flight()
{
    for (std::size_t i = 0; i < steps_.size(); ++i) {
        auto& step = *steps_[i];
        if (scheduler_->node(i).state != StepState::running) continue;
        step.started = context_->options.clock->now();
        occupy(i);
        if (const auto executed = executed_.find(i); executed != executed_.end()) {
            ended_.push_back(executed->second);
        } else if (step.runs_nothing) {
            ended_.push_back({i, {}, {}, StepState::completed});
        } else if (step.result.state == StepState::waiting_manual) {
            if (const auto& timeout = step.request.timeout) step.deadline = step.started + *timeout;
            std::string why;
            if (const auto ec = put_files(i, why))
                take_back(i, StepState::failed, why.empty() ? ec.message() : why);
        } else {
            adopt(i);
        }
        if (scheduler_->node(i).superseded) cancel_step(i, asio::cancellation_type::partial);
    }
}

// Its agent may still be at work, or have finished; or a command may lie there that nobody has
// taken.
void Run::adopt(std::size_t i)
{
    const auto& step = *steps_[i];
    const auto entry = running_entry(context_->options.project_root, step.request.execution_id);
    if (!entry) return settle_by_records(i);
    AttemptReference reference(entry->record.execution_id, entry->record.attempt_id,
                               entry->record.attempt);
    reference.started_at = entry->record.started_at;
    if (const auto& announce = context_->options.on_worktree) announce(step.request.worktree);
    set_before_retry(i);
    auto finish = [self = shared_from_this(), i](std::exception_ptr failure,
                                                 ExecutionResult result) {
        if (!failure) return self->note_adopted(i, std::move(result));
        auto ended = ended_by(i, failure);
        ended.code = "interrupted";
        ended.reason = "What was in flight can't be gone on with: " + ended.reason;
        self->note_ended(std::move(ended));
    };
    asio::co_spawn(
        context_->strand, adopt_attempt(std::move(reference), request_of(i)),
        asio::bind_cancellation_slot(steps_[i]->cancel.slot(),
                                     asio::bind_executor(context_->strand, std::move(finish))));
}

asio::awaitable<ExecutionResult> Run::adopt_attempt(AttemptReference attempt,
                                                    CommandRequest request)
{
    co_await asio::this_coro::reset_cancellation_state(asio::enable_total_cancellation());
    co_await asio::this_coro::throw_if_cancelled(false);
    auto adopting = context_->engine.adopt(std::move(attempt), std::move(request));
    co_return co_await std::move(adopting);
}

void Run::note_adopted(std::size_t i, ExecutionResult result)
{
    const bool lost = result.error && result.error->code == "agent_lost";
    const auto attempts = result.attempts;
    auto ended = ended_with(i, std::move(result));
    if (lost) {
        ended.code = "interrupted";
        ended.reason = fmt::format(
            "Its engine ended while it ran: {}{}", ended.reason,
            workflow_.steps[i].idempotent
                ? fmt::format(" That was attempt {}.", attempts)
                : " It is not idempotent, so it is run again only when asked: --from-failed");
    }
    note_ended(std::move(ended));
}

// Nothing of it is in flight, and how it ended does not stand in the journal: it has never begun,
// or waited for its next attempt, or another engine has tidied up after its own.
void Run::settle_by_records(std::size_t i)
{
    const auto last = last_metric(i);
    if (!last) return begin_work(i);
    const int attempts = last->retry_count + 1;
    if (last->error_message == records::interrupted_message)
        return note_lost(i, attempts, *last->error_message);
    if (last->status != "completed" && attempts < max_attempts(i)) {
        steps_[i]->attempts_left = max_attempts(i) - attempts;
        return begin_work(i);
    }
    ExecutionResult result;
    result.status =
        protocol::parse_execution_status(last->status).value_or(ExecutionStatus::failed);
    result.execution_id = last->execution_id;
    result.attempts = attempts;
    if (last->error_message) result.error = CommandError{*last->error_message, {}, {}, 0};
    note_ended(ended_with(i, std::move(result)));
}

std::optional<ExecutionMetric> Run::last_metric(std::size_t i) const
{
    if (!context_->options.metrics) return std::nullopt;
    MetricsFilter filter;
    filter.execution_id = steps_[i]->request.execution_id;
    filter.limit = 1;
    auto metrics = context_->options.metrics->get_metrics(filter);
    if (metrics.empty()) return std::nullopt;
    return std::move(metrics.front());
}

int Run::max_attempts(std::size_t i) const
{
    const auto& request = steps_[i]->request;
    return request.max_attempts.value_or(request.retry ? request.retry->max_attempts
                                                       : context_->options.max_attempts);
}

// By the rules of retries: again only where that does no harm, and never more often than allowed.
void Run::note_lost(std::size_t i, int attempts, const std::string& reason)
{
    const bool idempotent = workflow_.steps[i].idempotent;
    if (idempotent && attempts < max_attempts(i)) {
        steps_[i]->attempts_left = max_attempts(i) - attempts;
        return begin_work(i);
    }
    Ended ended;
    ended.step = i;
    ended.state = StepState::failed;
    ended.code = "interrupted";
    ended.reason =
        idempotent ? fmt::format("Its engine ended while it ran, in its last attempt: {}", reason)
                   : fmt::format(
                         "Its engine ended while it ran: {} It is not idempotent, so it is run "
                         "again only when asked: --from-failed",
                         reason);
    note_ended(std::move(ended));
}

}  // namespace autoexec::workflow
