#include "agent/agents_file_reader.hpp"

#include <utility>

namespace autoexec::inline v1 {
namespace {

LoadedAgents loaded_from(agent::AgentsFileReading reading)
{
    LoadedAgents loaded;
    if (reading.file) loaded.file = *std::move(reading.file);
    loaded.errors = std::move(reading.errors);
    loaded.missing = reading.missing;
    return loaded;
}

}  // namespace

LoadedAgents load_agents(const std::filesystem::path& project_root)
{
    return loaded_from(agent::load_agents_file(project_root));
}

LoadedAgents parse_agents(std::string_view text, const std::string& path)
{
    return loaded_from(agent::parse_agents_file(text, path));
}

AgentsFile shell_agents()
{
    AgentDefinition shell;
    shell.name = "shell";
    shell.commands.emplace_back("/bin/sh -c -- {command}");
    shell.accept_argv = true;
    AgentsFile file;
    file.agents.push_back(std::move(shell));
    return file;
}

}  // namespace autoexec::inline v1
