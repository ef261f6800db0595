#pragma once

#include "autoexec/agents_file.hpp"

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace autoexec::agent {

struct AgentsFileReading {
    std::optional<AgentsFile> file;    ///< Only if there is no error.
    std::vector<Diagnostic> errors;    ///< All of them, in the order of the file.
    std::vector<Diagnostic> warnings;  ///< Those of `file`; of an invalid one, too.
    bool missing = false;              ///< There is no such file; `errors` says so, too.
};

/// Pure. `path` is for the diagnostics.
AgentsFileReading parse_agents_file(std::string_view text, const std::string& path);

/// `<project_root>/.cursor/background-agents.yaml`. It must be a regular file, reached without
/// links, that no other user can have written: see `files::distrust`.
AgentsFileReading load_agents_file(const std::filesystem::path& project_root);

/// Whether an agent takes command files: it is enabled, and one of its commands has
/// `{command}` or `{command_file_path}`. All others are run by people.
[[nodiscard]] bool takes_commands(const AgentDefinition& agent);

/// The agent that a command goes to: the one of that name, or with no name the only one that takes
/// command files. Null if there is none; `problem` gets the sentence for a person. Points into
/// `file`.
const AgentDefinition* select_agent(const AgentsFile& file, std::string_view wanted_name,
                                    std::string& problem);

}  // namespace autoexec::agent
