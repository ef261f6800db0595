#include "workflow/run/run_state.hpp"

#include <algorithm>

/// What each transition of a journal means for a run that is resumed. Steps that the workflow no
/// longer has are ignored.
namespace autoexec::workflow {

void RunState::apply(const protocol::JournalEntry& entry)
{
    std::visit([&](const auto& transition) { apply(transition, entry.time); }, entry.transition);
}

void RunState::apply(const protocol::Restarted& restarted, const std::string&)
{
    std::vector<std::size_t> roots;
    for (const auto& id : restarted.roots)
        if (const auto* const step = find(id)) roots.push_back(index(*step));
    (void)restart(roots);
}

void RunState::apply(const protocol::StepStarted& started, const std::string& time)
{
    auto* const step = find(started.step);
    if (step == nullptr) return;
    const auto i = index(*step);
    start(i, std::max(started.round, 1), time, {});
    step->command.request.execution_id = started.execution_id;
    step->tree.clear();
    step->base.clear();
    step->laid.clear();
    if (!step->command.in_git) baselines_.drop_of_others(*step);
    if (started.tree) use_tree(*step, *started.tree);
    scheduler_.resume_start(i, step->result.round);
}

void RunState::apply(const protocol::StepPrepared& prepared, const std::string&)
{
    if (auto* const step = find(prepared.step)) use_tree(*step, prepared.tree);
}

// A journal is a file like others: a name that this executor would not give is ignored.
void RunState::use_tree(StepRun& step, const protocol::StepTree& tree)
{
    if (!step.command.in_git || !git::is_branch_part(tree.name)) return;
    step.base = tree.base;
    step.laid.clear();
    for (const auto& one : tree.laid) step.laid.push_back({one.commit, one.path});
    step.tree = tree.name;
    step.result.branch = "workflow/" + step.tree;
    step.command.request.worktree = trees_folder / step.tree;
    baselines_.drop_of_others(step);
}

void RunState::apply(const protocol::StepReady& ready, const std::string&)
{
    const auto* const step = find(ready.step);
    if (step && ready.artifacts) baselines_.set(*step, *ready.artifacts);
}

void RunState::apply(const protocol::StepWaiting& waiting, const std::string&)
{
    auto* const step = find(waiting.step);
    if (step == nullptr) return;
    step->result.state = StepState::waiting_manual;
    step->phase = WaitingForPerson{};
}

void RunState::apply(const protocol::StepExecuted& executed, const std::string&)
{
    auto* const step = find(executed.result.id);
    if (step == nullptr || !step->in_flight()) return;
    if (step->waits_for_person()) step->phase = Running{};
    step->result.state = StepState::running;
    auto& outcome = step->running()->executed.emplace();
    outcome.step = index(*step);
    outcome.state = executed.state;
    outcome.reason = executed.reason;
    outcome.missing = executed.missing;
    outcome.execution = executed.result.execution;
}

// A step that was skipped because of failures is decided again.
void RunState::apply(const protocol::StepSkipped& skipped, const std::string&)
{
    auto* const step = find(skipped.step);
    if (step == nullptr || !skipped.goes_on) return;
    const auto i = index(*step);
    if (scheduler_.node(i).state != StepState::pending) return;
    scheduler_.resume_skip(i, skipped.reason);
    step->result.state = StepState::skipped;
    step->result.tolerated = true;
    step->result.reason = skipped.reason;
}

void RunState::apply(const protocol::StepEnded& end, const std::string&)
{
    auto* const step = find(end.result.id);
    if (step == nullptr) return;
    const auto i = index(*step);
    auto& result = step->result;
    result.reason = end.result.reason;
    result.code = end.result.code;
    result.ended_at = end.result.ended_at;
    result.duration = end.result.duration;
    result.execution = end.result.execution;
    // Its work exists; merging it is tried again at the end.
    if (end.late) {
        result.state = scheduler_.node(i).state;
        result.reason.clear();
        result.code.clear();
        step->phase = Idle{true};
        return;
    }
    if (scheduler_.node(i).state != StepState::running) return;
    step->phase = Idle{};
    step->commit = end.result.commit;
    step->kept = end.kept;
    if (inputs_.options.worktrees == WorktreeMode::workflow && !step->commit.empty())
        last_commit = step->commit;
    if (end.discarded) {
        step->commit.clear();
        step->kept.clear();
    }
    const auto state = end.result.state;
    if (end.discarded || state == StepState::completed) baselines_.drop(*step);
    // A failure that counts as skipped was a failure when it ended.
    (void)scheduler_.ended(i, state == StepState::skipped ? StepState::failed : state,
                           {end.provided.begin(), end.provided.end()}, result.reason);
    result.state = scheduler_.node(i).state;
    result.tolerated = end.result.tolerated;
    result.commit = step->commit;
}

void RunState::apply(const protocol::GateJudged& judged, const std::string&)
{
    auto* const step = find(judged.step);
    if (step == nullptr) return;
    const auto i = index(*step);
    if (!scheduler_.node(i).judging) return;
    if (!judged.passed) {
        scheduler_.fail_judgement(i, judged.reason.empty() ? "it was not judged" : judged.reason);
    } else {
        step->result.gate_passed = judged.passed;
        const auto verdict = scheduler_.judge(i, *judged.passed);
        if (verdict.kind == Verdict::Kind::back) return send_back(i, verdict);
    }
    if (scheduler_.node(i).state != StepState::completed)
        fail_by_gate(i);
    else
        step->result.state = StepState::completed;
}

}  // namespace autoexec::workflow
