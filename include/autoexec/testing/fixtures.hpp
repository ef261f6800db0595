#pragma once

#include <autoexec/command.hpp>

#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

/// For the tests of applications that embed this library, or that read or write its files.
namespace autoexec::inline v1::testing {

/// A folder for one test, below the system's folder for temporary files. It is removed, with all
/// that it contains, at the end. All functions block, and throw `system_error`.
class TemporaryProject {
public:
    TemporaryProject();
    ~TemporaryProject();
    TemporaryProject(const TemporaryProject&) = delete;
    TemporaryProject& operator=(const TemporaryProject&) = delete;

    /// Absolute and without links.
    [[nodiscard]] const std::filesystem::path& path() const noexcept { return path_; }

    /// Creates a folder of this name, in which commands can run. It is not part of a git
    /// repository, so set `ExecutorOptions::tree_state` if `git` shall not be run there.
    std::filesystem::path make_worktree(std::string_view name) const;

    /// The configuration: `.tapps-agents/auto_execution_config.yaml`.
    void write_config(std::string_view yaml) const;

    /// The agents file: `.cursor/background-agents.yaml`.
    void write_agents(std::string_view yaml) const;

private:
    std::filesystem::path path_;
};

/// Replaces a file below `folder`, and creates the folders on its path. Does not follow links, and
/// refuses paths that leave `folder`. Throws `system_error`.
void write_file(const std::filesystem::path& folder, const std::filesystem::path& path,
                std::string_view text);

/// What a command file contains. Its ids are empty and zero for executors of version 1.0.
struct MockCommand : Correlation {
    std::filesystem::path worktree;  ///< Where the file is.
    std::string command;
    std::vector<std::string> argv;
    std::vector<std::string> env_refs;
    std::map<std::string, std::string> env;
    std::vector<std::string> expected_artifacts;
    std::string agent;
};

/// Writes the command file of `command.worktree`, as an executor of version 1.0 does: without a
/// lock. So an agent runs it only if it has no `attempt_id` and the agent accepts such files
/// (`accept_legacy`). For tests of agents; applications use an executor. Throws `system_error`.
void write_command_file(const MockCommand& command);

/// Reads the command file of a worktree. Absent: there is none, or it is not valid.
std::optional<MockCommand> read_command_file(const std::filesystem::path& worktree);

/// Writes a status file as an agent does, which an executor reads if `attempt_id` is that of its
/// command. Throws `system_error`.
void write_status_file(const std::filesystem::path& worktree, const AgentStatus& status,
                       const std::string& name = ".cursor-skill-status.json");

/// Reads a status file. Absent: there is none, or it is incomplete or not valid.
std::optional<AgentStatus> read_status_file(const std::filesystem::path& worktree,
                                            const std::string& name = ".cursor-skill-status.json");

}  // namespace autoexec::inline v1::testing
