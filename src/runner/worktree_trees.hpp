#pragma once

#include "runner/cli.hpp"
#include "worktree/repository.hpp"

#include <cstddef>
#include <filesystem>
#include <functional>
#include <memory>
#include <set>
#include <string>
#include <vector>

/// What the verbs about worktrees share.
namespace autoexec::runner {

/// A run, as far as its worktrees are concerned.
struct TreeRun {
    std::string run_id;
    std::string state;            ///< `running`, `interrupted`, or how it ended.
    std::set<std::string> trees;  ///< Names, of all rounds, whether they are there or not.
    std::size_t transitions = 0;  ///< So far.
};

/// All that had worktrees, the newest first.
std::vector<TreeRun> runs_with_trees(const std::filesystem::path& root);

/// Whose a worktree is; null: of no run that is known.
const TreeRun* owner_of(const worktree::TreeInfo& tree, const std::vector<TreeRun>& runs);

/// Does something with the project's repository, and gives the exit code; says why if there is
/// none.
int with_repository(
    const CommonOptions& common, const char* verb,
    std::function<asio::awaitable<int>(std::shared_ptr<worktree::Repository>)> work);

}  // namespace autoexec::runner
