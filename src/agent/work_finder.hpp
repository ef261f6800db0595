#pragma once

#include <filesystem>
#include <string>
#include <vector>

/// Where an agent looks for command files. Reads directories, runs nothing, keeps nothing: what is
/// found may be gone when it is looked at. All paths are absolute and without links.
namespace autoexec::agent {

/// The worktrees of the repository that the project lies in, the main one first: what
/// `git worktree list` says, without those whose folder is gone or doesn't agree. At most 1000.
std::vector<std::filesystem::path> git_worktrees(const std::filesystem::path& project_root);

struct WatchedFolders {
    std::vector<std::filesystem::path> folders;
    bool cut = false;  ///< A limit was reached: there may be more.
};

struct WalkLimits {
    std::size_t entries = 100'000;
    int depth = 12;  ///< Folders below the project.
};

/// The folders in the project that have a command file which one of the globs matches. Links are
/// not followed. Left out are `.git`, `node_modules`, what lies below a repository or worktree
/// within the project, and folders at the top that `.gitignore` names, except
/// `.tapps-agents/worktrees`.
WatchedFolders watched_folders(const std::filesystem::path& project_root,
                               const std::vector<std::string>& watch_paths,
                               const WalkLimits& limits = {});

struct WorkPlaces {
    std::filesystem::path project_root;
    std::vector<std::filesystem::path> worktrees;  ///< Relative ones count from the project.
    std::vector<std::string> watch_paths;
};

/// All folders that may hold a command file, each once: the given ones, the project itself, its
/// repository's worktrees, and the watched folders.
WatchedFolders find_worktrees(const WorkPlaces& places);

}  // namespace autoexec::agent
