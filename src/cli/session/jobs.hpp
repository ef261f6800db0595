#pragma once

#include "autoexec/command.hpp"

#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace CLI {
class App;
}

namespace autoexec::cli {

/// What the command line states about commands. A list overrides it line by line.
struct JobOptions {
    std::string command;
    std::vector<std::string> words;    ///< The command, and worktrees after the first of a `-w`.
    std::vector<std::string> program;  ///< After `--`.
    std::string list;                  ///< JSONL file, `-` for stdin.
    std::vector<std::string> worktrees;
    std::vector<std::string> new_worktrees;  ///< NAME[@REF]
    std::optional<std::chrono::milliseconds> timeout;
    std::vector<std::string> expect;
    std::string workflow_id;
    std::string step_id;
    std::optional<int> retry;
    bool idempotent = false;
    std::string agent;
    std::vector<std::string> env_refs;
    int priority = 0;
};

/// One command to run; its worktree may have to be made first.
struct CommandJob {
    explicit CommandJob(CommandRequest r) : request(std::move(r)) {}

    CommandRequest request;
    std::string new_worktree;  ///< NAME[@REF]; empty: `request.worktree` exists.
    /// The name of the worktree that was created for it; it repeats a command there.
    std::string created_worktree;
    std::string rerun_of;  ///< The execution whose command it repeats; empty: none.
};

/// `NAME` of `NAME@REF`.
std::string name_of_new_worktree(const CommandJob& job);
/// `REF` of `NAME@REF`, by default `HEAD`.
std::string ref_of_new_worktree(const CommandJob& job);

/// The name of the worktree that is created for it, or was; empty: it works in one of others.
std::string name_of_own_worktree(const CommandJob& job);

void add_job(CLI::App& app, JobOptions& options);

/// All problems are added to `problems`.
std::vector<CommandJob> collect_jobs(const JobOptions& options, std::vector<std::string>& problems);

/// Pure: the lines of a list. Empty lines are skipped.
std::vector<CommandJob> parse_job_list(std::string_view text, const JobOptions& defaults,
                                       std::vector<std::string>& problems);

}  // namespace autoexec::cli
