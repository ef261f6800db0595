#pragma once

#include <autoexec/diagnostic.hpp>
#include <autoexec/output_rules.hpp>

#include <chrono>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace autoexec::inline v1 {

/// How a program is driven.
enum class AgentDriver {
    cli,  ///< It gets the command by its arguments or its input, and ends.
    acp,  ///< By the Agent Client Protocol, version 1, on its standard streams.
};

/// What a rule says about a request for permission.
enum class Permission {
    deny,
    allow,
    ask,  ///< A person decides: `Question`.
};

/// A rule for what a program that is driven by the Agent Client Protocol asks permission for. All
/// conditions must hold; an empty one always does.
struct PermissionRule {
    std::string kind;  ///< Of the tool: `edit`, `read`, `execute` …
    /// Glob, relative to the worktree: to allow, all paths of the request must match; otherwise
    /// one.
    std::string path;
    /// The first words of the command. To allow, it must be a single one, without operators of the
    /// shell; otherwise one of several is enough.
    std::string command;
    Permission allow = Permission::deny;

    bool operator==(const PermissionRule&) const = default;
};

/// One agent: of `.cursor/background-agents.yaml`, or of an application. The members mean the same
/// as the keys of that file: `doc/agents.md`.
struct AgentDefinition {
    std::string name;
    std::string description;
    bool enabled = true;
    /// Run one after the other until one fails: `my-agent --prompt {command}`. Each is split into
    /// words before the placeholders are replaced, so a value stays within its word. The agent
    /// accepts commands only if one of these has `{command}` or `{command_file_path}`.
    std::vector<std::string> commands;
    /// What the first of `commands` reads from standard input, with placeholders, however long the
    /// values are: `{command}`. Empty: nothing. This, too, makes the agent accept commands.
    std::string input;
    /// The words of `{resume}` in `commands` if a retry continues the session of the attempt
    /// before: `--resume {session}`.
    std::string resume;
    /// The words of `{resume}` in all other attempts: `--session-id {attempt_id}`. If they have
    /// `{attempt_id}`, that is the id of the session.
    std::string new_session;
    /// The words of `{budget}` in `commands` if there is a limit: `--max-budget-usd {max_cost}`.
    std::string budget;
    /// A retry does so, if the program has reported its session: its prompt is then why the attempt
    /// before failed, followed by the command.
    bool retry_in_session = false;
    std::vector<std::string> watch_paths;  ///< Globs, relative to the project.
    std::vector<std::pair<std::string, std::string>> environment;
    bool clean_environment =
        false;                 ///< Start from an allow-list, not from this process's environment.
    bool shell = false;        ///< Commands are scripts for `/bin/sh`.
    bool accept_argv = false;  ///< Runs a command file's `argv` as it is.
    /// Of all `commands` together. Empty: only the executor's time-out counts.
    std::optional<std::chrono::milliseconds> timeout;
    std::optional<int> retry_count;  ///< Retries after the first attempt: for `autoexec run`.
    /// Agents that may run its commands instead while it is down, in this order: for executors of
    /// the same process.
    std::vector<std::string> fallback;
    int max_parallel = 0;  ///< Commands at once; zero: no limit.
    /// Relative to the worktree, or absolute; empty: the worktree. `${PROJECT_ROOT}`, which other
    /// readers of the file know, is the worktree.
    std::string working_directory;
    /// Of the first of `commands`, which then gets the command by the protocol, without a
    /// placeholder.
    AgentDriver driver = AgentDriver::cli;
    /// The first that matches decides. What none allows is denied, and so is what is not beneath
    /// the worktree.
    std::vector<PermissionRule> permissions;
    /// With that driver, of the session: as the program calls it. Empty: as it chooses.
    std::string mode;
    /// With that driver, of the session; otherwise the value of `{model}` in `commands`. Commands
    /// may name another one. Empty: as the program chooses.
    std::string model;
    /// For those of `commands` that take the command's text or file, or the input; all others are
    /// judged by exit code. `output_rules` returns those of known programs.
    OutputRules outcome;
    /// How long a program may keep running after it has reported its outcome. Then it is stopped,
    /// and its report counts.
    std::chrono::milliseconds linger = std::chrono::seconds{5};
};

/// `.cursor/background-agents.yaml`: the agents of a project. See `doc/agents.md`.
struct AgentsFile {
    std::vector<AgentDefinition> agents;
    int max_parallel_agents = 0;  ///< Zero: not set.
    /// Roles that steps of workflows can name instead of an agent, and the agent of each; empty:
    /// the agent of steps without one.
    std::map<std::string, std::string, std::less<>> roles;
    bool accept_legacy = false;  ///< Take command files of executors that hold no lock.
    std::vector<Diagnostic> warnings;
};

/// What an agents file contains, or why it cannot be used.
struct LoadedAgents {
    AgentsFile file;                 ///< If there are errors, only its `warnings`.
    std::vector<Diagnostic> errors;  ///< In the order of the file.
    bool missing = false;            ///< There is no such file; `errors` contains this, too.
};

/// Reads `<project_root>/.cursor/background-agents.yaml`, of at most 1 MiB. Blocks. Problems
/// of the file are not thrown, but returned.
LoadedAgents load_agents(const std::filesystem::path& project_root);

/// The same for the text of such a file. `path` is the name used in diagnostics.
LoadedAgents parse_agents(std::string_view text, const std::string& path = "agents");

/// How the output of a program is read that autoexec knows: `claude`, `codex` … (`doc/agents.md`).
/// Throws `std::invalid_argument` for another name.
OutputRules output_rules(std::string_view program);

/// One agent, `shell`, which runs programs as they are (`CommandRequest::argv`) and passes texts to
/// `/bin/sh -c`.
AgentsFile shell_agents();

}  // namespace autoexec::inline v1
