#include "workflow/run/condition_values.hpp"

#include "protocol/artifact_path.hpp"
#include "workflow/journal/results_file.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace autoexec::workflow {

namespace json = boost::json;

std::optional<bool> ConditionValues::condition(std::size_t i, std::string& problem) const
{
    return inputs_.plan.steps[i].condition.evaluate(values_for(i, false), problem);
}

std::optional<bool> ConditionValues::gate(std::size_t i, std::string& problem) const
{
    return inputs_.plan.steps[i].gate.evaluate(values_for(i, true), problem);
}

ExpressionValues ConditionValues::values_for(std::size_t i, bool in_gate) const
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

// Before a step runs, it has no worktree: it will contain the work of the steps before it.
bool ConditionValues::exists(std::size_t i, bool in_gate, const std::string& path) const
{
    const auto& step = state_.step(i);
    if (in_gate || !step.command.in_git) return is_in_worktree(step.worktree(), path);
    const auto before = state_.work_before(i);
    for (const auto k : before)
        if (is_in_worktree(state_.step(k).worktree(), path)) return true;
    return before.empty() && is_in_worktree(root_, path);
}

std::optional<json::value> ConditionValues::value_of(std::size_t i, bool in_gate,
                                                     const ExpressionName& name,
                                                     std::string& problem) const
{
    const auto meaning = meaning_of(name, inputs_.index);
    switch (meaning.kind) {
        case Meaning::Kind::parameter:
            if (const auto* const value = inputs_.options.params.if_contains(meaning.rest))
                return *value;
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
        const auto passed = scoring_passed(*results, inputs_.workflow.steps[i], problem);
        return passed ? std::optional<json::value>(*passed) : std::nullopt;
    }
    return value_at(*results, meaning.path, problem);
}

json::value ConditionValues::field_of(std::size_t i, StepField field, std::string& problem) const
{
    const auto& result = state_.step(i).result;
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
    problem = fmt::format("the exit code of '{}' is unknown", result.id);
    return nullptr;
}

std::optional<json::object> ConditionValues::results_of(std::size_t i, std::string& problem) const
{
    const auto& step = state_.step(i);
    const auto& result = step.result;
    const auto& file = inputs_.plan.steps[i].results;
    if (result.state == StepState::skipped || result.round == 0) {
        problem = fmt::format("'{}' has not run, so it has no results", result.id);
        return std::nullopt;
    }
    // A file from before the attempt is not its result.
    const auto own = protocol::artifact_path(file);
    const auto is_own = [&](const std::string& path) {
        return protocol::artifact_path(path) == own;
    };
    if (result.execution && std::ranges::any_of(result.execution->missing_artifacts, is_own)) {
        problem = fmt::format("'{}' has not written a new '{}'", result.id, file);
        return std::nullopt;
    }
    return read_results(step.worktree(), file, problem);
}

}  // namespace autoexec::workflow
