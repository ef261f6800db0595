#pragma once

#include "git/place.hpp"

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace autoexec::git {

/// `git` and the settings that hold for each call, whatever is configured.
std::vector<std::string> hardened_command();

/// The environment of a call: where it works, and no program that asks or edits.
std::vector<std::string> environment_for(const Place& place);

/// Replaces a variable: git reads the first of two equal names.
void set_variable(std::vector<std::string>& environment, std::string_view variable);

/// Adds settings that win over all files, though not over `hardened_command`.
void add_settings(std::vector<std::string>& environment,
                  const std::vector<std::pair<std::string, std::string>>& settings);

}  // namespace autoexec::git
