#include "workflow/run/step_values.hpp"

#include "workflow/plan/placeholders.hpp"
#include "workflow/run/step_checks.hpp"

#include <fmt/format.h>

#include <optional>
#include <utility>

namespace autoexec::workflow {
namespace {

/// The values of one step. The first one that is missing is `problem`.
class StepValues {
public:
    StepValues(const RunInputs& inputs, const RunState& state, std::size_t step)
        : inputs_(inputs), state_(state), step_(step)
    {}

    std::optional<std::string> operator()(const Placeholder& one)
    {
        switch (one.kind) {
            case Placeholder::Kind::parameter: {
                const auto* const value = inputs_.options.params.if_contains(one.name);
                return value ? std::optional(text_of(*value)) : std::nullopt;
            }
            case Placeholder::Kind::run:
                return one.name == "id" ? state_.run_id : state_.branch;
            case Placeholder::Kind::worktree:
                return state_.step(step_).worktree().string();
            case Placeholder::Kind::step:
                return of_step(one.path);
        }
        return std::nullopt;
    }

    std::string problem;

private:
    std::optional<std::string> of_step(const ExpressionName& path)
    {
        std::string why;
        if (const auto value = named_value(inputs_, state_, step_, false, path, why))
            return text_of(*value);
        if (problem.empty()) problem = fmt::format("'{}' has no value: {}", path.text(), why);
        return std::nullopt;
    }

    const RunInputs& inputs_;
    const RunState& state_;
    std::size_t step_;
};

}  // namespace

std::string fill_command(const RunInputs& inputs, const CommandTable& table, RunState& state,
                         std::size_t i)
{
    const auto& workflow = inputs.workflow;
    auto& step = state.step(i);
    auto& request = step.command.request;
    StepValues values(inputs, state, i);
    const auto value_of = [&values](const Placeholder& one) { return values(one); };
    if (inputs.plan.steps[i].command_waits) set_command(inputs, table, i, value_of, request);
    CommandEnvironment environment;
    environment.working_directory = workflow.steps[i].working_directory;
    auto& variables = environment.variables;
    for (const auto* const some : {&workflow.env, &workflow.steps[i].env})
        for (const auto& [name, text] : *some) variables[name] = fill_placeholders(text, value_of);
    for (const auto& [name, text] : inputs.options.env) variables[name] = text;
    variables["AUTOEXEC_RUN_ID"] = state.run_id;
    variables["AUTOEXEC_WORKFLOW_ID"] = workflow.id;
    variables["AUTOEXEC_STEP_ID"] = step.result.id;
    variables["AUTOEXEC_ROUND"] = std::to_string(step.result.round);
    request.environment = std::move(environment);
    return std::move(values.problem);
}

}  // namespace autoexec::workflow
