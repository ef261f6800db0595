#include "workflow/run/step_commands.hpp"

#include "text/text.hpp"
#include "workflow/plan/expansion.hpp"
#include "workflow/plan/placeholders.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <string_view>
#include <utility>

namespace autoexec::workflow {
namespace {

namespace json = boost::json;

constexpr std::size_t max_group_name = 256;

bool is_same_type(const json::value& a, const json::value& b)
{
    return (a.is_number() && b.is_number()) || a.kind() == b.kind();
}

json::object filled(const json::object& params, const PlaceholderValue& value_of)
{
    json::object out;
    for (const auto& [name, value] : params)
        out[name] =
            value.is_string()
                ? json::value(fill_placeholders(std::string_view(value.get_string()), value_of))
                : value;
    return out;
}

json::object complete_params(const Workflow& workflow, const json::object& params,
                             std::string& problems)
{
    auto values = workflow.params;
    for (const auto& [name, given] : params) {
        auto* const declared = values.if_contains(name);
        if (declared == nullptr && name != "prompt")
            problems += fmt::format("The workflow has no parameter '{}'.\n", text::printable(name));
        else if (declared == nullptr || declared->is_null() || is_same_type(*declared, given))
            values[name] = given;
        else if (declared->is_string())
            values[name] = text_of(given);
        else
            problems += fmt::format("The parameter '{}' must be {}.\n", name, describe(*declared));
    }
    for (const auto& [name, value] : values)
        if (value.is_null())
            problems += fmt::format("The parameter '{}' is required.\n", std::string_view(name));
    return values;
}

std::string built_command(const RunInputs& inputs, const CommandTable& table, std::size_t i,
                          const PlaceholderValue& value)
{
    const auto& step = inputs.workflow.steps[i];
    const auto& params = inputs.options.params;
    const auto* const known = table.find(step.agent, step.action);
    json::object more;
    const auto flag =
        known != nullptr ? known->prompt_flag : std::string(CommandTable::default_prompt_flag);
    if (const auto* const prompt = params.if_contains("prompt"); prompt && !flag.empty())
        more[flag] = *prompt;
    if (const auto* const instruction = step.metadata.if_contains("instruction"))
        more["instruction"] = *instruction;
    if (const auto& results = inputs.plan.steps[i].results; !results.empty())
        more["results-file"] = results;
    return table.build(step.agent, step.action, filled(step.params, value), more);
}

/// For people: nothing runs it.
std::string used_command(const WorkflowStep& step, const PlaceholderValue& value)
{
    std::vector<std::string> words{step.uses};
    for (const auto& [name, text] : filled(step.params, value))
        words.push_back(fmt::format("{}={}", std::string_view(name), text_of(text)));
    return text::quote_words(words);
}

PlaceholderValue values_in(const json::object& params)
{
    return [&params](const Placeholder& one) -> std::optional<std::string> {
        if (one.kind != Placeholder::Kind::parameter) return std::nullopt;
        const auto* const value = params.if_contains(one.name);
        if (value == nullptr || value->is_null()) return std::nullopt;
        return text_of(*value);
    };
}

CommandRequest request_of(const RunInputs& inputs, const WorkflowExecutorOptions& executor,
                          std::size_t i)
{
    const auto& step = inputs.workflow.steps[i];
    const auto& plan = inputs.plan.steps[i];
    const auto& options = inputs.options;
    const auto& tree = step.worktree.empty() ? options.worktree : step.worktree;
    CommandRequest request(std::string(), path_below(executor.project_root, tree));
    set_command(inputs, executor.commands, i, values_in(options.params), request);
    request.step_id = step.id;
    request.expected_artifacts = artifacts_expected_of(step, plan);
    request.require_artifacts = plan.require_artifacts;
    request.env_refs = step.env_refs;
    request.idempotent = step.idempotent;
    request.timeout = step.timeout;
    request.retry = step.retry ? step.retry : inputs.workflow.retry;
    request.max_attempts = options.max_attempts;
    request.max_cost = step.max_cost;
    request.max_tokens = step.max_tokens;
    return request;
}

// `prompt` needs no declaration, so a step may use it although it has no value.
std::string missing_param(const RunInputs& inputs, std::size_t i)
{
    const auto& step = inputs.workflow.steps[i];
    std::vector<std::string> names;
    const auto add_placeholders = [&names](std::string_view text) {
        for (auto& one : placeholders_in(text))
            if (one.kind == Placeholder::Kind::parameter) names.push_back(std::move(one.name));
    };
    add_placeholders(step.command);
    for (const auto* const variables : {&inputs.workflow.env, &step.env})
        for (const auto& [variable, value] : *variables) add_placeholders(value);
    for (const auto& word : step.argv) add_placeholders(word);
    for (const auto& [key, value] : step.params)
        if (value.is_string()) add_placeholders(value.get_string());
    for (const auto* const expression :
         {&inputs.plan.steps[i].condition, &inputs.plan.steps[i].gate})
        for (const auto& name : expression->names())
            if (const auto meaning = meaning_of(name, inputs.index);
                meaning.kind == Meaning::Kind::parameter)
                names.push_back(meaning.rest);
    for (const auto& name : names)
        if (!inputs.options.params.contains(name))
            return fmt::format("Step '{}': The parameter '{}' is used, but was not given.\n",
                               step.id, name);
    for (const auto& [metric, name] : step.threshold_params)
        if (const auto& value = inputs.options.params.at(name); !value.is_number())
            return fmt::format(
                "Step '{}': The parameter '{}' is {}; a threshold requires a number.\n", step.id,
                name, describe(value));
    return {};
}

/// `step`: as it is for an item.
StepCommand make_single_command(const RunInputs& inputs, const WorkflowExecutorOptions& executor,
                                std::size_t i, const WorkflowStep& step, std::string& problems)
{
    StepCommand command{request_of(inputs, executor, i), is_closing(step), false, false, {}, {}};
    command.uses_workflow = step.used != nullptr;
    command.in_git = inputs.options.worktrees != WorktreeMode::in_place && !command.runs_nothing &&
                     step.worktree.empty();
    const bool is_shared = !command.in_git || inputs.options.worktrees == WorktreeMode::workflow;
    command.only_looks = step.manual && is_shared && command.request.expected_artifacts.empty();
    std::string problem;
    const bool is_assigned = !command.runs_nothing && !step.manual && !step.used;
    if (is_assigned && inputs.options.automatic && executor.assign)
        problem = executor.assign(step, command.request);
    if (!problem.empty()) problems += fmt::format("Step '{}': {}\n", step.id, problem);
    if (step.manual) return command;
    command.agent = command.request.agent.empty() ? step.agent : command.request.agent;
    return command;
}

/// Finds steps of used workflows that have no agent, before anything runs.
class UsedAgents {
public:
    explicit UsedAgents(const WorkflowExecutorOptions& executor) : executor_(executor) {}

