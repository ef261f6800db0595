#pragma once

#include <autoexec/diagnostic.hpp>

#include <chrono>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

namespace autoexec {

/// What a command of an agent may leave open: `{command}`, `{worktree}` and so on.
enum class Placeholder {
    command,            ///< The text of the command.
    command_file_path,  ///< Where its file is: for texts that are too long for an argument.
    worktree,
    workflow_id,  ///< Empty where there is none; so is `step_id`.
    step_id,
};

/// A command as words; made when the file is read, so that a value stays within its word
/// whatever is in it.
struct CommandTemplate {
    /// A part of a word: text, or what a placeholder stands for.
    using Piece = std::variant<std::string, Placeholder>;
    /// One argument of the program.
    using Word = std::vector<Piece>;

    std::vector<Word> words;
};

/// By what the end of an agent's program is judged. Its output is read as it is printed, before
/// redaction.
enum class OutcomeRule {
    exit_code,  ///< Zero is success.
    claude,     ///< `claude -p --output-format stream-json --verbose`: its last `result` event.
    codex,      ///< `codex exec --json`: its last `turn.completed` or `turn.failed`.
};

/// One agent of `.cursor/background-agents.yaml`.
struct AgentDefinition {
    std::string name;
    std::string description;
    bool enabled = true;
    /// As written. Only for people: what is run is `templates`.
    std::vector<std::string> commands;
    /// One for each of `commands`, run one after the other until one fails. The agent takes
    /// commands only if one of them has the command or the path of its file in it.
    std::vector<CommandTemplate> templates;
    std::vector<std::string> watch_paths;  ///< Globs, relative to the project.
    std::vector<std::pair<std::string, std::string>> environment;
    bool clean_environment = false;  ///< Start from an allow-list, not from our environment.
    bool shell = false;              ///< Commands are scripts for `/bin/sh`.
    bool accept_argv = false;        ///< Runs a command file's `argv` as it is.
    /// Of all templates together. Empty: only the engine's time-out counts.
    std::optional<std::chrono::milliseconds> timeout;
    std::optional<int> retry_count;  ///< Attempts after the first: for `autoexec run`.
    int max_parallel = 0;            ///< Steps of workflows at once; zero: no limit.
    /// Relative to the worktree, or absolute; empty: the worktree. `${PROJECT_ROOT}`, which other
    /// readers of the file know, is the worktree.
    std::string working_directory;
    /// Of the commands that take the command's text or file; all others are judged by exit code.
    OutcomeRule outcome = OutcomeRule::exit_code;
    /// How long a program may go on after it has said how it ended. Then it is stopped, and what it
    /// said stands.
    std::chrono::milliseconds linger = std::chrono::seconds{5};
};

/// `.cursor/background-agents.yaml`: the agents of a project. See `doc/agents.md`.
struct AgentsFile {
    std::vector<AgentDefinition> agents;
    int max_parallel_agents = 0;  ///< Zero: not set.
    /// Names that a workflow's steps give as their agent, and the agent that each stands for;
    /// empty: the one that is chosen for steps without an agent.
    std::map<std::string, std::string, std::less<>> roles;
    bool accept_legacy = false;  ///< Take command files of engines that hold no lock.
    std::vector<Diagnostic> warnings;
};

}  // namespace autoexec
