#pragma once

#include "autoexec/config.hpp"

#include <boost/json/object.hpp>

#include <chrono>
#include <cstddef>
#include <filesystem>
#include <functional>
#include <string>
#include <utility>

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

/// What was removed or kept; with `dry_run`, what would be.
struct Collected {
    enum class Kind { worktree, branch, artifacts, cached };

    Collected(Kind of, std::string called, std::string why)
        : kind(of), name(std::move(called)), problem(std::move(why))
    {}

    Kind kind;
    std::string name;
    std::string problem;       ///< Why it was kept; empty: it was removed.
    std::string remark;        ///< Where its work is, for a message; may be empty.
    bool saved = false;        ///< Its uncommitted work was saved.
    bool failed = false;       ///< It should not have been kept.
    boost::json::object json;  ///< For `--json`.
};

/// Removes worktrees, branches, kept artifacts and cached work, and reports each. Returns the exit
/// code.
int collect_worktrees(const std::filesystem::path& root, const WorktreesConfig& config,
                      GcRules rules, std::function<void(const Collected&)> report);

/// If configured (`worktrees.auto_gc`), does the same as `gc` after a workflow has completed, and
/// prints one line about it.
void collect_after_run(AutoExecutionConfigManager& manager, bool quiet);

}  // namespace autoexec::cli
