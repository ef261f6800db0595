#pragma once

#include "text/glob.hpp"

#include <filesystem>
#include <functional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

/// Finds the folders in which an agent looks for command files. Reads directories without running
/// programs; folders may disappear after they were found. All paths are absolute and without links.
namespace autoexec::agent {

/// The worktrees of the repository that contains the project, the main one first: like `git
/// worktree list`, without those whose folder is missing or does not point back. At most 1000.
std::vector<std::filesystem::path> git_worktrees(const std::filesystem::path& project_root);

/// The rules of a `.gitignore` for folders at the top. Only patterns for a single name are used,
/// with `!`; others are ignored.
class IgnoreRules {
public:
    explicit IgnoreRules(std::string_view text);

    [[nodiscard]] bool ignores(std::string_view name) const;

private:
    std::vector<std::pair<text::Glob, bool>> rules_;  // false: the line began with `!`
};

struct WalkLimits {
    std::size_t entries = 100'000;
    int depth = 12;  ///< Folders below the project.
};

/// A walk of a part of the project, or one that others take part in.
struct WalkOptions {
    std::set<std::filesystem::path> from;  ///< As `enter` got them. Empty: the project.
    /// Called with each folder before it is read. False: it is skipped. Null: none is.
    std::function<bool(const std::filesystem::path&)> enter;
};

/// The folders in the project with a command file that matches one of the globs. Links are not
/// followed. Skipped: `.git`, `node_modules`, folders in nested repositories and worktrees, and
/// folders at the top that `.gitignore` names, except `.tapps-agents/worktrees`.
std::vector<std::filesystem::path> watched_folders(const std::filesystem::path& project_root,
                                                   const std::vector<std::string>& watch_paths,
                                                   const WalkLimits& limits = {},
                                                   WalkOptions options = {});

}  // namespace autoexec::agent
