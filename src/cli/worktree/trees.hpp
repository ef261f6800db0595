#pragma once

#include "cli/cli.hpp"
#include "git/repository.hpp"

#include <chrono>
#include <cstddef>
#include <filesystem>
#include <functional>
#include <memory>
#include <set>
#include <string>
#include <vector>

/// What the verbs about worktrees share.
namespace autoexec::cli {

/// A run, as far as its worktrees are concerned.
struct TreeRun {
    std::string run_id;
    std::string state;  ///< `running`, `interrupted`, or how it ended.
    // Of all rounds, whether they are there or not.
    std::set<std::string> trees;  ///< Names.
    std::set<std::string> branches;
    std::string branch;                          ///< Where the steps' work came together.
    std::size_t transitions = 0;                 ///< So far.
    std::chrono::system_clock::time_point last;  ///< When the newest of them was.
};

/// All that had worktrees, the newest first.
std::vector<TreeRun> runs_with_trees(const std::filesystem::path& root);

/// Whose a worktree is; null: of no run that is known.
const TreeRun* owner_of(const git::TreeInfo& tree, const std::vector<TreeRun>& runs);

/// Whether a branch is that of a worktree of the run.
bool has_branch(const TreeRun& run, const std::string& branch);

/// Of the project, without what is configured.
git::RepositoryOptions repository_options(const std::filesystem::path& root);

/// Does something with the repository, and gives the exit code; says why if there is none. A signal
/// ends the calls of git, and the code says so.
int with_repository(git::RepositoryOptions options, const char* verb,
                    std::function<asio::awaitable<int>(std::shared_ptr<git::Repository>)> work);

}  // namespace autoexec::cli
