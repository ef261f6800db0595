#include "protocol/artifact_path.hpp"
#include "text/json.hpp"
#include "text/text.hpp"
#include "workflow/journal/results_file.hpp"
#include "workflow/run/run.hpp"

#include <fmt/format.h>

#include <unistd.h>

#include <algorithm>
#include <utility>

/// What a run tells: to its journal, in markers, to who watches, and to conditions.
namespace autoexec::workflow {
namespace {

namespace json = boost::json;

bool has_ended_well(StepState state)
{
    return state == StepState::completed || state == StepState::skipped;
}

}  // namespace

bool Run::record(const protocol::Transition& transition)
{
    if (journal_error_) return false;
    journal_error_ = journal_->append(transition, context_->options.clock->system_now());
    if (!journal_error_) return true;
    scheduler_->stop("The journal can't be written", Scheduler::Stop::by_failure);
    for (std::size_t i = 0; i < steps_.size(); ++i)
        cancel_step(i, asio::cancellation_type::partial);
    return false;
}

void Run::record_start()
{
    const auto& redactor = *context_->options.redactor;
    for (auto& step : steps_) step->request.workflow_id = journal_->run_id();
    protocol::RunStarted start;
    start.run_id = journal_->run_id();
    start.workflow_id = workflow_.id;
    start.name = workflow_.name;
    start.path = workflow_.path;
    start.hash = workflow_.hash;
    start.pid = ::getpid();
    start.automatic = options_.automatic;
    start.fail_fast = options_.fail_fast;
    start.max_parallel = options_.max_parallel;
    start.worktrees = options_.worktrees;
    start.worktree = context_->absolute(options_.worktree).string();
    if (trees_) start.base = trees_->base();
    if (trees_) start.branch = trees_->branch();
    start.merge_into = options_.merge_into;
    for (const auto& [name, value] : options_.params)
        start.params[name] =
            value.is_string() ? json::value(redactor.redact(value.get_string())) : value;
    for (const auto& step : workflow_.steps)
        start.steps.push_back({step.id, step.agent, step.action});
    record(start);
}

void Run::tell_start() const
{
    WorkflowEvent event;
    event.type = WorkflowEvent::Type::run_started;
    tell(std::move(event));
}

/// Once for each round.
bool Run::record_executed(const Ended& ended)
{
    auto& step = *steps_[ended.step];
    if (std::exchange(step.recorded, true)) return !journal_error_;
    step.result.execution = ended.execution;
    return record(protocol::StepExecuted{step.result, ended.state, ended.reason, ended.missing});
}

void Run::record_end(std::size_t i, bool discarded, bool late)
{
    const auto& provided = scheduler_->node(i).provided;
    record(protocol::StepEnded{
        steps_[i]->result, discarded, late, {provided.begin(), provided.end()}, steps_[i]->kept});
}

void Run::mark(std::size_t i) const
{
    const auto& step = workflow_.steps[i];
    const auto& result = steps_[i]->result;
    Marker marker;
    marker.workflow_id = journal_->run_id();
    marker.step_id = step.id;
    marker.agent = step.agent;
    marker.action = step.action;
    std::transform(marker.action.begin(), marker.action.end(), marker.action.begin(), [](char c) {
        return c == '_' ? '-' : c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
    });
    marker.done = has_ended_well(result.state);
    marker.timestamp = text::iso_local(context_->options.clock->system_now());
    marker.error = result.reason;
    marker.worktree_path = steps_[i]->request.worktree.string();
    marker.worktree_name = steps_[i]->request.worktree.filename().string();
    marker.expected_artifacts = steps_[i]->request.expected_artifacts;
    const auto& provided = scheduler_->node(i).provided;
    marker.found_artifacts.assign(provided.begin(), provided.end());
    marker.duration_seconds = std::chrono::duration<double>(result.duration).count();
    marker.started_at = result.started_at;
    marker.completed_at = result.ended_at;
    if (result.execution && result.execution->error)
        marker.error_type = result.execution->error->code;
    // The journal is the truth; a marker that can't be written is missed by scripts alone.
    (void)write_marker(context_->options.project_root, marker);
}

void Run::tell(WorkflowEvent event) const
{
    if (!options_.on_event) return;
    event.run_id = journal_->run_id();
    options_.on_event(event);
}

void Run::tell_step(WorkflowEvent::Type type, std::size_t i, std::string message) const
{
    const auto& result = steps_[i]->result;
    WorkflowEvent event;
    event.type = type;
    event.step_id = result.id;
    event.round = result.round;
    event.state = result.state;
    event.message = std::move(message);
    event.worktree = steps_[i]->request.worktree;
    event.result = &result;
    tell(std::move(event));
}

ExpressionValues Run::values_for(std::size_t i, bool in_gate)
{
    ExpressionValues values;
    values.value_of = [this, i, in_gate](const ExpressionName& name, std::string& problem) {
        return value_of(i, in_gate, name, problem);
    };
    values.exists = [this, i, in_gate](const std::string& path) {
        return exists(i, in_gate, path);
    };
    return values;
}

// Before a step runs, its worktree is not there: it will hold what those have made that it waits
// for.
bool Run::exists(std::size_t i, bool in_gate, const std::string& path) const
{
    if (in_gate || !steps_[i]->in_git) return is_in_worktree(steps_[i]->request.worktree, path);
    std::set<std::size_t> parents;
    std::vector<bool> seen(steps_.size());
    find_parents(i, seen, parents);
    for (const auto k : parents)
        if (is_in_worktree(steps_[k]->request.worktree, path)) return true;
    return parents.empty() && is_in_worktree(context_->options.project_root, path);
}

std::optional<json::value> Run::value_of(std::size_t i, bool in_gate, const ExpressionName& name,
                                         std::string& problem)
{
    const auto meaning = meaning_of(name, index_);
    switch (meaning.kind) {
        case Meaning::Kind::parameter:
            if (const auto* const value = options_.params.if_contains(meaning.rest)) return *value;
            problem = fmt::format("the parameter '{}' was not given", meaning.rest);
            return std::nullopt;
        case Meaning::Kind::step_field: {
            auto value = field_of(meaning.step, meaning.field, problem);
            if (value.is_null()) return std::nullopt;
            return value;
        }
        case Meaning::Kind::step_result:
            i = meaning.step;
            break;
        case Meaning::Kind::other:
            if (in_gate) break;
            problem = fmt::format("there is no '{}'", name.text());
            return std::nullopt;
    }
    const auto results = results_of(i, problem);
    if (!results) return std::nullopt;
    if (meaning.path.size() == 2 && meaning.path[0] == "scoring" && meaning.path[1] == "passed") {
        const auto passed = scoring_passed(*results, workflow_.steps[i], problem);
        return passed ? std::optional<json::value>(*passed) : std::nullopt;
    }
    return value_at(*results, meaning.path, problem);
}

json::value Run::field_of(std::size_t i, StepField field, std::string& problem) const
{
    const auto& result = steps_[i]->result;
    switch (field) {
        case StepField::outcome:
            return json::value(to_string(result.state));
        case StepField::attempts:
            return result.execution ? result.execution->attempts : 0;
        case StepField::round:
            return result.round;
        case StepField::verified:
            return json::value(
                to_string(result.execution ? result.execution->verified : Verification::none));
        case StepField::exit_code:
            break;
    }
    if (result.execution && result.execution->exit_code) return *result.execution->exit_code;
    problem = fmt::format("no exit code is known of '{}'", result.id);
    return nullptr;
}

std::optional<json::object> Run::results_of(std::size_t i, std::string& problem) const
{
    if (steps_[i]->result.state == StepState::skipped || steps_[i]->result.round == 0) {
        problem =
            fmt::format("'{}' has not run, so there are no results of it", workflow_.steps[i].id);
        return std::nullopt;
    }
    // What was there before says nothing of this attempt.
    const auto& execution = steps_[i]->result.execution;
    const auto own = protocol::artifact_path(plan_.steps[i].results);
    const auto is_own = [&](const std::string& path) {
        return protocol::artifact_path(path) == own;
    };
    if (execution && std::any_of(execution->missing_artifacts.begin(),
                                 execution->missing_artifacts.end(), is_own)) {
        problem = fmt::format("'{}' has not written '{}' anew", workflow_.steps[i].id,
                              plan_.steps[i].results);
        return std::nullopt;
    }
    return read_results(steps_[i]->request.worktree, plan_.steps[i].results, problem);
}

std::set<std::string> Run::provided_by(std::size_t i, const Ended& ended) const
{
    std::set<std::string> provided;
    const auto& execution = ended.execution;
    const bool completed = ended.state == StepState::completed;
    // Of what failed, that which was seen to be there; of what completed, also that which nobody
    // was asked to see.
    if (!completed && (!execution || execution->verified == Verification::none)) return provided;
    const auto& missing = execution ? execution->missing_artifacts : ended.missing;
    for (const auto& path : steps_[i]->request.expected_artifacts) {
        const bool is_missing = std::find(missing.begin(), missing.end(), path) != missing.end();
        if (is_missing && (!completed || plan_.steps[i].require_artifacts)) continue;
        if (auto normal = protocol::artifact_path(path)) provided.insert(*std::move(normal));
    }
    return provided;
}

bool Run::has_room(std::size_t i) const
{
    const auto& step = *steps_[i];
    if (step.runs_nothing) return true;
    if (!step.turn.empty() && context_->busy_trees.contains(step.turn)) return false;
    const auto limit = context_->options.agent_limits.find(step.agent);
    if (limit == context_->options.agent_limits.end() || limit->second == 0) return true;
    const auto busy = context_->busy_agents.find(step.agent);
    return busy == context_->busy_agents.end() || busy->second < limit->second;
}

void Run::occupy(std::size_t i)
{
    const auto& step = *steps_[i];
    if (step.runs_nothing) return;
    if (!step.turn.empty()) context_->busy_trees.insert(step.turn);
    ++context_->busy_agents[step.agent];
}

void Run::give_back(std::size_t i)
{
    const auto& step = *steps_[i];
    if (step.runs_nothing) return;
    if (!step.turn.empty()) context_->busy_trees.erase(step.turn);
    --context_->busy_agents[step.agent];
}

void Run::release(std::size_t i)
{
    give_back(i);
    for (auto* const timer : context_->waiting)
        if (timer != alarm_.get()) timer->wake();
}

std::string Run::now_text() const
{
    return text::iso_utc(context_->options.clock->system_now());
}

}  // namespace autoexec::workflow
