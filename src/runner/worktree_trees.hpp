#pragma once

#include "runner/cli.hpp"
#include "worktree/repository.hpp"

#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

/// What the verbs about worktrees share.
namespace autoexec::runner {

/// A run, as far as its worktrees are concerned.
struct TreeOwner {
    std::string run_id;
    std::string state;    ///< `running`, `interrupted`, or how it ended.
    std::size_t age = 0;  ///< 0: of the newest run that has worktrees.
};

/// Whose the worktrees are, by their names; those that no run names are not there.
std::map<std::string, TreeOwner> owners_of(const std::vector<worktree::TreeInfo>& trees,
                                           const std::filesystem::path& root);

/// Does something with the project's repository, and gives the exit code; says why if there is
/// none.
int with_repository(
    const CommonOptions& common, const char* verb,
    std::function<asio::awaitable<int>(std::shared_ptr<worktree::Repository>)> work);

}  // namespace autoexec::runner
