#include "workflow/run/run.hpp"

#include "async/cancellation.hpp"
#include "protocol/error_codes.hpp"
#include "protocol/layout.hpp"
#include "records/decisions.hpp"
#include "text/text.hpp"
#include "workflow/run/manual_steps.hpp"
#include "workflow/run/step_checks.hpp"

#include <boost/asio/this_coro.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace autoexec::workflow {
namespace {

using std::chrono::duration_cast;
using std::chrono::milliseconds;

}  // namespace

Run::Run(std::shared_ptr<RunContext> context, Workflow workflow, WorkflowRunOptions options,
         std::optional<Resumption> resumption, ParentRun parent)
    : context_(std::move(context)),
      inputs_{std::move(workflow), std::move(options), {}, {}, std::move(parent)},
      resumption_(std::move(resumption)),
      log_(*context_, inputs_),
      alarm_(context_->options.clock->make_timer(context_->strand))
{}

asio::awaitable<Outcome> execute(std::shared_ptr<RunContext> context, Workflow workflow,
                                 WorkflowRunOptions options, std::optional<Resumption> resumption,
                                 ParentRun parent)
{
    const auto run =
        std::make_shared<Run>(std::move(context), std::move(workflow), std::move(options),
                              std::move(resumption), std::move(parent));
    return run->execute(run);
}

asio::awaitable<Outcome> Run::execute(std::shared_ptr<Run> keep)
{
    // co_spawn passes only terminal cancellation by default.
    co_await asio::this_coro::reset_cancellation_state(asio::enable_total_cancellation());
    co_await asio::this_coro::throw_if_cancelled(false);
    const auto cancellation = co_await asio::this_coro::cancellation_state;
    const async::OnCancel on_cancel(cancellation.slot(), [this](asio::cancellation_type type) {
        requested_ |= type;
        if (git_) git_->cancel(type);
        alarm_->wake();
    });
    co_return co_await async::uncancellable(context_->strand, run(std::move(keep)));
}

asio::awaitable<Outcome> Run::run(std::shared_ptr<Run>)
{
    const auto waiting = context_->slots.wake(*alarm_);
    begun_ = context_->options.clock->now();
    Outcome outcome;
    outcome.result.workflow_id = inputs_.workflow.id;
    outcome.result.status = WorkflowStatus::failed;
    auto opening = resumption_ ? reopen(outcome.ec) : open_new(outcome.ec);
    outcome.result.error = co_await std::move(opening);
    if (cancelled_ && !outcome.ec) {  // while it waited for its group
        outcome.result =
            resumption_ ? end_unstarted(WorkflowStatus::cancelled, outcome.result.error) : finish();
        outcome.ec = log_.error();
        co_return outcome;
    }
    const bool was_cancelled = requested_ != asio::cancellation_type::none;
    if (!outcome.result.error.empty() && was_cancelled && !outcome.ec) {
        outcome.result.status = WorkflowStatus::cancelled;
        co_return outcome;
    }
    if (!outcome.result.error.empty()) {
        if (!outcome.ec) outcome.ec = errc::invalid_workflow;
        co_return outcome;
    }
    co_await loop();
    if (state_->scheduler().finished()) refusal_.clear();  // a gate ended the run
    co_await merge();
    outcome.result = finish();
    outcome.ec = log_.error();
    group_.reset();
    co_return outcome;
}

asio::awaitable<std::string> Run::open_new(error_code& ec)
{
    const auto& options = context_->options;
    auto problem = co_await prepare();
    if (!problem.empty()) co_return problem;
    auto journal = create_journal(ec);
    if (!journal)
        co_return fmt::format("The run cannot be recorded in '{}': {}.",
                              (options.project_root / layout::records).string(), ec.message());
    log_.use(*std::move(journal));
    if (git_->is_open()) git_->use_journal();
    name_run();
    log_.record_start(git_->base(), git_->branch());
    if (git_->is_open()) {
        problem = co_await git_->begin();
    }
    if (!problem.empty()) {
        log_.journal().discard(options.project_root);
        co_return problem;
    }
    log_.notify(WorkflowEvent::Type::run_started);
    co_return co_await enter_group(ec);
}

