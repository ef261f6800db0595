#include "workflow/run/step_runner.hpp"

#include "text/text.hpp"
#include "workflow/run/step_cache.hpp"
#include "workflow/run/step_checks.hpp"
#include "workflow/run/step_values.hpp"

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/bind_executor.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <fmt/format.h>

#include <utility>

namespace autoexec::workflow {
namespace {

/// In its own worktree of the run, a step waits for nothing.
std::string turn_of(const StepRun& step, const RunInputs& inputs)
{
    if (step.command.only_looks) return {};
    if (step.command.in_git)
        return inputs.options.worktrees == WorktreeMode::workflow
                   ? fmt::format("{}", fmt::ptr(&inputs))
                   : std::string();
    std::error_code ec;
    const auto real = std::filesystem::weakly_canonical(step.worktree(), ec);
    auto folder = ec ? step.worktree().string() : real.string();
    // The step of the parent run has its turn there: the steps of the child run take turns within
    // it.
    const auto& parent = inputs.parent;
    if (parent.turn.empty() || folder != parent.folder) return folder;
    return fmt::format("{} {}", parent.turn, fmt::ptr(&inputs));
}

}  // namespace

StepRunner::StepRunner(RunContext& context, const RunInputs& inputs, RunState& state, RunLog& log,
                       GitWork& git, const bool& cancelled, std::function<void(StepOutcome)> on_end)
    : context_(context),
      inputs_(inputs),
      state_(state),
      log_(log),
      git_(git),
      cancelled_(cancelled),
      manual_(context, inputs, state, log),
      on_end_(std::move(on_end)),
      child_runs_(std::make_shared<CommandLimit>(0, context.child_runs))
{
    grow();
}

void StepRunner::grow()
{
    slots_.resize(state_.size());
    places_.resize(state_.size());
    while (cancels_.size() < state_.size()) cancels_.emplace_back();
    for (auto i = turns_.size(); i < state_.size(); ++i)
        turns_.push_back(turn_of(state_.step(i), inputs_));
}

bool StepRunner::has_room(std::size_t i) const
{
    const auto& command = state_.step(i).command;
    if (command.runs_nothing) return true;
    // A run without any may always begin one: otherwise, those that wait within others would block.
    const bool is_blocked =
        command.uses_workflow && !child_runs_->is_empty() && !child_runs_->has_room();
    if (is_blocked) return false;
    const bool counts = counts_as_parallel(inputs_.workflow.steps[i]);
    return (!counts || !limit_ || limit_->has_room()) &&
           context_.slots.has_room(command.agent, turns_[i]);
}

void StepRunner::take_slot(std::size_t i)
{
    const auto& command = state_.step(i).command;
    if (command.runs_nothing) return;
    slots_[i] = context_.slots.take(command.agent, turns_[i]);
    if (limit_ && counts_as_parallel(inputs_.workflow.steps[i])) places_[i] = limit_->take();
    if (command.uses_workflow) places_[i] = child_runs_->take();
}

void StepRunner::release(std::size_t i)
{
    places_[i].reset();
    slots_[i].reset();  // wakes other runs
}

void StepRunner::begin(std::size_t i, int round)
{
    const auto& clock = *context_.options.clock;
    state_.start(i, round, clock.system_now(), clock.now());
    take_slot(i);
    begin_work(i);
}

// Also for a step that an earlier executor had begun, and whose command never ran.
void StepRunner::begin_work(std::size_t i)
{
    auto& step = state_.step(i);
    auto& request = step.command.request;
    const bool has_command = !step.command.runs_nothing && !step.command.uses_workflow;
    if (has_command) request.execution_id = text::new_uuid();
    if (step.command.in_git) git_.choose_tree(step);
    if (step.command.uses_workflow) choose_child(i);
    if (is_unwanted(i)) return end_unwanted(i);
    protocol::StepStarted start{step.result.id,
                                step.result.round,
                                request.execution_id,
                                request.worktree.string(),
                                {},
                                step.result.child_run};
    if (step.running()->reuses_tree) start.tree = step.step_tree();
    if (!log_.record(start)) return end_unwanted(i);
    if (!step.command.in_git && !step.command.only_looks) state_.drop_other_baselines(step);
    log_.remove_markers_of(step);
    log_.notify(WorkflowEvent::Type::step_started, step);
    if (!step.command.each.empty()) {
        expand(i);
    } else if (step.command.runs_nothing) {
        on_end_(StepOutcome{i});
    } else if (!step.item_problem.empty()) {
        on_end_(StepOutcome::failure(i, step.item_problem, "value_missing"));
    } else if (step.command.in_git && !step.command.only_looks) {
        spawn(i, prepare_tree(i));
    } else {
        hand_over(i);
    }
}

/// The step itself has ended then: those for its items run.
void StepRunner::expand(std::size_t i)
{
    const auto& result = state_.step(i).result;
    std::string problem;
    const auto items = read_items(inputs_, state_, *context_.options.redactor, i, problem);
    if (!items) return on_end_(StepOutcome::failure(i, std::move(problem), "items"));
    if (!log_.record(protocol::StepExpanded{result.id, result.round, *items}))
        return end_unwanted(i);
    state_.expand(i, *items);
    grow();
    log_.notify_expanded(state_.step(i), items->size());
    on_end_(StepOutcome{i});
}

bool StepRunner::is_unwanted(std::size_t i) const
{
    const auto& scheduler = state_.scheduler();
    return cancelled_ || log_.error() || scheduler.node(i).superseded ||
           scheduler.failure_against(i) ||
           (scheduler.stopped() && *scheduler.stopped() != Scheduler::Stop::by_gate &&
            !scheduler.ignores_stop(i));
}

void StepRunner::end_unwanted(std::size_t i)
{
    auto outcome =
        StepOutcome::failure(i, log_.error() ? "It could not be recorded" : "It was cancelled");
    outcome.state = StepState::cancelled;
    on_end_(std::move(outcome));
}

// A step whose work ends with an exception has an outcome, too.
void StepRunner::spawn(std::size_t i, asio::awaitable<void> work)
{
    auto finish = [this, keep = owner_.lock(), i](std::exception_ptr failure) {
        if (failure) on_end_(StepOutcome::failure(i, failure));
    };
    asio::co_spawn(context_.strand, std::move(work), std::move(finish));
}

asio::awaitable<void> StepRunner::prepare_tree(std::size_t i)
{
    auto problem = co_await git_.prepare_tree(i);
    // A cancellation also ends git processes.
    if (is_unwanted(i)) co_return end_unwanted(i);
    if (problem.empty()) co_return hand_over(i);
    on_end_(
        StepOutcome::failure(i, std::move(problem), std::exchange(state_.step(i).result.code, {})));
}

void StepRunner::hand_over(std::size_t i)
{
    if (auto problem = fill_command(inputs_, context_.options.commands, state_, i);
        !problem.empty())
        return on_end_(StepOutcome::failure(i, std::move(problem), "value_missing"));
    const bool is_manual = inputs_.workflow.steps[i].manual.has_value();
    if (is_manual && state_.step(i).command.only_looks) return manual_.wait(i);
    if (auto problem = missing_requirement(inputs_, state_, i); !problem.empty())
        return on_end_(StepOutcome::failure(i, std::move(problem), "requirement_missing"));
    if (state_.step(i).command.uses_workflow) return start_child(i);
    if (is_manual) return manual_.wait(i);
    if (uses_cache(inputs_, state_, i)) return spawn(i, use_cache(i));
    start_command(i);
}

/// Takes the work of an earlier run, or runs the command.
asio::awaitable<void> StepRunner::use_cache(std::size_t i)
{
    auto found = co_await git_.find_cached(i);
    if (is_unwanted(i)) co_return end_unwanted(i);
    if (!found) co_return start_command(i);
    on_end_(*std::move(found));
}

void StepRunner::start_command(std::size_t i)
{
    const auto& announce = context_.options.on_worktree;
    if (announce) announce(state_.step(i).worktree());
    if (inputs_.options.automatic) return run_command(i);
    if (auto outcome = manual_.publish(i)) on_end_(*std::move(outcome));
}

CommandRequest StepRunner::request_of(std::size_t i)
{
    auto& step = state_.step(i);
    auto request = step.command.request;
    const auto* const running = step.running();
    if (running && running->attempts_left) request.max_attempts = running->attempts_left;
    if (running && running->is_last) request.max_attempts = 1;
    request.artifact_baseline = step.baseline;
    request.resumed_session = step.resumed_session;
    const auto hooks = std::make_shared<CommandHooks>();
    hooks->before_retry = git_.before_retry(i);
    hooks->on_baseline = [this, keep = owner_.lock(), i](ArtifactBaseline baseline) {
        return asio::co_spawn(context_.strand, record_baseline(keep, i, std::move(baseline)),
                              asio::use_awaitable);
    };
    if (inputs_.workflow.max_retries)
        hooks->on_retry = [this, keep = owner_.lock(), i](int attempt) {
            return asio::co_spawn(context_.strand, ask_for_retry(keep, i, attempt),
                                  asio::use_awaitable);
        };
    hooks->on_end = [this, keep = owner_.lock(), i](ExecutionResult result) {
        return asio::co_spawn(context_.strand, record_early(keep, i, std::move(result)),
                              asio::use_awaitable);
    };
    request.hooks = hooks;
    return request;
}

void StepRunner::run_command(std::size_t i)
{
    auto finish = [this, keep = owner_.lock(), i](error_code ec, ExecutionResult result) {
        auto outcome = StepOutcome::of(i, std::move(result));
        if (ec) outcome.state = StepState::failed;
        if (ec && outcome.reason.empty()) outcome.reason = ec.message();
        on_end_(std::move(outcome));
    };
    context_.executor.async_execute_command(
        request_of(i),
        asio::bind_cancellation_slot(cancels_[i].slot(),
                                     asio::bind_executor(context_.strand, std::move(finish))));
}

/// Takes one of the retries that the workflow has left, or says why not. It is in the journal
/// before it is made, so a run that is resumed makes no more.
std::string StepRunner::take_retry(std::size_t i, int attempt)
{
    const auto& max = inputs_.workflow.max_retries;
    if (!max) return {};
    if (state_.retries >= *max)
        return fmt::format("The workflow has used its {} {} (settings.max_retries).", *max,
                           *max == 1 ? "retry" : "retries");
    const auto& result = state_.step(i).result;
    if (!log_.record(protocol::StepRetried{result.id, result.round, attempt}))
        return "The retry could not be recorded.";
    ++state_.retries;
    return {};
}

asio::awaitable<std::string> StepRunner::ask_for_retry(std::shared_ptr<void>, std::size_t i,
                                                       int attempt)
{
    co_return take_retry(i, attempt);
}

asio::awaitable<void> StepRunner::record_baseline(std::shared_ptr<void>, std::size_t i,
                                                  ArtifactBaseline baseline)
{
    auto& step = state_.step(i);
    protocol::StepReady ready{step.result.id, step.result.round, step.worktree().string(),
                              baseline};
    if (!log_.record(ready)) throw system_error(log_.error());
    step.baseline = std::move(baseline);
    co_return;
}

// Before its control files are removed: so the journal always has the end of a command.
asio::awaitable<void> StepRunner::record_early(std::shared_ptr<void>, std::size_t i,
                                               ExecutionResult result)
{
    const auto outcome = StepOutcome::of(i, std::move(result));
    if (!record_executed(outcome)) throw system_error(log_.error());
    co_return;
}

/// Once for each round.
bool StepRunner::record_executed(const StepOutcome& outcome)
{
    auto& step = state_.step(outcome.step);
    auto* const running = step.running();
    if (running && running->executed) return !log_.error();
    if (running) running->executed = outcome;
    step.result.execution = outcome.execution;
    return log_.record(
        protocol::StepExecuted{step.result, outcome.state, outcome.reason, outcome.missing,
                               log_.used_output(outcome.step, step.result), outcome.cached});
}

void StepRunner::commit(StepOutcome outcome)
{
    const auto i = outcome.step;
    if (record_executed(outcome)) return spawn(i, save_work(std::move(outcome)));
    outcome.settled = true;
    on_end_(std::move(outcome));
}

asio::awaitable<void> StepRunner::save_work(StepOutcome outcome)
{
    co_await git_.save(outcome, cancelled_);
    outcome.settled = true;
    on_end_(std::move(outcome));
}

void StepRunner::forget_cached(std::size_t i)
{
    auto key = std::exchange(state_.step(i).cache_key, {});
    if (key.empty() || !git_.is_open()) return;
    asio::co_spawn(context_.strand, git_.drop_cached(std::move(key)),
                   [keep = owner_.lock()](const std::exception_ptr&) {});
}

void StepRunner::poll_manual_steps()
{
    for (std::size_t i = 0; i < state_.size(); ++i) {
        auto outcome = manual_.poll(i);
        if (!outcome) continue;
        // Recorded before the answer is removed: it is never lost.
        if (state_.step(i).result.answer && record_executed(*outcome)) manual_.remove_answer(i);
        on_end_(*std::move(outcome));
    }
}

void StepRunner::cancel(std::size_t i, asio::cancellation_type how)
{
    auto& step = state_.step(i);
    if (step.waits_for_person())
        on_end_(manual_.cancel(i));
    else if (step.in_flight())
        cancels_[i].emit(how);
}

void StepRunner::cancel_main()
{
    for (std::size_t i = 0; i < state_.size(); ++i)
        if (!state_.scheduler().ignores_stop(i)) cancel(i, asio::cancellation_type::partial);
}

void StepRunner::cancel_all(asio::cancellation_type how)
{
    for (std::size_t i = 0; i < state_.size(); ++i) cancel(i, how);
}

}  // namespace autoexec::workflow
