#pragma once

#include "git/git_context.hpp"

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace autoexec::git {

/// `git` with the settings that apply to every call, whatever is configured.
std::vector<std::string> hardened_command();

/// The environment of a call: its directories, and no prompt program or editor.
std::vector<std::string> environment_for(const GitContext& context);

/// Replaces a variable: git reads the first of two equal names.
void set_variable(std::vector<std::string>& environment, std::string_view variable);

/// Adds settings that override all files, but not `hardened_command`.
void add_settings(std::vector<std::string>& environment,
                  const std::vector<std::pair<std::string, std::string>>& settings);

}  // namespace autoexec::git
