#pragma once

#include "autoexec/mailbox.hpp"

#include <filesystem>
#include <optional>

namespace autoexec::git_files {

/// The result of `quick_find`.
struct QuickResult {
    bool known = false;           ///< Otherwise `find_tree_in` must search.
    std::optional<GitTree> tree;  ///< Absent: `directory` is outside git.
};

/// What `find_tree_in` would find, in two to ten system calls, for a worktree as `git worktree add`
/// makes it, for the main worktree, and outside git. Remembers worktrees while the two files that
/// connect them with their repository are unchanged, and for a second which folders have no
/// repository above them. Any thread.
QuickResult quick_find(const std::optional<std::filesystem::path>& common_dir,
                       const std::filesystem::path& directory);

/// Keeps a result of `find_tree_in` for a second, unless many others follow. Any thread.
void remember_found(const std::optional<std::filesystem::path>& common_dir,
                    const std::filesystem::path& directory, const std::optional<GitTree>& tree);
QuickResult recently_found(const std::optional<std::filesystem::path>& common_dir,
                           const std::filesystem::path& directory);

}  // namespace autoexec::git_files
