#pragma once

#include "autoexec/agents_file.hpp"
#include "yaml/report.hpp"
#include "yaml/yaml.hpp"

#include <cstdint>

namespace autoexec::agent {

constexpr std::int64_t max_timeout_seconds = 100'000'000;  // three years

/// Reads the agent with this number (1…). Problems go into `report`, and the field keeps its
/// default.
AgentDefinition read_agent(const yaml::YamlNode& node, std::size_t number, yaml::Report& report);

}  // namespace autoexec::agent