    void check(const WorkflowStep& step, std::string& problems)
    {
        if (!step.used || !seen_.insert(step.used.get()).second) return;
        std::string ignored;  // of parameters, which are not known yet
        WorkflowRunOptions options;
        options.params = step.used->params;
        const auto inputs = make_inputs(*step.used, std::move(options), ignored);
        std::string found;
        for (std::size_t i = 0; i < inputs.workflow.steps.size(); ++i) {
            const auto& inner = inputs.workflow.steps[i];
            if (inner.used)
                check(inner, found);
            else
                check_command(inputs, i, found);
        }
        for (std::size_t at = 0; at < found.size(); at = found.find('\n', at) + 1)
            problems += fmt::format("In '{}': {}\n", step.uses,
                                    found.substr(at, found.find('\n', at) - at));
    }

private:
    void check_command(const RunInputs& inputs, std::size_t i, std::string& problems) const
    {
        const auto& step = inputs.workflow.steps[i];
        auto part = step;
        if (!step.for_each || placeholders_in(step.agent).empty()) {
            (void)make_single_command(inputs, executor_, i, part, problems);
            return;
        }
        for (const auto& item : step.for_each->list) {
            part.agent = agent_for_item(step.agent, item);
            (void)make_single_command(inputs, executor_, i, part, problems);
        }
    }

