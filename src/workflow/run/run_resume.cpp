#include "workflow/run/run.hpp"

#include <fmt/format.h>

#include <algorithm>

/// How a run is resumed: its journal is replayed, requested steps are restarted, and steps in
/// flight are adopted.
namespace autoexec::workflow {

/// A sentence if there is nothing to do.
std::string Run::resume(const ReopenedJournal& journal)
{
    for (std::size_t i = 0; i < state_->size(); ++i)
        state_->step(i).command.request.workflow_id = log_.run_id();
    git_->set_changed(journal.has_changed);
    for (const auto& entry : journal.entries) state_->apply(entry);
    if (auto problem = restart_requested(); !problem.empty()) return problem;
    const auto& scheduler = state_->scheduler();
    for (std::size_t i = 0; i < state_->size(); ++i)
        if (scheduler.node(i).state == StepState::running) steps_->resume(i);
    for (std::size_t i = 0; i < state_->size(); ++i)
        if (scheduler.node(i).judging) judge(i);
    return {};
}

std::string Run::restart_requested()
{
    const auto& what = resumption_->what;
    auto& scheduler = state_->scheduler();
    std::vector<std::size_t> roots;
    std::string problems;
    for (const auto& id : what.from) {
        const auto i = index_of(inputs_.workflow, id);
        if (i && scheduler.node(*i).state == StepState::running)
            problems += fmt::format("Step '{}' is in flight.\n", id);
        else if (i)
            roots.push_back(*i);
        else
            problems += fmt::format("There is no step '{}'.\n", id);
    }
    if (!problems.empty()) return problems;
    const auto named = roots;
    const auto failures = scheduler.failures();
    for (const auto i : failures) {
        const auto& result = state_->step(i).result;
        const bool wanted = what.from_failed || result.state == StepState::cancelled ||
                            result.code == "merge_conflict";
        if (wanted && std::ranges::find(named, i) == named.end()) roots.push_back(i);
    }
    // A step whose work is committed restarts in a new worktree.
    for (std::size_t i = 0; i < state_->size(); ++i) {
        auto& step = state_->step(i);
        const bool reuses = std::ranges::find(roots, i) != roots.end() && step.commit.empty();
        if (!step.in_flight() && !reuses) step.tree.clear();
    }
    // A run that failed without a failed step has only its merge left to do.
    const bool is_over =
        state_->ended_as && (state_->ended_as == WorkflowStatus::completed || !failures.empty());
    if (roots.empty() && is_over && !state_->anything_left())
        return failures.empty()
                   ? fmt::format("The run '{}' has completed: there is nothing left to do.",
                                 resumption_->run_id)
                   : fmt::format(
                         "In the run '{}', {} failed, and nothing else is left to do. To run "
                         "again what failed: --from-failed.",
                         resumption_->run_id, failures.size() == 1 ? "one step" : "some steps");
    scheduler.set_fail_fast(inputs_.options.fail_fast);
    log_.record_start(git_->base(), git_->branch());
    log_.notify(WorkflowEvent::Type::run_started);
    if (roots.empty()) return {};
    const auto all = state_->restart(roots);
    WorkflowEvent event;
    event.type = WorkflowEvent::Type::restarted;
    event.steps = state_->ids_of(all);
    log_.record(protocol::Restarted{state_->ids_of(roots), event.steps});
    log_.notify(std::move(event));
    return {};
}

}  // namespace autoexec::workflow
