#pragma once

#include "autoexec/agents_file.hpp"
#include "protocol/command_file.hpp"

#include <filesystem>
#include <string>
#include <vector>

namespace autoexec::agent {

/// What a command's program gets: this process's environment, or of it an allow-list
/// (`clean_environment`); the variables that the command refers to; the agent's own; and what
/// tells the program which command it is (`AUTOEXEC_EXECUTION_ID`, `AUTOEXEC_ATTEMPT_ID`,
/// `AUTOEXEC_ATTEMPT`, `AUTOEXEC_WORKTREE`). Returns the name of a reference that is not set.
std::string make_environment(const AgentDefinition& definition,
                             const protocol::CommandFile& command,
                             const std::filesystem::path& worktree,
                             std::vector<std::string>& environment);

/// Why the program must not start there: a relative directory leads out of the worktree through a
/// link, or is none. Empty if it may; one that is absolute is the user's own choice.
std::string working_directory_problem(const AgentDefinition& definition,
                                      const std::filesystem::path& worktree);

/// Where it starts.
std::filesystem::path working_directory(const AgentDefinition& definition,
                                        const std::filesystem::path& worktree);

}  // namespace autoexec::agent
