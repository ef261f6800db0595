#pragma once

#include <filesystem>
#include <string>
#include <utility>

namespace autoexec::git {

/// Whose configuration may name programs that git runs: filters, merge and diff drivers,
/// transports.
enum class TrustedConfig {
    repository,  ///< The user's and the repository's; not the one that a linked worktree has alone.
    user,        ///< Only the user's and the system's: the repository may be a program's work.
};

/// Where a call of git works. Git is always told and never looks for itself: an agent may have put
/// another `.git` into a tree, or taken it away, and the next one above is the user's own.
struct Place {
    Place() = default;
    Place(std::filesystem::path directory, std::filesystem::path tree)
        : git_dir(std::move(directory)), work_tree(std::move(tree))
    {}
    Place(std::filesystem::path directory, std::filesystem::path common, std::filesystem::path tree)
        : git_dir(std::move(directory)), common_dir(std::move(common)), work_tree(std::move(tree))
    {}

    std::filesystem::path git_dir;     ///< Empty: git looks for it from `work_tree` on.
    std::filesystem::path common_dir;  ///< Of a linked worktree; empty: `git_dir` itself.
    std::filesystem::path work_tree;   ///< Empty: none is needed.
    std::filesystem::path index;       ///< Empty: the tree's own.
    std::filesystem::path objects;     ///< Empty: the repository's own.
    std::string date;                  ///< Of commits, as git reads it; empty: now.
    TrustedConfig trusted = TrustedConfig::repository;

    [[nodiscard]] bool is_linked() const { return !common_dir.empty() && common_dir != git_dir; }
    [[nodiscard]] Place with_index(std::filesystem::path file) const
    {
        auto place = *this;
        place.index = std::move(file);
        return place;
    }
};

}  // namespace autoexec::git
