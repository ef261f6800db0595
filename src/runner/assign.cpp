#include "runner/assign.hpp"

#include "agent/agents_file.hpp"
#include "agent/template.hpp"
#include "protocol/text.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace autoexec::runner {
namespace {

constexpr char own_agent[] = "autoexec run";
constexpr char no_file[] = "the project has no .cursor/background-agents.yaml";

AgentDefinition make_own_agent()
{
    AgentDefinition definition;
    definition.name = own_agent;
    definition.commands.emplace_back("/bin/sh -c -- {command}");
    agent::TemplateProblem problem;
    definition.templates.push_back(
        agent::compile_template(definition.commands.front(), false, problem).value());
    definition.accept_argv = true;
    return definition;
}

}  // namespace

Agents::Agents(const std::filesystem::path& root, bool external, bool read) : external_(external)
{
    if (read) loaded_ = load_agents(root);
}

std::string Agents::assign(CommandRequest& request) const
{
    if (external_) return {};
    const bool own = !request.argv.empty() || (loaded_.missing && request.agent.empty());
    if (!own) return select(request);
    request.agent = own_agent;
    return {};
}

std::string Agents::assign(const WorkflowStep& step, const std::string& preferred,
                           CommandRequest& request) const
{
    request.agent = knows(step.agent) ? step.agent : preferred;
    const bool is_text = !step.command.empty() || !step.argv.empty();
    if (!external_ && loaded_.missing && !is_text && preferred.empty())
        return fmt::format("{}, so there is no agent for '{}'; `autoexec agents init` makes one",
                           no_file, protocol::printable(step.agent));
    return assign(request);
}

// An agent's own number of retries counts where nobody else has said any.
std::string Agents::select(CommandRequest& request) const
{
    if (loaded_.missing)
        return fmt::format("there is no agent '{}': {}", protocol::printable(request.agent),
                           no_file);
    std::string problem;
    const auto* const definition = agent::select_agent(loaded_.file, request.agent, problem);
    if (definition == nullptr) return problem;
    request.agent = definition->name;
    if (!request.max_attempts && !request.retry && definition->retry_count)
        request.max_attempts = *definition->retry_count + 1;
    return {};
}

bool Agents::is_own(const std::string& name)
{
    return name == own_agent;
}

AgentsFile Agents::all() const
{
    AgentsFile file = loaded_.file;
    file.agents.push_back(make_own_agent());
    return file;
}

std::map<std::string, std::size_t, std::less<>> Agents::limits() const
{
    std::map<std::string, std::size_t, std::less<>> limits;
    for (const auto& agent : loaded_.file.agents)
        if (agent.max_parallel > 0)
            limits[agent.name] = static_cast<std::size_t>(agent.max_parallel);
    return limits;
}

bool Agents::knows(const std::string& name) const
{
    const auto& agents = loaded_.file.agents;
    return !name.empty() && std::any_of(agents.begin(), agents.end(), [&](const auto& agent) {
        return agent.name == name && agent::takes_commands(agent);
    });
}

}  // namespace autoexec::runner
