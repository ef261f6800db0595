#pragma once

#include <filesystem>
#include <string>
#include <utility>

namespace autoexec::git {

namespace fs = std::filesystem;

/// Which configuration may name programs that git runs: filters, merge and diff drivers,
/// transports.
enum class TrustedConfig {
    repository,  ///< The user's and the repository's, but not a linked worktree's own.
    user,        ///< Only the user's and the system's: a program may have created the repository.
};

/// The directories that a git call uses. They are always passed explicitly: an agent may have
/// replaced or removed the `.git` of a tree, and git would then find the user's own repository
/// above it.
struct GitContext {
    GitContext() = default;
    GitContext(fs::path directory, fs::path tree)
        : git_dir(std::move(directory)), work_tree(std::move(tree))
    {}
    GitContext(fs::path directory, fs::path common, fs::path tree)
        : git_dir(std::move(directory)), common_dir(std::move(common)), work_tree(std::move(tree))
    {}

    fs::path git_dir;     ///< Empty: git searches from `work_tree` upwards.
    fs::path common_dir;  ///< For a linked worktree; empty: `git_dir` itself.
    fs::path work_tree;   ///< Empty: not needed.
    fs::path index;       ///< Empty: the tree's own.
    fs::path objects;     ///< Empty: the repository's own.
    std::string date;     ///< Commit date in git's format; empty: now.
    TrustedConfig trusted = TrustedConfig::repository;

    [[nodiscard]] bool is_linked() const { return !common_dir.empty() && common_dir != git_dir; }
    [[nodiscard]] GitContext with_index(fs::path file) const
    {
        auto context = *this;
        context.index = std::move(file);
        return context;
    }
};

}  // namespace autoexec::git
