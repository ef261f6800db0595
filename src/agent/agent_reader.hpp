#pragma once

#include "autoexec/agents_file.hpp"
#include "config/report.hpp"
#include "config/yaml.hpp"

#include <cstdint>

namespace autoexec::agent {

constexpr std::int64_t max_timeout_seconds = 100'000'000;  // three years

/// Reads the agent with this number (1…). What is wrong goes into `report`, and the field keeps
/// its default.
AgentDefinition read_agent(const config::YamlNode& node, std::size_t number,
                           config::Report& report);

}  // namespace autoexec::agent
