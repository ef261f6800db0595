#pragma once

#include "git/git_context.hpp"

#include <string>
#include <string_view>
#include <vector>

namespace autoexec::git {

/// `git` with the settings that apply to every call, whatever is configured.
std::vector<std::string> hardened_command();

/// The environment of a call: its directories, and no prompt program or editor.
std::vector<std::string> environment_for(const GitContext& context);

/// Replaces a variable: git reads the first of two equal names.
void set_variable(std::vector<std::string>& environment, std::string_view variable);

/// True if the context has untrusted configuration; decided by reading its folder.
bool has_untrusted_config(const GitContext& context);

/// Adds the settings under which a call runs no program that untrusted configuration names. They
/// override all files, but not `hardened_command`. `listing`: of `config --list --show-scope -z`.
void switch_off_programs(std::string_view listing, TrustedConfig trusted,
                         std::vector<std::string>& environment);

}  // namespace autoexec::git
