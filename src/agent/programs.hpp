#pragma once

#include "autoexec/agents_file.hpp"

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

/// Checks that an agent's programs exist. Blocks for a few file system calls.
namespace autoexec::agent {

/// The programs that an agent's commands start, without duplicates. With `shell: true` that is only
/// the shell. Names that contain a placeholder are skipped.
[[nodiscard]] std::vector<std::string> programs_of(const AgentDefinition& definition);

struct ProgramSearch {
    std::filesystem::path found;        ///< Empty: not found.
    std::vector<std::string> searched;  ///< The searched folders, without duplicates.
};

/// Like the system: a name with a slash is relative to `directory`, any other is searched in
/// `path`, the value of a `PATH`.
[[nodiscard]] ProgramSearch find_program(const std::string& program, std::string_view path,
                                         const std::filesystem::path& directory);

/// Uses the agent's own `PATH` or, if that is not set, this process's.
[[nodiscard]] ProgramSearch find_program(const std::string& program,
                                         const AgentDefinition& definition,
                                         const std::filesystem::path& worktree);

/// `'my-agent' was not found; looked in /usr/bin, /bin. Install …` Empty if it was found. The
/// remedy depends on the folders in the agent's definition.
[[nodiscard]] std::string explain_missing(const std::string& program, const ProgramSearch& search,
                                          const AgentDefinition& definition);

}  // namespace autoexec::agent
