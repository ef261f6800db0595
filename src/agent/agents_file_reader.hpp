#pragma once

#include "autoexec/agents_file.hpp"

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace autoexec::agent {

struct AgentsFileReading {
    std::optional<AgentsFile> file;    ///< Set only if there are no errors.
    std::vector<Diagnostic> errors;    ///< All of them, in the order of the file.
    std::vector<Diagnostic> warnings;  ///< The warnings of `file`, also of an invalid one.
    bool missing = false;              ///< The file does not exist; `errors` says so, too.
};

/// Pure. `path` is for the diagnostics.
AgentsFileReading parse_agents_file(std::string_view text, const std::string& path);

/// Loads `<project_root>/.cursor/background-agents.yaml`. It must be a regular file, reached
/// without links, that no other user can write: see `files::distrust`.
AgentsFileReading load_agents_file(const std::filesystem::path& project_root);

/// Throws `system_error` (`errc::invalid_agents_file`) for the first agent that cannot be used: it
/// has no name, or one of its commands does not compile. Those of a file were checked when it was
/// read.
void check(const AgentsFile& file);

/// True if an agent accepts command files: it is enabled, and one of its commands has `{command}`
/// or `{command_file_path}`.
[[nodiscard]] bool accepts_commands(const AgentDefinition& agent);

/// The agent for a command: the one of that name or, without a name, the only one that accepts
/// command files. Null if there is none; then `problem` is a message. Points into `file`.
const AgentDefinition* select_agent(const AgentsFile& file, std::string_view wanted_name,
                                    std::string& problem);

}  // namespace autoexec::agent
