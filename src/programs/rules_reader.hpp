#pragma once

#include "autoexec/output_rules.hpp"
#include "yaml/report.hpp"
#include "yaml/yaml.hpp"

#include <string_view>

namespace autoexec::programs {

/// Reads the rules that a mapping describes: `doc/agents.md`, "Rules of your own". Problems go to
/// `report`, with `prefix` before each.
[[nodiscard]] OutputRules read_output_rules(const yaml::YamlNode& node, std::string_view prefix,
                                            yaml::Report& report);

}  // namespace autoexec::programs