std::optional<Journal> Run::create_journal(error_code& ec) const
{
    const auto& options = context_->options;
    const auto& id = inputs_.parent.child_id;
    if (!id.empty()) return Journal::create_named(options.project_root, id, options.durability, ec);
    return Journal::create(options.project_root, inputs_.workflow.id, options.clock->system_now(),
                           options.durability, ec);
}

/// The steps know their run from now on.
void Run::name_run()
{
    state_->run_id = log_.run_id();
    state_->branch = git_->branch();
    for (std::size_t i = 0; i < state_->size(); ++i)
        state_->step(i).command.request.workflow_id = log_.run_id();
}

asio::awaitable<std::string> Run::prepare()
{
    auto problem = make_state();
    if (!problem.empty() || inputs_.options.worktrees == WorktreeMode::in_place) co_return problem;
    problem = co_await git_->open();
    if (!problem.empty()) co_return problem;
    if (resumption_) git_->use_journal();
    co_return co_await git_->missing_requirements();
}

std::string Run::make_state()
{
    std::string problems;
    auto parent_run = std::move(inputs_.parent);
    inputs_ = make_inputs(std::move(inputs_.workflow), std::move(inputs_.options), problems);
    inputs_.parent = std::move(parent_run);
    auto commands = make_commands(inputs_, context_->options, problems);
    if (!problems.empty()) return problems;

    const auto& [workflow, options, plan, index, parent] = inputs_;
    Scheduler::Limits limits;
    limits.max_parallel = options.max_parallel > 0 ? options.max_parallel : workflow.max_parallel;
    limits.fail_fast = options.fail_fast && !resumption_;  // not while the journal is replayed
    state_.emplace(inputs_, std::move(commands), limits);
    problems = missing_in_place(inputs_, *state_);
    git_.emplace(*context_, inputs_, *state_, log_);
    auto on_end = [this](StepOutcome outcome) {
        outcomes_.push_back(std::move(outcome));
        alarm_->wake();
    };
    steps_.emplace(*context_, inputs_, *state_, log_, *git_, cancelled_, std::move(on_end));
    steps_->set_owner(weak_from_this());
    steps_->set_limit(std::make_shared<CommandLimit>(limits.max_parallel, parent.limit));
    if (resumption_) steps_->set_child_resumption(resumption_->what);
    log_.on_error = [this] {
        state_->scheduler().stop("The journal cannot be written", Scheduler::Stop::by_failure);
        steps_->cancel_all(asio::cancellation_type::partial);
    };
    return problems;
}

asio::awaitable<void> Run::loop()
{
    const auto& options = context_->options;
    for (;;) {
        check_requests();
        while (!outcomes_.empty()) {
            auto outcome = std::move(outcomes_.front());
            outcomes_.pop_front();
            if (git_->needs_commit(outcome))
                steps_->commit(std::move(outcome));
            else
                conclude(std::move(outcome));
        }
        advance();
        // Also of items that were only now skipped; what waits for the step then starts, or ends.
        if (pick_best() || !outcomes_.empty()) continue;
        if (state_->scheduler().in_flight() == 0 &&
            (state_->scheduler().finished() || !refusal_.empty()))
            co_return;
        co_await alarm_->wait_until(options.clock->now() + options.look_interval);
    }
}

void Run::check_requests()
{
    using asio::cancellation_type;
    if (requested_ != cancellation_type::none)
        cancel((requested_ & cancellation_type::terminal) != cancellation_type::none
                   ? cancellation_type::terminal
                   : cancellation_type::partial);
    else if (take_run_cancel(context_->options.project_root, log_.run_id()))
        cancel(cancellation_type::partial);
    check_time();
    steps_->poll_manual_steps();
    steps_->check_child_runs();
}

void Run::check_time()
{
    const auto& timeout = inputs_.workflow.timeout;
    const bool is_over = timeout && context_->options.clock->now() >= begun_ + *timeout;
    auto& scheduler = state_->scheduler();
    if (!is_over || late_ || cancelled_ || scheduler.has_ended_before(StepPhase::on_failure))
        return;
    late_ = true;
    scheduler.stop("The time limit of the workflow is over", Scheduler::Stop::by_failure);
    steps_->cancel_main();
}

