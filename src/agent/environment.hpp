#pragma once

#include "autoexec/agents_file.hpp"
#include "protocol/command_file.hpp"

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace autoexec::agent {

/// Builds the environment of a command's program: this process's environment, or an allow-list of
/// it (`clean_environment`); the trace of the attempt (`TRACEPARENT`); the variables that the
/// command refers to or has; the agent's own; and the identification of the command
/// (`AUTOEXEC_EXECUTION_ID`, `AUTOEXEC_ATTEMPT_ID`, `AUTOEXEC_ATTEMPT`, `AUTOEXEC_WORKTREE`).
/// Returns the name of a referenced variable that is not set.
std::string make_environment(const AgentDefinition& definition,
                             const protocol::CommandFile& command,
                             const std::filesystem::path& worktree,
                             std::vector<std::string>& environment);

/// Why the program must not start there: a relative directory leaves the worktree through a link,
/// or is not a directory. Empty if it may; an absolute directory is the user's own choice.
std::string working_directory_problem(const AgentDefinition& definition,
                                      const std::filesystem::path& worktree);

/// A `working_directory` without `${PROJECT_ROOT}` at its beginning, which is the worktree.
std::string_view without_project_root(std::string_view directory);

/// The program's working directory.
std::filesystem::path working_directory(const AgentDefinition& definition,
                                        const std::filesystem::path& worktree);

}  // namespace autoexec::agent
