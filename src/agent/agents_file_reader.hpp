#pragma once

#include "autoexec/agents_file.hpp"
#include "autoexec/command.hpp"
#include "yaml/report.hpp"
#include "yaml/yaml.hpp"

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace autoexec::agent {

/// The name of the agent of `shell_agents`, and of the preset for it.
inline constexpr std::string_view shell_name = "shell";

constexpr std::int64_t max_timeout_seconds = 100'000'000;  // three years

/// Reads the agent with this number (1…). Problems go into `report`, and the field keeps its
/// default.
AgentDefinition read_agent(const yaml::YamlNode& node, std::size_t number, yaml::Report& report);

/// Throws `system_error` (`errc::invalid_agents_file`) for the first agent that cannot be used: it
/// has no name, or one of its commands does not compile. Those of a file were checked when it was
/// read.
void check(const AgentsFile& file);

/// True if an agent accepts command files: it is enabled, and one of its commands has `{command}`
/// or `{command_file_path}`.
[[nodiscard]] bool accepts_commands(const AgentDefinition& agent);

/// The names of the agents that accept commands.
[[nodiscard]] std::vector<std::string_view> accepting_names(const AgentsFile& file);

/// The end of each message about an unknown agent: ` Did you mean 'builder'? Available: 'builder',
/// 'tester'.`
[[nodiscard]] std::string alternatives(std::string_view name,
                                       std::span<const std::string_view> names);

/// The agent for a command: the one of that name or, without a name, the only one that accepts
/// command files. Null if there is none; then `problem` is a message. Points into `file`.
const AgentDefinition* select_agent(const AgentsFile& file, std::string_view wanted_name,
                                    std::string& problem);

/// How many commands each agent may run at once; those without a limit are left out.
[[nodiscard]] std::map<std::string, std::size_t, std::less<>> limits_of(const AgentsFile& file);

/// Adds what the agent's definition says about its commands: the number of retries, if nothing else
/// sets one, and the agents that may take over, if they accept commands.
void complete_request(const AgentsFile& file, const AgentDefinition& definition,
                      CommandRequest& request);

}  // namespace autoexec::agent
