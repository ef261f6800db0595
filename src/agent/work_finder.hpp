#pragma once

#include <filesystem>
#include <string>
#include <vector>

/// Finds the folders in which an agent looks for command files. Reads directories without running
/// programs; folders may disappear after they were found. All paths are absolute and without links.
namespace autoexec::agent {

/// The worktrees of the repository that contains the project, the main one first: like `git
/// worktree list`, without those whose folder is missing or does not point back. At most 1000.
std::vector<std::filesystem::path> git_worktrees(const std::filesystem::path& project_root);

struct WatchedFolders {
    std::vector<std::filesystem::path> folders;
    bool cut = false;  ///< A limit was reached: there may be more folders.
};

struct WalkLimits {
    std::size_t entries = 100'000;
    int depth = 12;  ///< Folders below the project.
};

/// The folders in the project with a command file that matches one of the globs. Links are not
/// followed. Skipped: `.git`, `node_modules`, folders in nested repositories and worktrees, and
/// folders at the top that `.gitignore` names, except `.tapps-agents/worktrees`.
WatchedFolders watched_folders(const std::filesystem::path& project_root,
                               const std::vector<std::string>& watch_paths,
                               const WalkLimits& limits = {});

struct WorkLocations {
    std::filesystem::path project_root;
    std::vector<std::filesystem::path> worktrees;  ///< Relative paths are relative to the project.
    std::vector<std::string> watch_paths;
};

/// All folders that may contain a command file, without duplicates: the given ones, the project
/// itself, its repository's worktrees, and the watched folders.
WatchedFolders find_worktrees(const WorkLocations& locations);

}  // namespace autoexec::agent
