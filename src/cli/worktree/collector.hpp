#pragma once

#include "autoexec/config.hpp"
#include "cli/worktree/trees.hpp"
#include "files/safe_files.hpp"

#include <chrono>
#include <cstddef>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

/// What `autoexec worktree gc` does.
namespace autoexec::cli {

struct GcRules {
    std::chrono::milliseconds older_than{0};  ///< Zero: of any age.
    std::size_t keep = 0;                     ///< Runs, the newest ones.
    bool all = false;                         ///< Also those of runs that have not completed.
    bool branches = false;                    ///< Also those of steps whose worktree is gone.
    bool include_ignored = false;
    bool dry_run = false;
};

/// As configured.
GcRules rules_of(const WorktreesConfig& config);

/// What `gc` would do, after a workflow has completed, if that is configured; one line says what.
void collect_after_run(AutoExecutionConfigManager& manager, bool quiet);

/// Must outlive what it does.
class Collector {
public:
    /// Of each worktree that is to go: what was saved of it, or why it stays.
    using TellTree = std::function<void(const git::TreeInfo&, const git::Salvage&)>;

    /// The same of each branch.
    using TellBranch = std::function<void(const std::string&, const git::RemovedBranch&)>;

    /// Of the artifacts that are kept for a step: why they stay; empty if they are gone.
    using TellArtifacts = std::function<void(const git::ArtifactInfo&, const std::string&)>;

    Collector(GcRules rules, std::filesystem::path root,
              std::shared_ptr<git::Repository> repository, TellTree tell_tree,
              TellBranch tell_branch, TellArtifacts tell_artifacts);

    asio::awaitable<void> collect();

private:
    [[nodiscard]] bool is_wanted(const TreeRun& run, std::size_t age) const;
    [[nodiscard]] bool is_wanted(const git::TreeInfo& tree) const;
    std::string hold(const TreeRun& run);
    asio::awaitable<void> collect_of(const TreeRun& run);
    asio::awaitable<void> remove(const git::TreeInfo& tree, std::string problem);
    [[nodiscard]] std::vector<std::string> branches_without_tree(const TreeRun& run) const;
    asio::awaitable<void> remove(const TreeRun& run, const std::string& branch,
                                 std::string problem);
    asio::awaitable<void> remove(const git::ArtifactInfo& artifacts, std::string problem);
    asio::awaitable<void> collect_of_no_run();

    GcRules rules_;
    std::filesystem::path root_;
    std::shared_ptr<git::Repository> repository_;
    TellTree tell_tree_;
    TellBranch tell_branch_;
    TellArtifacts tell_artifacts_;
    std::vector<TreeRun> runs_;
    std::vector<git::TreeInfo> trees_;
    std::vector<std::string> branches_;
    std::vector<git::ArtifactInfo> artifacts_;
    std::set<std::string> gone_trees_;  // or would be
    std::set<std::string> gone_branches_;
    files::UniqueFd held_;  // the journal of the run whose worktrees go
};

}  // namespace autoexec::cli