void Run::cancel(asio::cancellation_type how)
{
    const bool hard = how == asio::cancellation_type::terminal;
    if (cancelled_ && (killing_ || !hard)) return;
    cancelled_ = true;
    killing_ = hard;
    state_->scheduler().stop("The workflow was cancelled");
    git_->cancel(how);
    steps_->cancel_all(how);
}

/// Of the steps whose items have all ended. False if there is none.
bool Run::pick_best()
{
    const auto& scheduler = state_->scheduler();
    if (scheduler.stopped() == Scheduler::Stop::by_request) return false;
    bool any = false;
    for (std::size_t i = 0; i < state_->size(); ++i) {
        if (!scheduler.awaits_pick(i)) continue;
        any = true;
        std::string problem;
        if (const auto best = best_item(inputs_, *state_, i, problem))
            pick(i, *best);
        else
            end_unpicked(i, std::move(problem));
    }
    return any;
}

// In memory also if the journal cannot be written: other steps must not wait for it.
void Run::pick(std::size_t i, const BestItem& best)
{
    const auto& result = state_->step(i).result;
    const auto& id = inputs_.workflow.steps[best.step].id;
    log_.record(protocol::StepPicked{result.id, result.round, id, best.value});
    state_->pick(i, best.step);
    WorkflowEvent event;
    event.type = WorkflowEvent::Type::picked;
    event.step_id = result.id;
    event.round = result.round;
    event.state = result.state;
    event.message = fmt::format("'{}' is the best: {}", id, best.value);
    event.steps = {id};
    log_.notify(std::move(event));
}

void Run::end_unpicked(std::size_t i, std::string reason)
{
    const auto& step = state_->step(i);
    const auto& result = step.result;
    if (state_->end_unpicked(i, std::move(reason)) == Scheduler::Unpicked::skipped) {
        log_.record(protocol::StepSkipped{result.id, result.round, result.reason, false});
        log_.notify(WorkflowEvent::Type::step_skipped, step, result.reason);
        return;
    }
    log_.record_end(*state_, i, false, true);
    log_.notify(WorkflowEvent::Type::step_ended, step, result.reason);
    if (state_->scheduler().stopped() == Scheduler::Stop::by_failure) steps_->cancel_main();
}

void Run::advance()
{
    Scheduler::Queries queries;
    // Steps that may not start keep waiting, so that they run when the run is resumed.
    queries.has_room = [this](std::size_t i) {
        const auto& refuse = inputs_.options.refuse_start;
        if (refusal_.empty() && refuse) refusal_ = refuse();
        return refusal_.empty() && steps_->has_room(i);
    };
    queries.condition = [this](std::size_t i, std::string& problem) {
        return condition_holds(inputs_, *state_, context_->options.project_root, i, problem);
    };
    while (const auto decision = state_->scheduler().next(queries)) {
        if (decision->kind == Decision::Kind::start)
            steps_->begin(decision->step, decision->round);
        else
            end_undone(*decision);
    }
}

void Run::conclude(StepOutcome outcome)
{
    const auto i = outcome.step;
    const auto& clock = *context_->options.clock;
    auto& step = state_->step(i);
    auto& result = step.result;
    steps_->release(i);
    result.ended_at = clock.system_now();
    result.duration = duration_cast<milliseconds>(clock.now() - step.since);
    auto provided = provided_by(inputs_.plan, *state_, outcome);
    fail_if_rejected(outcome);
    const auto judged = state_->end(std::move(outcome), std::move(provided));
    const bool discarded = judged == Scheduler::Judged::discarded;
    if (discarded) result.state = StepState::cancelled;
    if (discarded) result.reason = "A gate restarted a step before it";
    step.tree.clear();
    log_.record_end(*state_, i, discarded);
    log_.notify(WorkflowEvent::Type::step_ended, step, result.reason);
    if (judged == Scheduler::Judged::by_gate) judge(i);
    for (const auto k : state_->scheduler().cancelled_by(i))
        steps_->cancel(k, asio::cancellation_type::partial);
    if (state_->scheduler().stopped() == Scheduler::Stop::by_failure) steps_->cancel_main();
}

