#include "cli/session/agents.hpp"

#include "agent/agents_file_reader.hpp"
#include "agent/template.hpp"
#include "cli/cli.hpp"
#include "cli/session/configuration.hpp"
#include "protocol/layout.hpp"
#include "text/text.hpp"
#include "workflow/definition/roles.hpp"
#include "workflow/plan/expansion.hpp"
#include "workflow/plan/placeholders.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace autoexec::cli {
namespace {

constexpr char built_in_agent[] = "autoexec run";

// What to do if the project has no agents file.
std::string without_file(std::string_view what)
{
    return fmt::format(
        "{}: the project has no {}; create it with 'autoexec agents init', or use the agent '{}' "
        "to run a command with /bin/sh",
        what, layout::agents_file, agent::shell_name);
}

AgentDefinition make_built_in_agent()
{
    auto definition = std::move(shell_agents().agents.front());
    definition.name = built_in_agent;
    return definition;
}

}  // namespace

Agents::Agents(const std::filesystem::path& root, bool external, bool read,
               std::string default_agent)
    : external_(external), default_agent_(std::move(default_agent))
{
    if (read) loaded_ = load_agents(root);
}

void Agents::require_usable(bool quiet) const
{
    if (!usable()) print_problems(loaded_.errors);
    if (!usable()) throw Failure(exit_invalid);
    if (!quiet) print_problems(loaded_.file.warnings);
}

std::string Agents::assign(CommandRequest& request) const
{
    if (external_ || is_built_in(request.agent)) return {};
    auto named = resolve(request.agent, Roles::declared);
    return named.problem.empty() ? assign_named(std::move(named), request)
                                 : std::move(named.problem);
}

std::string Agents::assign(const WorkflowStep& step, const std::string& preferred,
                           CommandRequest& request) const
{
    auto named = resolve(step.agent, Roles::known);
    if (external_) {
        // The names of agents of other processes are unknown here.
        request.agent = !named.problem.empty() || named.agent == built_in_agent ? step.agent
                        : named.agent.empty()                                   ? preferred
                                                                                : named.agent;
        return {};
    }
    if (!named.problem.empty()) return named.problem;
    if (named.agent.empty() && !preferred.empty()) named = resolve(preferred, Roles::declared);
    if (!named.problem.empty()) return named.problem;
    if (named.agent == built_in_agent && !step.action.empty())
        return fmt::format("'{}' runs commands, not actions; give the step a 'command'",
                           agent::shell_name);
    named.is_required |= !step.action.empty() || !step.model.empty();
    auto problem = assign_named(std::move(named), request);
    if (problem.empty() && !step.model.empty()) problem = require_model(request);
    const bool is_script = request.agent == built_in_agent && request.argv.empty();
    if (problem.empty() && is_script &&
        workflow::has_agent_text(step.command, workflow::has_items_of_agent(step)))
        return fmt::format(
            "its command has text that an agent wrote; '{}' would run it as a script",
            agent::shell_name);
    return problem;
}

// Another agent may not have the model.
std::string Agents::require_model(CommandRequest& request) const
{
    const auto& agents = loaded_.file.agents;
    const auto found = std::ranges::find(agents, request.agent, &AgentDefinition::name);
    if (found == agents.end() || !agent::takes_model(*found))
        return fmt::format(
            "'{}' takes no model; add {{model}} to its commands and a field 'model' in {}",
            is_built_in(request.agent) ? "/bin/sh" : text::printable(request.agent),
            layout::agents_file);
    request.fallback.clear();
    return {};
}

std::string Agents::agent_called(const std::string& name, std::string& problem) const
{
    auto named = resolve(name, Roles::declared);
    problem = std::move(named.problem);
    return std::move(named.agent);
}

std::string Agents::name_problem(const std::string& name) const
{
    return resolve(name, Roles::known).problem;
}

Agents::Named Agents::resolve(const std::string& name, Roles roles) const
{
    Named named;
    named.is_required = !name.empty();
    const auto role = loaded_.file.roles.find(name);
    if (has(name))
        named.agent = name;
    else if (role != loaded_.file.roles.end())
        named.agent = role->second;
    else if (name == agent::shell_name)
        named.agent = built_in_agent;
    else if (!name.empty() && !(roles == Roles::known && workflow::is_known_role(name)))
        named.problem = unknown_name(name);
    return named;
}

std::string Agents::assign_named(Named named, CommandRequest& request) const
{
    const bool is_built_in = !request.argv.empty() || named.agent == built_in_agent ||
                             (loaded_.missing && !named.is_required);
    if (is_built_in) {
        request.agent = built_in_agent;
        return {};
    }
    if (loaded_.missing) return without_file("no agent can run this");
    request.agent = std::move(named.agent);
    return select(request);
}

std::string Agents::select(CommandRequest& request) const
{
    std::string problem;
    if (request.agent.empty() && !default_agent_.empty() &&
        agent::accepting_names(loaded_.file).size() > 1) {
        request.agent = agent_called(default_agent_, problem);
        if (!problem.empty()) return "agents.default: " + problem;
        if (is_built_in(request.agent)) return {};
    }
    const auto* const definition = agent::select_agent(loaded_.file, request.agent, problem);
    if (definition == nullptr) return problem;
    request.agent = definition->name;
    agent::complete_request(loaded_.file, *definition, request);
    return {};
}

std::string Agents::unknown_name(const std::string& name) const
{
    const auto shown = text::printable(name);
    if (loaded_.missing) return without_file(fmt::format("unknown agent '{}'", shown));
    auto names = agent::accepting_names(loaded_.file);
    for (const auto& [role, agent] : loaded_.file.roles) names.push_back(role);
    return fmt::format(
        "unknown agent or role '{}'.{} Declare a role below 'roles:' in {}, or add an agent", shown,
        agent::alternatives(name, names), layout::agents_file);
}

bool Agents::is_built_in(const std::string& name)
{
    return name == built_in_agent;
}

AgentsFile Agents::all() const
{
    AgentsFile file = loaded_.file;
    file.agents.push_back(make_built_in_agent());
    return file;
}

std::map<std::string, std::size_t, std::less<>> Agents::limits() const
{
    return agent::limits_of(loaded_.file);
}

bool Agents::has(std::string_view name) const
{
    const auto& agents = loaded_.file.agents;
    return std::any_of(agents.begin(), agents.end(),
                       [name](const auto& agent) { return agent.name == name; });
}

}  // namespace autoexec::cli
