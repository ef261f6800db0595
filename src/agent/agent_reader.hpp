#pragma once

#include "autoexec/agents_file.hpp"
#include "config/report.hpp"
#include "config/yaml.hpp"

namespace autoexec::agent {

/// Reads the agent with this number (1…). What is wrong goes into `report`, and the field keeps
/// its default.
AgentDefinition read_agent(const config::YamlNode& node, std::size_t number,
                           config::Report& report);

}  // namespace autoexec::agent
