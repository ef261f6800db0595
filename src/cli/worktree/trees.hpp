#pragma once

#include "async/short_names.hpp"
#include "cli/cli.hpp"
#include "git/worktrees.hpp"

#include <chrono>
#include <cstddef>
#include <filesystem>
#include <functional>
#include <memory>
#include <set>
#include <string>
#include <vector>

/// What the subcommands of `autoexec worktree` share.
namespace autoexec::cli {

/// The worktrees and branches of a run.
struct TreeRun {
    std::string run_id;
    std::string state;   ///< `running`, `interrupted`, or how it ended.
    std::string parent;  ///< The run whose step has it as its child run; empty: none.
    // Of all rounds, whether they still exist or not.
    std::set<std::string> trees;  ///< Names.
    std::set<std::string> branches;
    std::string branch;                          ///< With the merged work of the steps.
    std::size_t transitions = 0;                 ///< So far.
    std::chrono::system_clock::time_point last;  ///< The time of the newest transition.
};

/// All runs that had worktrees, newest first.
std::vector<TreeRun> runs_with_trees(const std::filesystem::path& root);

/// The run that a worktree belongs to; null: unknown.
const TreeRun* owner_of(const git::TreeInfo& tree, const std::vector<TreeRun>& runs);

/// Whether a branch belongs to a worktree of the run.
bool has_branch(const TreeRun& run, const std::string& branch);

/// For the project's repository, without settings of the configuration.
git::RepositoryOptions repository_options(const std::filesystem::path& root);

/// Opens the repository and does the work; returns the exit code. Prints a message if there is no
/// repository. A signal cancels the calls of git.
int with_repository(git::RepositoryOptions options, const char* subcommand,
                    std::function<asio::awaitable<int>(std::shared_ptr<git::Repository>)> work);

}  // namespace autoexec::cli
