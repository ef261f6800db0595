#pragma once

#include "autoexec/agents_file.hpp"

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

/// Whether what an agent starts is there. Blocks, for a few looks at the file system.
namespace autoexec::agent {

/// The programs that an agent's commands start, none twice. With `shell: true` that is the shell:
/// what the script starts can't be told. A name with a placeholder in it is left out.
[[nodiscard]] std::vector<std::string> programs_of(const AgentDefinition& definition);

struct ProgramSearch {
    std::filesystem::path found;      ///< Empty: it is nowhere.
    std::vector<std::string> places;  ///< Where it was looked for, none twice.
};

/// As the system does: a name with a slash counts from `directory`, any other one is looked up in
/// `path`, the value of a `PATH`.
[[nodiscard]] ProgramSearch find_program(const std::string& program, std::string_view path,
                                         const std::filesystem::path& directory);

/// With the agent's own `PATH`, else that of this process.
[[nodiscard]] ProgramSearch find_program(const std::string& program,
                                         const AgentDefinition& definition,
                                         const std::filesystem::path& worktree);

/// `'claude' was not found; looked in /usr/bin, /bin. Install …` Empty if it was found. What is to
/// be done depends on what the agent says of folders.
[[nodiscard]] std::string explain_missing(const std::string& program, const ProgramSearch& search,
                                          const AgentDefinition& definition);

}  // namespace autoexec::agent