// If the run was stopped meanwhile, no gate judges the rejection.
void Run::fail_if_rejected(StepOutcome& outcome) const
{
    const auto& scheduler = state_->scheduler();
    const auto& result = state_->step(outcome.step).result;
    if (!is_rejected(result) || outcome.state != StepState::completed) return;
    if (!scheduler.stopped() || scheduler.ignores_stop(outcome.step)) return;
    outcome.state = StepState::failed;
    outcome.reason = sentence_of(*result.answer);
}

void Run::judge(std::size_t i)
{
    auto& step = state_->step(i);
    const auto& result = step.result;
    std::string problem;
    std::string why;
    std::optional<bool> passed = false;
    if (is_rejected(result))
        why = sentence_of(*result.answer);
    else if (passed = gate_passes(inputs_, *state_, i, problem); !passed)
        why = "Its gate cannot be evaluated: " + problem;
    const auto verdict = state_->judge(i, passed, std::move(why));
    const bool has_failed = verdict.kind == Verdict::Kind::fail;
    const auto reason = has_failed ? result.reason : std::string();
    log_.record(protocol::GateJudged{result.id, result.round, passed, result.state, reason});
    if (has_failed) log_.mark(*state_, i);
    if (has_failed) forget_rejected(i);
    log_.notify(
        WorkflowEvent::Type::gate_judged, step,
        has_failed ? reason : fmt::format("The gate {}", *passed ? "passed" : "did not pass"));
    if (verdict.kind == Verdict::Kind::back) send_back(i, verdict);
}

// Without rounds left, a gate rejects all that it would have sent back.
void Run::forget_rejected(std::size_t gate)
{
    steps_->forget_cached(gate);
    const auto& back_to = inputs_.plan.steps[gate].back_to;
    if (!back_to) return;
    for (std::size_t k = 0; k < state_->size(); ++k)
        if (k == *back_to || inputs_.plan.steps[*back_to].leads_to[k]) steps_->forget_cached(k);
}

void Run::send_back(std::size_t gate, const Verdict& verdict)
{
    const auto& result = state_->step(gate).result;
    const auto& to = inputs_.workflow.steps[verdict.to].id;
    WorkflowEvent event;
    event.type = WorkflowEvent::Type::sent_back;
    event.step_id = result.id;
    event.round = result.round;
    event.message = fmt::format("Back to '{}'", to);
    event.steps = ids_of(inputs_.workflow, verdict.steps);
    log_.record(protocol::SentBack{result.id, result.round, to, event.steps});
    for (const auto k : verdict.steps) steps_->forget_cached(k);
    state_->send_back(gate, verdict);
    for (const auto k : verdict.steps)
        if (state_->scheduler().node(k).superseded)
            steps_->cancel(k, asio::cancellation_type::partial);
    log_.notify(std::move(event));
}

/// A step ends without having run.
void Run::end_undone(const Decision& decision)
{
    auto& step = state_->step(decision.step);
    auto& result = step.result;
    result = StepResult{};
    result.id = inputs_.workflow.steps[decision.step].id;
    result.state = state_->scheduler().node(decision.step).state;
    result.reason = decision.reason;
    result.tolerated = decision.goes_on;
    result.ended_at = context_->options.clock->system_now();
    if (decision.kind == Decision::Kind::skip) {
        log_.record(
            protocol::StepSkipped{result.id, decision.round, decision.reason, decision.goes_on});
        log_.notify(WorkflowEvent::Type::step_skipped, step, decision.reason);
        return;
    }
    result.round = decision.round;
    log_.record_end(*state_, decision.step);
    log_.notify(WorkflowEvent::Type::step_ended, step, result.reason);
}

