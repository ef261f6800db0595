#include "workflow/run/step_values.hpp"

#include "text/json.hpp"
#include "workflow/plan/expansion.hpp"
#include "workflow/plan/params.hpp"
#include "workflow/plan/placeholders.hpp"
#include "workflow/run/step_checks.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <utility>

namespace autoexec::workflow {
namespace {

namespace json = boost::json;

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
            case Placeholder::Kind::item:
                return of_item(one.path);
            case Placeholder::Kind::index: {
                const auto number = state_.step(step_).number;
                return number > 0 ? std::optional(std::to_string(number)) : std::nullopt;
            }
            case Placeholder::Kind::feedback:
                return state_.step(step_).gate_feedback;
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

    // In a step without items, it is text.
    std::optional<std::string> of_item(const ExpressionName& path)
    {
        const auto& step = state_.step(step_);
        if (step.number == 0) return std::nullopt;
        if (const auto* const value = value_in_item(step.item, path.parts)) return text_of(*value);
        if (problem.empty()) problem = fmt::format("Item {} has no '{}'", step.number, path.text());
        return std::nullopt;
    }

    const RunInputs& inputs_;
    const RunState& state_;
    std::size_t step_;
};

constexpr std::size_t max_item_bytes = 256 * 1024;

bool has_secret(const json::value& value, const Redactor& redactor)
{
    if (const auto* const text = value.if_string()) return redactor.redact(*text) != *text;
    if (const auto* const list = value.if_array())
        return std::ranges::any_of(*list,
                                   [&](const auto& one) { return has_secret(one, redactor); });
    const auto* const object = value.if_object();
    return object != nullptr && std::ranges::any_of(*object, [&](const auto& member) {
               return has_secret(member.value(), redactor);
           });
}

/// What the list's name leads to.
std::optional<json::value> list_of(const RunInputs& inputs, const RunState& state, std::size_t i,
                                   std::string& problem)
{
    const auto& items = *inputs.workflow.steps[i].for_each;
    if (items.source.empty()) return json::value(items.list);
    const ExpressionName name{parts_of_name(items.source), 0};
    auto value = named_value(inputs, state, i, false, name, problem);
    if (value && value->is_array()) return value;
    problem = value ? fmt::format("'{}' is {}, not a list", items.source, describe(*value))
                    : fmt::format("Its items cannot be read: {}", problem);
    return std::nullopt;
}

}  // namespace

std::optional<json::array> read_items(const RunInputs& inputs, const RunState& state,
                                      const Redactor& redactor, std::size_t i, std::string& problem)
{
    const auto list = list_of(inputs, state, i, problem);
    if (!list) return std::nullopt;
    const auto& items = list->get_array();
    problem = expansion_problem(inputs.workflow, inputs.plan, i, items.size());
    for (std::size_t k = 0; problem.empty() && k < items.size(); ++k) {
        auto flaw = flaw_of_item(items[k]);
        // The journal has the items: otherwise, a run that is resumed would have others.
        if (flaw.empty() && has_secret(items[k], redactor))
            flaw = "contains a secret, which would be stored in the journal";
        if (!flaw.empty()) problem = fmt::format("Item {} {}", k + 1, flaw);
    }
    if (const auto size = text::dump_line(*list).size(); problem.empty() && size > max_item_bytes)
        problem = fmt::format(
            "The items have {} bytes; at most {} are allowed. Let the step write long texts into "
            "files, and name these in the items",
            size, max_item_bytes);
    if (!problem.empty()) return std::nullopt;
    return items;
}

namespace {

/// The parameters of the workflow that a step uses, of the types that it declares.
json::object params_of_used(const WorkflowStep& step, const PlaceholderValue& value_of)
{
    json::object params;
    for (const auto& [name, value] : step.params) {
        const auto* const text = value.if_string();
        const auto* const declared = step.used->params.if_contains(name);
        if (text != nullptr && !placeholders_in(*text).empty())
            params[name] = typed_param(fill_placeholders(*text, value_of),
                                       declared != nullptr ? *declared : json::value(""));
        else if (!value.is_null())
            params[name] = value;
    }
    return params;
}

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
    if (workflow.steps[i].used) step.params = params_of_used(workflow.steps[i], value_of);
    CommandEnvironment environment;
    environment.working_directory = workflow.steps[i].working_directory;
    environment.model = workflow.steps[i].model;
    auto& variables = environment.variables;
    variables = inputs.parent.env;
    for (const auto* const some : {&workflow.env, &workflow.steps[i].env})
        for (const auto& [name, text] : *some) variables[name] = fill_placeholders(text, value_of);
    for (const auto& [name, text] : inputs.options.env) variables[name] = text;
    variables["AUTOEXEC_RUN_ID"] = state.run_id;
    variables["AUTOEXEC_WORKFLOW_ID"] = workflow.id;
    variables["AUTOEXEC_STEP_ID"] = step.result.id;
    variables["AUTOEXEC_ROUND"] = std::to_string(step.result.round);
    if (!step.gate_feedback.empty()) variables["AUTOEXEC_FEEDBACK"] = step.gate_feedback;
    request.environment = std::move(environment);
    return std::move(values.problem);
}

}  // namespace autoexec::workflow