    const WorkflowExecutorOptions& executor_;
    std::set<const Workflow*> seen_;
};

StepCommand make_command(const RunInputs& inputs, const WorkflowExecutorOptions& executor,
                         std::size_t i, std::string& problems)
{
    const auto& step = inputs.workflow.steps[i];
    problems += missing_param(inputs, i);
    if (step.used && inputs.options.worktrees == WorktreeMode::workflow)
        problems += fmt::format(
            "Step '{}': In the one worktree of a run, a step cannot use a workflow.\n", step.id);
    if (!step.for_each) return make_single_command(inputs, executor, i, step, problems);
    if (!step.for_each->best_by.empty() && inputs.options.worktrees != WorktreeMode::step)
        problems += fmt::format(
            "Step '{}': With 'best_of', each try needs a worktree of its own.\n", step.id);
    StepCommand whole{request_of(inputs, executor, i), true, false, false, {}, {}};
    whole.request.expected_artifacts.clear();  // each item has its own
    auto part = step;
    const bool differ =
        !placeholders_in(step.agent).empty() || !placeholders_in(step.model).empty();
    for (const auto& item : step.for_each->list) {
        if (!differ && !whole.each.empty()) break;
        part.agent = agent_for_item(step.agent, item);
        part.model = agent_for_item(step.model, item);
        whole.each.push_back(make_single_command(inputs, executor, i, part, problems));
    }
    if (whole.each.empty())
        whole.each.push_back(make_single_command(inputs, executor, i, part, problems));
    return whole;
}

}  // namespace

std::vector<std::string> artifacts_expected_of(const WorkflowStep& step, const PlanStep& plan)
{
    auto expected = step.creates;
    if (!plan.results.empty() && std::ranges::find(expected, plan.results) == expected.end())
        expected.push_back(plan.results);
    return expected;
}

void set_command(const RunInputs& inputs, const CommandTable& table, std::size_t i,
                 const PlaceholderValue& value, CommandRequest& request)
{
    const auto& step = inputs.workflow.steps[i];
    request.argv.clear();
    if (step.used) {
        request.command = used_command(step, value);
        return;
    }
    for (const auto& word : step.argv) request.argv.push_back(fill_placeholders(word, value));
    if (!step.shell.empty()) {
        request.argv = step.shell;
        request.argv.emplace_back("-c");
        request.argv.push_back(fill_placeholders(step.command, value));
    }
    request.command = !request.argv.empty()  ? text::quote_words(request.argv)
                      : !step.action.empty() ? built_command(inputs, table, i, value)
                                             : fill_placeholders(step.command, value);
}

RunInputs make_inputs(Workflow workflow, WorkflowRunOptions options, std::string& problems)
{
    RunInputs inputs{std::move(workflow), std::move(options), {}, {}};
    std::vector<PlanProblem> found;
    const auto& made = inputs.options.plan;
    const bool fits = made && made->steps.size() == inputs.workflow.steps.size();
    inputs.plan = fits ? *made : make_plan(inputs.workflow, found);
    for (const auto& sentence : sentences_for(inputs.workflow, found)) problems += sentence + "\n";
    if (problems.empty())
        inputs.options.params = complete_params(inputs.workflow, inputs.options.params, problems);
    for (std::size_t i = 0; i < inputs.workflow.steps.size(); ++i)
        inputs.index.emplace(inputs.workflow.steps[i].id, i);
    if (problems.empty()) (void)group_of(inputs, problems);
    return inputs;
}

std::string group_of(const RunInputs& inputs, std::string& problems)
{
    const auto& group = inputs.workflow.concurrency.group;
    if (group.empty()) return {};
    const auto& params = inputs.options.params;
    for (const auto& one : placeholders_in(group))
        if (one.kind == Placeholder::Kind::parameter && !params.contains(one.name)) {
            problems += fmt::format(
                "The concurrency group uses the parameter '{}', which was not given.\n", one.name);
            return {};
        }
    auto name = fill_placeholders(group, values_in(params));
    const bool is_blank = name.find_first_not_of(" \t\r\n") == name.npos;
    if (!is_blank && name.size() <= max_group_name) return name;
    problems += is_blank ? fmt::format("The name of the concurrency group '{}' is empty.\n", group)
                         : fmt::format(
                               "The name of the concurrency group '{}' is longer than {} "
                               "bytes.\n",
                               group, max_group_name);
    return {};
}

std::filesystem::path path_below(const std::filesystem::path& root,
                                 const std::filesystem::path& path)
{
    auto normal = (root / path).lexically_normal();
    return normal.has_filename() || !normal.has_relative_path() ? normal : normal.parent_path();
}

std::vector<StepCommand> make_commands(const RunInputs& inputs,
                                       const WorkflowExecutorOptions& options,
                                       std::string& problems)
{
    std::vector<StepCommand> commands;
    UsedAgents used(options);
    const auto count = problems.empty() ? inputs.workflow.steps.size() : 0;
    for (std::size_t i = 0; i < count; ++i) {
        commands.push_back(make_command(inputs, options, i, problems));
        if (inputs.options.automatic) used.check(inputs.workflow.steps[i], problems);
    }
    return commands;
}

}  // namespace autoexec::workflow