asio::awaitable<void> Run::merge()
{
    if (!git_->is_open() || cancelled_ || !refusal_.empty() || log_.error()) co_return;
    auto merged = co_await git_->merge_all();
    if (const auto conflicting = index_of(inputs_.workflow, merged.conflict)) {
        fail_late(*conflicting, "merge_conflict", std::move(merged.problem));
    } else if (!merged.problem.empty()) {
        commit_ = std::move(merged.commit);
        merge_problem_ = "The work of the steps cannot be merged: " + merged.problem;
    } else {
        commit_ = state_->last_commit = std::move(merged.commit);
        for (std::size_t i = 0; i < state_->size(); ++i) {
            auto* const idle = std::get_if<Idle>(&state_->step(i).phase);
            if (idle && std::exchange(idle->merge_failed, false)) log_.record_end(*state_, i);
        }
        const auto& branch = git_->branch();
        log_.record(protocol::Merged{branch, commit_});
        log_.notify(WorkflowEvent::Type::merged, branch);
    }
    const bool wanted = !inputs_.options.merge_into.empty() && !commit_.empty();
    if (!wanted || !state_->scheduler().failures().empty()) co_return;
    auto problem = co_await git_->merge_into_target(commit_);
    if (!problem.empty()) merge_problem_ = std::move(problem);
}

// It had completed, and its work conflicts with the rest.
void Run::fail_late(std::size_t i, std::string code, std::string reason)
{
    auto& step = state_->step(i);
    state_->scheduler().fail_late(i, reason);
    step.result.state = StepState::failed;
    step.result.code = std::move(code);
    step.result.reason = std::move(reason);
    step.result.tolerated = false;
    log_.record_end(*state_, i, false, true);
    log_.notify(WorkflowEvent::Type::step_ended, step, step.result.reason);
}

WorkflowResult Run::finish()
{
    WorkflowResult result;
    result.run_id = log_.run_id();
    result.workflow_id = inputs_.workflow.id;
    result.duration = duration_cast<milliseconds>(context_->options.clock->now() - begun_);
    result.branch = git_->branch();
    result.commit = commit_;
    for (std::size_t i = 0; i < state_->size(); ++i) {
        const auto& plan = inputs_.plan.steps[i];
        if (plan.part_of) continue;
        result.steps.push_back(state_->step(i).result);
        for (const auto k : plan.parts) result.steps.push_back(state_->step(k).result);
    }
    const auto failures = state_->scheduler().failures();
    result.error = cancelled_          ? "The workflow was cancelled."
                   : !refusal_.empty() ? refusal_
                   : late_ ? fmt::format("The workflow was stopped after its time limit of {}.",
                                         text::format_duration(*inputs_.workflow.timeout))
                   : failures.empty() ? merge_problem_
                                      : failure_sentence(failures);
    result.status = cancelled_             ? WorkflowStatus::cancelled
                    : result.error.empty() ? WorkflowStatus::completed
                                           : WorkflowStatus::failed;
    for (auto& step : result.steps)
        if (step.state == StepState::pending && !refusal_.empty()) step.code = error_codes::budget;
    result.critical_path = critical_path(inputs_.plan, *state_);
    log_.record(protocol::RunEnded{result.status, result.error});
    if (!log_.error()) records::remove_decisions(context_->options.project_root, log_.run_id());
    if (log_.error()) {  // perhaps only now
        result.status = WorkflowStatus::failed;
        result.error = log_.error_sentence();
    }
    notify_end(result);
    return result;
}

void Run::notify_end(const WorkflowResult& result)
{
    WorkflowEvent event;
    event.type = WorkflowEvent::Type::run_ended;
    event.status = result.status;
    event.message = result.error;
    log_.notify(std::move(event));
}

// The first one that was not cancelled because of another.
std::string Run::failure_sentence(const std::vector<std::size_t>& failures) const
{
    const auto by_itself = std::ranges::find_if(failures, [this](std::size_t i) {
        return state_->step(i).result.state != StepState::cancelled;
    });
    const auto i = by_itself == failures.end() ? failures.front() : *by_itself;
    auto text =
        fmt::format("Step '{}': {}", inputs_.workflow.steps[i].id, state_->step(i).result.reason);
    if (failures.size() > 1) text += fmt::format(" (and {} more)", failures.size() - 1);
    return text;
}

}  // namespace autoexec::workflow
