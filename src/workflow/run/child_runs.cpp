#include "protocol/error_codes.hpp"
#include "text/text.hpp"
#include "workflow/run/run.hpp"
#include "workflow/run/step_runner.hpp"
#include "workflow/run/step_values.hpp"

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/bind_executor.hpp>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <utility>

/// Steps that use a workflow: it runs in a run of its own, the child run, whose id is in the
/// journal before it starts. Its work is that of the step.
namespace autoexec::workflow {
namespace {

constexpr std::string_view own_variables = "AUTOEXEC_";

bool is_held_back(const StepResult& step)
{
    const bool is_pending = step.state == StepState::pending && step.code == error_codes::budget;
    const auto& error = step.execution ? step.execution->error : std::nullopt;
    return is_pending || step.code == error_codes::budget ||
           (error &&
            (error->code == error_codes::budget || error->code == error_codes::agent_unavailable));
}

/// The code of a step whose child run has failed. With some codes, a resumption of the parent run
/// resumes the child run, too.
std::string code_of(const WorkflowResult& child)
{
    if (std::ranges::any_of(child.steps, is_held_back)) return error_codes::budget;
    const auto conflicts = [](const StepResult& step) { return step.code == "merge_conflict"; };
    return std::ranges::any_of(child.steps, conflicts) ? "merge_conflict" : "child_run";
}

std::string on_one_line(std::string lines)
{
    lines.erase(lines.find_last_not_of('\n') + 1);
    std::ranges::replace(lines, '\n', ' ');
    return lines;
}

/// How it ended, by its journal.
WorkflowResult result_of(const RunRecord& record)
{
    WorkflowResult result;
    result.run_id = record.run_id;
    result.workflow_id = record.workflow_id;
    result.status = record.status;
    result.error = record.error;
    result.branch = record.branch;
    result.commit = record.commit;
    return result;
}

}  // namespace

/// The id of the child run of a round: a new one, or that of the run which the round resumes.
void StepRunner::choose_child(std::size_t i)
{
    auto& step = state_.step(i);
    const auto& options = context_.options;
    auto earlier = std::exchange(step.earlier_child, {});
    std::string ignored;
    const bool same_start = !step.command.in_git || step.running()->reuses_tree;
    const auto record = earlier.empty() || !same_start
                            ? std::nullopt
                            : read_run(options.project_root, earlier, ignored);
    // A journal may name any run.
    const bool is_own = record && !record->transitions.empty() &&
                        record->parent_run == log_.run_id() &&
                        record->parent_step == step.result.id;
    if (is_own) {
        step.result.child_run = step.earlier_child = std::move(earlier);
        return;
    }
    step.result.child_run = free_run_id(options.project_root, inputs_.workflow.steps[i].used->id,
                                        options.clock->system_now(), context_.child_ids);
    context_.child_ids.insert(step.result.child_run);
}

void StepRunner::start_child(std::size_t i)
{
    auto& step = state_.step(i);
    const bool resumes = !step.earlier_child.empty();
    if (resumes && step.command.in_git && !step.running()->reuses_tree) {
        // It starts from another commit now.
        choose_child(i);
        const protocol::StepStarted start{
            step.result.id,           step.result.round, {},
            step.worktree().string(), step.step_tree(),  step.result.child_run};
        if (!log_.record(start)) return end_unwanted(i);
        return execute_child(i, false);
    }
    step.earlier_child.clear();
    execute_child(i, resumes);
}

/// Of a step that was in flight when the earlier executor ended.
void StepRunner::resume_child(std::size_t i)
{
    auto& step = state_.step(i);
    const auto& options = context_.options;
    const auto& id = step.result.child_run;
    const bool is_prepared = !step.command.in_git || !step.base.empty();
    std::string problem;
    const auto record =
        id.empty() || !is_prepared ? std::nullopt : read_run(options.project_root, id, problem);
    const auto journal = state_folder(options.project_root).path() / journal_name(id);
    std::error_code ignored;
    if (!record && is_prepared && !id.empty() && std::filesystem::exists(journal, ignored))
        return on_end_(StepOutcome::failure(i, std::move(problem), "interrupted"));
    // It has not begun.
    if (!record || record->transitions.empty()) return begin_work(i);
    if (record->parent_run != log_.run_id() || record->parent_step != step.result.id)
        return on_end_(StepOutcome::failure(
            i, fmt::format("The run '{}' is not one of this step", id), "interrupted"));
    if (record->status == WorkflowStatus::completed) return finish_child(i, result_of(*record));
    // The child run has its own copy, for a value that is no longer there.
    if (!fill_command(inputs_, options.commands, state_, i).empty()) step.params.clear();
    execute_child(i, true);
}

void StepRunner::execute_child(std::size_t i, bool is_resumed)
{
    auto& step = state_.step(i);
    step.running()->has_child = true;
    std::optional<Resumption> resumption;
    if (is_resumed) {
        resumption.emplace();
        resumption->run_id = step.result.child_run;
        resumption->what.from_failed = child_resumption_.from_failed;
        resumption->what.accept_changed = child_resumption_.accept_changed;
    }
    auto finish = [this, keep = owner_.lock(), i](error_code ec, WorkflowResult result) {
        auto& child = state_.step(i).result.child_run;
        std::string ignored;
        // It had ended, and a resumption has nothing to do.
        const auto record = ec == errc::invalid_workflow && result.run_id.empty()
                                ? read_run(context_.options.project_root, child, ignored)
                                : std::nullopt;
        if (record && record->status != WorkflowStatus::running) {
            const auto refusal = std::exchange(result, result_of(*record)).error;
            result.error += fmt::format(" ({})", refusal);
        } else if (ec) {
            result.status = WorkflowStatus::failed;
            if (result.error.empty()) result.error = ec.message();
        }
        finish_child(i, std::move(result));
    };
    auto handler = asio::bind_cancellation_slot(
        cancels_[i].slot(),
        asio::bind_executor(asio::any_io_executor(context_.strand), std::move(finish)));
    auto parent = parent_of_child(i);
    auto options = options_of_child(i);
    auto workflow = *inputs_.workflow.steps[i].used;
    async::launch(context_.strand,
                  execute(context_.shared_from_this(), std::move(workflow), std::move(options),
                          std::move(resumption), std::move(parent)),
                  std::move(handler));
}

WorkflowRunOptions StepRunner::options_of_child(std::size_t i) const
{
    const auto& step = state_.step(i);
    const auto& own = inputs_.options;
    const auto mode = inputs_.workflow.steps[i].used->worktrees;
    WorkflowRunOptions options;
    options.worktrees = WorktreeMode::in_place;
    if (step.command.in_git) {
        // In place would be in the worktree of the step, where nothing is committed.
        options.worktrees = mode == WorktreeMode::in_place ? WorktreeMode::workflow : mode;
        options.base = step.base;
    } else {
        options.worktree = step.worktree();
    }
    options.params = step.params;
    options.env = own.env;
    options.automatic = own.automatic;
    options.fail_fast = own.fail_fast;
    options.max_parallel = own.max_parallel;
    options.max_attempts = own.max_attempts;
    // A gate that goes back wants other work, and so does a restart.
    options.use_cache = own.use_cache && step.result.round == 1;
    options.refuse_start = own.refuse_start;
    if (!own.on_event) return options;
    options.on_event = [notify = own.on_event, id = step.result.id](const WorkflowEvent& event) {
        auto passed_on = event;
        passed_on.parent_steps =
            event.parent_steps.empty() ? id : fmt::format("{}/{}", id, event.parent_steps);
        notify(passed_on);
    };
    return options;
}

ParentRun StepRunner::parent_of_child(std::size_t i) const
{
    const auto& step = state_.step(i);
    ParentRun parent;
    parent.run_id = log_.run_id();
    parent.step_id = step.result.id;
    parent.child_id = step.result.child_run;
    parent.limit = limit_;
    if (const auto& environment = step.command.request.environment)
        for (const auto& [name, text] : environment->variables)
            if (!name.starts_with(own_variables)) parent.env.emplace(name, text);
    if (step.command.in_git) return parent;
    std::error_code ec;
    const auto real = std::filesystem::weakly_canonical(step.worktree(), ec);
    parent.folder = ec ? step.worktree().string() : real.string();
    parent.turn = turns_[i];
    return parent;
}

void StepRunner::finish_child(std::size_t i, WorkflowResult result)
{
    const auto& step = state_.step(i);
    StepOutcome outcome{i};
    if (result.status == WorkflowStatus::cancelled) {
        outcome.state = StepState::cancelled;
        outcome.reason = fmt::format("The child run {} was cancelled", step.result.child_run);
    } else if (result.status == WorkflowStatus::failed) {
        outcome.state = StepState::failed;
        outcome.code = code_of(result);
        outcome.reason = fmt::format("The child run {} failed: {}", step.result.child_run,
                                     on_one_line(std::move(result.error)));
    }
    auto* const running = state_.step(i).running();
    running->has_child = false;
    if (running->is_over_time && outcome.state != StepState::completed) {
        outcome.state = StepState::timeout;
        outcome.reason = fmt::format("The child run {} was stopped after the time limit of {}",
                                     step.result.child_run,
                                     text::format_duration(*inputs_.workflow.steps[i].timeout));
    }
    const bool has_work =
        step.command.in_git && !result.commit.empty() &&
        (outcome.state == StepState::completed || outcome.state == StepState::failed);
    if (has_work) return spawn(i, take_work(std::move(outcome), std::move(result.commit)));
    check_artifacts(outcome);
    on_end_(std::move(outcome));
}

asio::awaitable<void> StepRunner::take_work(StepOutcome outcome, std::string commit)
{
    auto problem = co_await git_.take_work(outcome.step, std::move(commit));
    if (!problem.empty() && cancelled_) {
        outcome.state = StepState::cancelled;
        outcome.reason = "It was cancelled before it had the work of its child run: " + problem;
    } else if (!problem.empty()) {
        outcome = StepOutcome::failure(
            outcome.step, "The work of its child run cannot be used: " + problem, "worktree");
    }
    check_artifacts(outcome);
    on_end_(std::move(outcome));
}

/// What the step creates, in its worktree: no command reported it.
void StepRunner::check_artifacts(StepOutcome& outcome) const
{
    const auto& request = state_.step(outcome.step).command.request;
    if (request.expected_artifacts.empty() || outcome.state == StepState::cancelled) return;
    std::string why;
    error_code ec;
    const auto mailbox = context_.options.handoff->open(request.worktree, ec, why);
    if (!mailbox) return;
    for (const auto& path : request.expected_artifacts)
        if (!mailbox->artifact(path).present) outcome.missing.push_back(path);
    if (outcome.missing.empty() || outcome.state != StepState::completed ||
        !request.require_artifacts)
        return;
    outcome.state = StepState::failed;
    outcome.reason = fmt::format("Its child run completed, but these artifacts are missing: {}",
                                 fmt::join(outcome.missing, ", "));
}

// A cancellation that comes before the child run listens is lost, so it is repeated.
void StepRunner::check_child_runs()
{
    for (std::size_t i = 0; i < state_.size(); ++i) {
        auto& step = state_.step(i);
        auto* const running = step.running();
        if (running == nullptr || !running->has_child) continue;
        const auto& timeout = step.command.request.timeout;
        running->is_over_time |= timeout && context_.options.clock->now() >= step.since + *timeout;
        if (running->is_over_time || is_unwanted(i)) cancel(i, asio::cancellation_type::partial);
    }
}

}  // namespace autoexec::workflow
