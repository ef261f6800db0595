#pragma once

#include "async/short_names.hpp"
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
    bool all = false;                         ///< Also of runs that have not completed.
    bool branches = false;                    ///< Also branches of steps whose worktree is gone.
    bool include_ignored = false;
    bool dry_run = false;
};

/// The rules of the configuration.
GcRules rules_of(const WorktreesConfig& config);

/// If configured (`worktrees.auto_gc`), does the same as `gc` after a workflow has completed, and
/// prints one line about it.
void collect_after_run(AutoExecutionConfigManager& manager, bool quiet);

/// Removes worktrees, branches and kept artifacts. Must outlive the operation.
class Collector {
public:
    /// Called for each worktree to remove: how its work was saved, or why it was kept.
    using ReportTree = std::function<void(const git::TreeInfo&, const git::Salvage&)>;

    /// Called for each branch to delete.
    using ReportBranch = std::function<void(const std::string&, const git::RemovedBranch&)>;

    /// Called for artifacts kept for a step: why they were kept; empty if they were removed.
    using ReportArtifacts = std::function<void(const git::ArtifactInfo&, const std::string&)>;

    Collector(GcRules rules, std::filesystem::path root,
              std::shared_ptr<git::Repository> repository, ReportTree report_tree,
              ReportBranch report_branch, ReportArtifacts report_artifacts);

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
    ReportTree report_tree_;
    ReportBranch report_branch_;
    ReportArtifacts report_artifacts_;
    std::vector<TreeRun> runs_;
    std::vector<git::TreeInfo> trees_;
    std::vector<std::string> branches_;
    std::vector<git::ArtifactInfo> artifacts_;
    std::set<std::string> removed_trees_;  // or would be removed
    std::set<std::string> removed_branches_;
    files::UniqueFd held_;  // the journal of the run whose worktrees are removed
};

}  // namespace autoexec::cli
