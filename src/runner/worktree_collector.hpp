#pragma once

#include "platform/safe_files.hpp"
#include "runner/worktree_trees.hpp"

#include <chrono>
#include <cstddef>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

/// What `autoexec worktree gc` does.
namespace autoexec::runner {

struct GcRules {
    std::chrono::milliseconds older_than{0};  ///< Zero: of any age.
    std::size_t keep = 0;                     ///< Runs, the newest ones.
    bool all = false;                         ///< Also those of runs that have not completed.
    bool include_ignored = false;
    bool dry_run = false;
};

/// Must outlive what it does.
class Collector {
public:
    /// Of each worktree that is to go: what was saved of it, or why it stays.
    using TellTree = std::function<void(const worktree::TreeInfo&, const worktree::Salvage&)>;

    Collector(GcRules rules, std::filesystem::path root,
              std::shared_ptr<worktree::Repository> repository, TellTree tell_tree);

    asio::awaitable<void> collect();

private:
    [[nodiscard]] bool is_wanted(const TreeRun& run, std::size_t age) const;
    [[nodiscard]] bool is_wanted(const worktree::TreeInfo& tree) const;
    std::string hold(const TreeRun& run);
    asio::awaitable<void> collect_of(const TreeRun& run);
    asio::awaitable<void> remove(const worktree::TreeInfo& tree, std::string problem);

    GcRules rules_;
    std::filesystem::path root_;
    std::shared_ptr<worktree::Repository> repository_;
    TellTree tell_tree_;
    std::vector<TreeRun> runs_;
    std::vector<worktree::TreeInfo> trees_;
    platform::UniqueFd held_;  // the journal of the run whose worktrees go
};

}  // namespace autoexec::runner
