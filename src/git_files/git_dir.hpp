#pragma once

#include "autoexec/error.hpp"

#include <filesystem>
#include <optional>

namespace autoexec::git_files {

/// A tree and its git directory.
struct FoundTree {
    std::filesystem::path git_dir;
    std::filesystem::path top;
};

/// The tree that `directory` lies in, found as by `git_dir_of`.
std::optional<FoundTree> find_tree(const std::filesystem::path& directory);
/// `shortage`: set where descriptors or memory were lacking: then nothing found tells nothing.
std::optional<FoundTree> find_tree(const std::filesystem::path& directory, error_code& shortage);

/// The git directory of the tree that `directory` lies in, absolute and without links: what
/// `git rev-parse --absolute-git-dir` says, found without running git. Nothing outside git, and
/// nothing where what was found can't be believed: a `.git` file is the agent's to rewrite, so a
/// linked worktree's directory must name this tree in turn, and any git directory must belong to
/// us, to root or to the owner of `directory`.
std::optional<std::filesystem::path> git_dir_of(const std::filesystem::path& directory);

/// The directory that a repository's worktrees share. `git_dir` itself, unless it is the one of a
/// linked worktree.
std::filesystem::path git_common_dir(const std::filesystem::path& git_dir);

/// That of the repository that `directory` lies in; nothing outside git.
std::optional<std::filesystem::path> common_dir_of(const std::filesystem::path& directory);

/// As `git_dir_of`, but where the repository with this common directory counts `directory` among
/// its linked worktrees, its word is taken: what a program does to `.git` there changes nothing.
/// `shortage`: as for `find_tree`.
std::optional<std::filesystem::path> git_dir_in(
    const std::optional<std::filesystem::path>& common_dir, const std::filesystem::path& directory,
    error_code& shortage);

}  // namespace autoexec::git_files
