#include "workflow/run/run_state.hpp"

#include "protocol/expected_artifacts.hpp"
#include "workflow/plan/expansion.hpp"

#include <algorithm>
#include <utility>

namespace autoexec::workflow {
namespace {

StepState state_of(ExecutionStatus status)
{
    switch (status) {
        case ExecutionStatus::completed:
            return StepState::completed;
        case ExecutionStatus::timeout:
            return StepState::timeout;
        case ExecutionStatus::cancelled:
            return StepState::cancelled;
        case ExecutionStatus::failed:
            break;
    }
    return StepState::failed;
}

/// A step without work of its own passes on that of the steps before it.
void find_work(const Plan& plan, const RunState& state, std::size_t i, std::vector<bool>& seen,
               std::set<std::size_t>& found)
{
    for (const auto from : plan.steps[i].waits_for) {
        if (seen[from]) continue;
        seen[from] = true;
        if (state.scheduler().is_left_out(from)) continue;
        if (!state.step(from).commit.empty())
            found.insert(from);
        else
            find_work(plan, state, from, seen, found);
    }
}

}  // namespace

StepOutcome StepOutcome::failure(std::size_t step, std::string reason, std::string code)
{
    StepOutcome outcome{step, StepState::failed, std::move(reason), std::move(code)};
    outcome.settled = true;
    return outcome;
}

StepOutcome StepOutcome::failure(std::size_t step, const std::exception_ptr& error)
{
    try {
        std::rethrow_exception(error);
    } catch (const std::exception& e) {
        return failure(step, e.what());
    }
}

StepOutcome StepOutcome::of(std::size_t step, ExecutionResult result)
{
    StepOutcome outcome{step, state_of(result.status)};
    if (result.error) outcome.reason = result.error->message;
    outcome.execution = std::move(result);
    return outcome;
}

void StepRun::resume_session()
{
    const auto& last = result.execution;
    if (last && last->error && !last->session.empty())
        resumed_session = ResumedSession{last->session, last->error->message, last->session_usage};
}

protocol::StepTree StepRun::step_tree() const
{
    protocol::StepTree out{tree, base, {}};
    for (const auto& source : laid) out.laid.push_back({source.commit, source.path});
    return out;
}

RunState::RunState(RunInputs& inputs, std::vector<StepCommand> commands, Scheduler::Limits limits)
    : inputs_(inputs), scheduler_(inputs.workflow, inputs.plan, limits)
{
    for (auto& command : commands) {
        auto& step = steps_.emplace_back(std::move(command));
        step.result.id = inputs.workflow.steps[steps_.size() - 1].id;
    }
}

void RunState::expand(std::size_t i, const boost::json::array& items)
{
    workflow::expand(inputs_.workflow, inputs_.plan, inputs_.index, i, items.size());
    for (auto k = steps_.size(); k < inputs_.workflow.steps.size(); ++k) {
        const auto& all = inputs_.plan.steps[i].parts;
        const auto item = static_cast<std::size_t>(std::ranges::find(all, k) - all.begin());
        auto& part = steps_.emplace_back(steps_[i].command.run_for(item));
        part.result.id = inputs_.workflow.steps[k].id;
        part.command.request.step_id = part.result.id;
        if (!run_id.empty()) part.command.request.workflow_id = run_id;
    }
    scheduler_.grow();
    steps_[i].expanded_in = steps_[i].result.round;
    const auto& parts = inputs_.plan.steps[i].parts;
    for (std::size_t k = 0; k < parts.size(); ++k) {
        scheduler_.set_absent(parts[k], k >= items.size());
        if (k < items.size()) set_item(parts[k], items[k], k + 1);
    }
}

void RunState::pick(std::size_t i, std::size_t part)
{
    scheduler_.pick(i, part);
    for (const auto k : inputs_.plan.steps[i].parts)
        if (k != part && steps_[k].result.state != StepState::completed)
            steps_[k].result.tolerated = true;
}

Scheduler::Unpicked RunState::end_unpicked(std::size_t i, std::string reason)
{
    const auto ended = scheduler_.end_unpicked(i, std::move(reason));
    const auto& node = scheduler_.node(i);
    auto& result = steps_[i].result;
    result.state = node.state;
    result.reason = node.reason;
    result.tolerated = node.goes_on;
    if (ended == Scheduler::Unpicked::failed) result.code = "items";
    return ended;
}

void RunState::set_item(std::size_t part, const boost::json::value& item, std::size_t number)
{
    auto& step = steps_[part];
    auto& definition = inputs_.workflow.steps[part];
    auto& plan = inputs_.plan.steps[part];
    const auto whole = *plan.part_of;
    const auto path_of = [&](const std::string& path) {
        return path_for_item(path, item, number, step.item_problem);
    };
    step.item = item;
    step.number = number;
    step.item_problem.clear();
    const auto& definition_of_all = inputs_.workflow.steps[whole];
    definition.agent = agent_for_item(definition_of_all.agent, item);
    definition.model = agent_for_item(definition_of_all.model, item);
    if (definition.manual)
        definition.manual->by = agent_for_item(definition_of_all.manual->by, item);
    plan.results = path_of(inputs_.plan.steps[whole].results);
    definition.creates.clear();
    for (const auto& path : inputs_.workflow.steps[whole].creates)
        definition.creates.push_back(path_of(path));
    step.command.request.expected_artifacts = artifacts_expected_of(definition, plan);
}

void RunState::start(std::size_t i, int round, protocol::EntryTime started_at, time_point now)
{
    auto& step = steps_[i];
    step.result = StepResult{};
    step.result.id = inputs_.workflow.steps[i].id;
    step.result.state = StepState::running;
    step.result.round = round;
    step.result.started_at = started_at;
    step.phase = Running{};
    step.cache_key.clear();
    step.since = now;
}

void RunState::drop_other_baselines(const StepRun& step)
{
    for (auto& other : steps_)
        if (&other != &step && other.worktree() == step.worktree()) other.baseline.reset();
}

Scheduler::Judged RunState::end(StepOutcome outcome, std::set<std::string> provided)
{
    auto& step = steps_[outcome.step];
    auto& result = step.result;
    const auto judged =
        scheduler_.ended(outcome.step, outcome.state, std::move(provided), outcome.reason);
    const bool discarded = judged == Scheduler::Judged::discarded;
    if (discarded) step.commit.clear();
    if (discarded) step.kept.clear();
    if (discarded || outcome.state == StepState::completed) step.baseline.reset();
    step.phase = Idle{};
    step.resumed_session.reset();
    const auto& node = scheduler_.node(outcome.step);
    result.state = node.state;
    result.tolerated = outcome.state != StepState::completed && node.goes_on;
    result.reason = std::move(outcome.reason);
    result.code = std::move(outcome.code);
    result.execution = std::move(outcome.execution);
    result.warnings = std::move(outcome.warnings);
    result.commit = step.commit;
    return judged;
}

Verdict RunState::judge(std::size_t i, std::optional<bool> passed, std::string reason)
{
    auto& result = steps_[i].result;
    result.gate_passed = passed;
    auto verdict = scheduler_.judge(i, passed, std::move(reason));
    const auto& node = scheduler_.node(i);
    if (verdict.kind != Verdict::Kind::fail) return verdict;
    result.state = node.state;
    result.reason = node.reason;
    result.code = "gate";
    result.tolerated = node.goes_on;
    return verdict;
}

// A step that runs again makes its work again.
void RunState::forget_work(const std::vector<std::size_t>& steps)
{
    for (const auto k : steps) {
        auto& step = steps_[k];
        const auto& node = scheduler_.node(k);
        if (!node.forced) {
            step.feedback = {};
            step.gate_feedback.clear();
        }
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
    auto text = output_of(steps_[gate].result);
    forget_work(verdict.steps);
    for (const auto k : verdict.steps) {
        steps_[k].baseline.reset();
        steps_[k].earlier_child.clear();
    }
    steps_[verdict.to].feedback = std::move(feedback);
    steps_[verdict.to].gate_feedback = std::move(text);
}

std::vector<std::size_t> RunState::restart(const std::vector<std::size_t>& roots)
{
    auto all = scheduler_.restart(roots);
    for (const auto k : all) {
        const bool resumes = std::ranges::find(roots, k) != roots.end() && steps_[k].commit.empty();
        steps_[k].earlier_child = resumes ? steps_[k].result.child_run : std::string();
    }
    forget_work(all);
    for (const auto k : all)
        if (std::ranges::find(roots, k) == roots.end()) steps_[k].baseline.reset();
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

/// The effect of one transition of a journal.
struct RunState::Replay {
    RunState& state;
    std::size_t i;
    protocol::EntryTime time;

    [[nodiscard]] StepRun& step() const { return state.steps_[i]; }

    void operator()(std::monostate) const {}
    void operator()(const protocol::RunStarted&) const { state.ended_as.reset(); }
    void operator()(const protocol::RunWaiting&) const {}
    void operator()(const protocol::Merged& merged) const { state.last_commit = merged.commit; }
    void operator()(const protocol::RunEnded& end) const { state.ended_as = end.status; }
    void operator()(const protocol::SentBack&) const {}  // follows from the judgement

    void operator()(const protocol::Restarted& restarted) const
    {
        std::vector<std::size_t> roots;
        for (const auto& id : restarted.roots)
            if (const auto root = index_of(state.inputs_.workflow, id)) roots.push_back(*root);
        (void)state.restart(roots);
    }

    void operator()(const protocol::StepStarted& started) const
    {
        state.start(i, std::max(started.round, 1), time, {});
        step().command.request.execution_id = started.execution_id;
        step().result.child_run = started.child_run;
        step().earlier_child.clear();
        step().tree.clear();
        step().base.clear();
        step().laid.clear();
        if (!step().command.in_git && !step().command.only_looks)
            state.drop_other_baselines(step());
        // Without more, it was not prepared, or the end of the journal was lost.
        const std::filesystem::path tree = started.worktree;
        if (started.tree)
            use_tree(*started.tree);
        else if (tree.parent_path() == state.trees_folder)
            use_tree({tree.filename().string(), {}, {}});
        state.scheduler_.resume_start(i, step().result.round);
    }

    void operator()(const protocol::StepPrepared& prepared) const { use_tree(prepared.tree); }

    // A journal is a file like others: a name that this executor would not give is ignored.
    void use_tree(const protocol::StepTree& tree) const
    {
        if (!step().command.in_git || !git::is_branch_part(tree.name)) return;
        step().base = tree.base;
        step().laid.clear();
        for (const auto& one : tree.laid) step().laid.push_back({one.commit, one.path});
        step().tree = tree.name;
        auto& worktree = step().command.request.worktree;
        if (step().command.only_looks) {
            worktree = state.trees_folder / step().tree;
            return;
        }
        step().result.branch = "workflow/" + step().tree;
        if (worktree != state.trees_folder / step().tree) step().baseline.reset();
        worktree = state.trees_folder / step().tree;
        state.drop_other_baselines(step());
    }

    void operator()(const protocol::StepReady& ready) const
    {
        if (ready.artifacts) step().baseline = ready.artifacts;
    }

    void operator()(const protocol::StepRetried&) const { ++state.retries; }

    void operator()(const protocol::StepWaiting& waiting) const
    {
        step().result.state = StepState::waiting_manual;
        step().phase = WaitingForPerson{{}, waiting.wait};
    }

    void operator()(const protocol::StepExecuted& executed) const
    {
        if (!step().in_flight()) return;
        if (step().waits_for_person()) step().phase = Running{};
        step().result.state = StepState::running;
        step().result.answer = executed.result.answer;
        step().result.cached_from = executed.result.cached_from;
        auto& outcome = step().running()->executed.emplace(StepOutcome{
            i, executed.state, executed.reason, {}, executed.result.execution, executed.missing});
        outcome.cached = executed.cached;
    }

    // A changed workflow may have no list there any more.
    void operator()(const protocol::StepExpanded& expanded) const
    {
        const auto& plan = state.inputs_.plan;
        const bool fits = expanded.items.size() <= max_items_limit &&
                          plan.steps.size() + expanded.items.size() <= 2 * max_steps;
        if (plan.steps[i].has_items && !step().command.each.empty() && fits)
            state.expand(i, expanded.items);
    }

    void operator()(const protocol::StepPicked& picked) const
    {
        const auto& parts = state.inputs_.plan.steps[i].parts;
        const auto part = index_of(state.inputs_.workflow, picked.picked);
        if (part && std::ranges::find(parts, *part) != parts.end()) state.pick(i, *part);
    }

    // A step that was skipped because of failures is decided again.
    void operator()(const protocol::StepSkipped& skipped) const
    {
        if (!skipped.goes_on || state.scheduler_.node(i).state != StepState::pending) return;
        state.scheduler_.resume_skip(i, skipped.reason);
        step().result.state = StepState::skipped;
        step().result.tolerated = true;
        step().result.reason = skipped.reason;
    }

    void operator()(const protocol::StepEnded& end) const
    {
        const auto& ended = end.result;
        if (end.late && ended.code == "items") {
            if (state.scheduler_.node(i).state == StepState::completed)
                (void)state.end_unpicked(i, ended.reason);
            return;
        }
        // Its work exists; merging it is tried again at the end.
        if (end.late) {
            step().result.state = state.scheduler_.node(i).state;
            step().phase = Idle{true};
        }
        if (end.late || state.scheduler_.node(i).state != StepState::running) return;
        step().commit = ended.commit;
        step().kept = end.kept;
        if (state.inputs_.options.worktrees == WorktreeMode::workflow && !step().commit.empty())
            state.last_commit = step().commit;
        step().cache_key = end.cache_key;
        step().result.answer = ended.answer;
        step().result.cached_from = ended.cached_from;
        step().result.ended_at = ended.ended_at;
        step().result.duration = ended.duration;
        // A failure that counts as skipped was a failure when it ended.
        const auto as = ended.state == StepState::skipped ? StepState::failed : ended.state;
        (void)state.end(StepOutcome{i, as, ended.reason, ended.code, ended.execution},
                        {end.provided.begin(), end.provided.end()});
        step().result.tolerated = ended.tolerated;
        // To be cancelled with the run was no failure that could be tolerated.
        const bool with_run = ended.state == StepState::cancelled && !ended.tolerated;
        if (!with_run || !state.scheduler_.node(i).goes_on) return;
        state.scheduler_.fail_late(i, ended.reason);
        step().result.state = ended.state;
    }

    void operator()(const protocol::GateJudged& judged) const
    {
        if (!state.scheduler_.node(i).judging) return;
        const auto verdict = state.judge(i, judged.passed, judged.reason);
        if (verdict.kind == Verdict::Kind::back) state.send_back(i, verdict);
    }
};

void RunState::apply(const protocol::JournalEntry& entry)
{
    std::size_t i = 0;
    if (const auto* const id = protocol::step_of(entry.transition)) {
        const auto at = inputs_.index.find(*id);
        if (at == inputs_.index.end()) return;
        i = at->second;
    }
    std::visit(Replay{*this, i, entry.time}, entry.transition);
}

std::vector<std::string> ids_of(const Workflow& workflow, const std::vector<std::size_t>& steps)
{
    std::vector<std::string> ids;
    for (const auto i : steps) ids.push_back(workflow.steps[i].id);
    return ids;
}

// On a copy of the scheduler: all pending steps may have to be skipped.
bool anything_left(const RunState& state)
{
    const auto& scheduler = state.scheduler();
    if (scheduler.in_flight() > 0) return true;
    for (std::size_t i = 0; i < state.size(); ++i)
        if (scheduler.node(i).judging || scheduler.awaits_pick(i)) return true;
    auto rehearsal = scheduler;
    Scheduler::Queries queries;
    queries.has_room = [](std::size_t) { return true; };
    queries.condition = [](std::size_t, std::string&) { return true; };
    while (const auto decision = rehearsal.next(queries))
        if (decision->kind == Decision::Kind::start) return true;
    return false;
}

std::set<std::size_t> work_before(const Plan& plan, const RunState& state, std::size_t i)
{
    std::set<std::size_t> found;
    std::vector<bool> seen(state.size());
    find_work(plan, state, i, seen, found);
    return found;
}

std::string output_of(const StepResult& result)
{
    std::string text;
    if (result.answer)
        text = protocol::journal_output(result.answer->reason);
    else if (result.execution)
        text = protocol::journal_output(result.execution->output);
    std::ranges::replace(text, '\0', ' ');  // no command can have it
    text.erase(text.find_last_not_of('\n') + 1);
    return text;
}

// If it failed, those that were verified; if it completed, also those that nothing verified.
std::set<std::string> provided_by(const Plan& plan, const RunState& state,
                                  const StepOutcome& outcome)
{
    std::set<std::string> provided;
    const auto& execution = outcome.execution;
    const bool completed = outcome.state == StepState::completed;
    if (!completed && (!execution || execution->verified == Verification::none)) return provided;
    const auto& missing = execution ? execution->missing_artifacts : outcome.missing;
    const bool required = plan.steps[outcome.step].require_artifacts;
    for (const auto& path : state.step(outcome.step).command.request.expected_artifacts) {
        const bool is_missing = std::ranges::find(missing, path) != missing.end();
        if (is_missing && (!completed || required)) continue;
        if (auto normal = protocol::artifact_path(path)) provided.insert(*std::move(normal));
    }
    return provided;
}

std::vector<std::string> critical_path(const Plan& plan, const RunState& state)
{
    const auto none = state.size();
    std::vector<std::chrono::milliseconds> longest(state.size());
    std::vector<std::size_t> before(state.size(), none);
    std::size_t last = none;
    for (const auto i : plan.order) {
        for (const auto from : plan.steps[i].waits_for) {
            if (longest[from] <= longest[i]) continue;
            longest[i] = longest[from];
            before[i] = from;
        }
        const auto& result = state.step(i).result;
        longest[i] += result.duration;
        if (result.round > 0 && (last == none || longest[i] > longest[last])) last = i;
    }
    std::vector<std::string> path;
    for (auto i = last; i != none; i = before[i])
        if (state.step(i).result.round > 0) path.insert(path.begin(), state.step(i).result.id);
    return path;
}

}  // namespace autoexec::workflow
