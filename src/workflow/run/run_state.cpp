#include "workflow/run/run_state.hpp"

#include "protocol/artifact_path.hpp"

#include <algorithm>
#include <utility>

namespace autoexec::workflow {

time_point StepRun::since() const
{
    if (const auto* const it = std::get_if<Running>(&phase)) return it->since;
    if (const auto* const it = std::get_if<WaitingForPerson>(&phase)) return it->since;
    return {};
}

protocol::StepTree StepRun::step_tree() const
{
    protocol::StepTree out{tree, base, {}};
    for (const auto& source : laid) out.laid.push_back({source.commit, source.path});
    return out;
}

void Baselines::set(const StepRun& step, ArtifactBaseline artifacts)
{
    by_worktree_.insert_or_assign(step.worktree(), Entry{step.result.id, std::move(artifacts)});
}

std::optional<ArtifactBaseline> Baselines::of(const StepRun& step) const
{
    const auto found = by_worktree_.find(step.worktree());
    if (found == by_worktree_.end() || found->second.step != step.result.id) return std::nullopt;
    return found->second.artifacts;
}

void Baselines::drop(const StepRun& step)
{
    if (of(step)) by_worktree_.erase(step.worktree());
}

void Baselines::drop_of_others(const StepRun& step)
{
    if (!of(step)) by_worktree_.erase(step.worktree());
}

RunState::RunState(const RunInputs& inputs, std::vector<StepCommand> commands,
                   Scheduler::Limits limits)
    : inputs_(inputs), scheduler_(inputs.workflow, inputs.plan, limits)
{
    for (auto& command : commands) {
        auto& step = steps_.emplace_back(std::move(command));
        step.result.id = inputs.workflow.steps[index(step)].id;
    }
}

StepRun* RunState::find(const std::string& id)
{
    const auto at = inputs_.index.find(id);
    return at == inputs_.index.end() ? nullptr : &steps_[at->second];
}

std::vector<std::string> RunState::ids_of(const std::vector<std::size_t>& steps) const
{
    std::vector<std::string> ids;
    for (const auto i : steps) ids.push_back(inputs_.workflow.steps[i].id);
    return ids;
}

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

void RunState::start(std::size_t i, int round, std::string started_at, time_point now)
{
    auto& step = steps_[i];
    step.result = StepResult{};
    step.result.id = inputs_.workflow.steps[i].id;
    step.result.state = StepState::running;
    step.result.round = round;
    step.result.started_at = std::move(started_at);
    Running running;
    running.since = now;
    step.phase = std::move(running);
}

// A step that runs again makes its work again.
void RunState::forget_work(const std::vector<std::size_t>& steps)
{
    for (const auto k : steps) {
        auto& step = steps_[k];
        const auto& node = scheduler_.node(k);
        if (!node.forced) step.feedback = {};
        step.commit.clear();
        step.kept.clear();
        if (node.superseded) continue;  // in flight
        step.phase = Idle{};
        step.result.state = StepState::pending;
    }
}

void RunState::send_back(std::size_t gate, const Verdict& verdict)
{
    Parent feedback{inputs_.workflow.steps[gate].id, steps_[gate].commit};
    forget_work(verdict.steps);
    for (const auto k : verdict.steps) baselines_.drop(steps_[k]);
    steps_[verdict.to].feedback = std::move(feedback);
}

std::vector<std::size_t> RunState::restart(const std::vector<std::size_t>& roots)
{
    auto all = scheduler_.restart(roots);
    forget_work(all);
    for (const auto k : all)
        if (std::ranges::find(roots, k) == roots.end()) baselines_.drop(steps_[k]);
    // If a gate had ended the run, and is not among them, other pending steps stay skipped.
    for (std::size_t i = 0; i < size(); ++i) {
        auto& result = steps_[i].result;
        const auto& node = scheduler_.node(i);
        if (node.state != StepState::skipped || result.state != StepState::pending) continue;
        result.state = node.state;
        result.reason = node.reason;
    }
    return all;
}

void RunState::fail_by_gate(std::size_t i)
{
    auto& result = steps_[i].result;
    const auto& node = scheduler_.node(i);
    result.state = node.state;
    result.reason = node.reason;
    result.code = "gate";
    result.tolerated = node.goes_on;
}

// On a copy of the scheduler: all pending steps may have to be skipped.
bool RunState::anything_left() const
{
    if (scheduler_.in_flight() > 0) return true;
    for (std::size_t i = 0; i < size(); ++i)
        if (scheduler_.node(i).judging) return true;
    auto rehearsal = scheduler_;
    Scheduler::Queries queries;
    queries.has_room = [](std::size_t) { return true; };
    queries.condition = [](std::size_t, std::string&) { return true; };
    while (const auto decision = rehearsal.next(queries))
        if (decision->kind == Decision::Kind::start) return true;
    return false;
}

std::set<std::size_t> RunState::work_before(std::size_t i) const
{
    std::set<std::size_t> found;
    std::vector<bool> seen(size());
    find_work(i, seen, found);
    return found;
}

// A step without work of its own passes on that of the steps before it.
void RunState::find_work(std::size_t i, std::vector<bool>& seen, std::set<std::size_t>& found) const
{
    for (const auto from : inputs_.plan.steps[i].waits_for) {
        if (seen[from]) continue;
        seen[from] = true;
        if (!steps_[from].commit.empty())
            found.insert(from);
        else
            find_work(from, seen, found);
    }
}

// If it failed, those that were verified; if it completed, also those that nothing verified.
std::set<std::string> RunState::provided_by(const StepOutcome& outcome) const
{
    std::set<std::string> provided;
    const auto& execution = outcome.execution;
    const bool completed = outcome.state == StepState::completed;
    if (!completed && (!execution || execution->verified == Verification::none)) return provided;
    const auto& missing = execution ? execution->missing_artifacts : outcome.missing;
    const bool required = inputs_.plan.steps[outcome.step].require_artifacts;
    for (const auto& path : steps_[outcome.step].command.request.expected_artifacts) {
        const bool is_missing = std::ranges::find(missing, path) != missing.end();
        if (is_missing && (!completed || required)) continue;
        if (auto normal = protocol::artifact_path(path)) provided.insert(*std::move(normal));
    }
    return provided;
}

std::vector<std::string> RunState::critical_path() const
{
    const auto none = size();
    std::vector<std::chrono::milliseconds> longest(size());
    std::vector<std::size_t> before(size(), none);
    std::size_t last = none;
    for (const auto i : inputs_.plan.order) {
        for (const auto from : inputs_.plan.steps[i].waits_for) {
            if (longest[from] <= longest[i]) continue;
            longest[i] = longest[from];
            before[i] = from;
        }
        const auto& result = steps_[i].result;
        longest[i] += result.duration;
        if (result.round > 0 && (last == none || longest[i] > longest[last])) last = i;
    }
    std::vector<std::string> path;
    for (auto i = last; i != none; i = before[i])
        if (steps_[i].result.round > 0) path.insert(path.begin(), steps_[i].result.id);
    return path;
}

}  // namespace autoexec::workflow
