#pragma once

#include "autoexec/error.hpp"
#include "autoexec/mailbox.hpp"

#include <cstddef>
#include <filesystem>
#include <optional>
#include <string>

namespace autoexec::git_files {

/// Reads a file that belongs to this user or the owner of its folder; empty if it does not exist.
/// `shortage`: set if descriptors or memory ran out.
std::string read_file(const std::filesystem::path& file, std::size_t limit, error_code& shortage);

/// The tree that contains `directory`, found as by `git_dir_of`.
std::optional<GitTree> find_tree(const std::filesystem::path& directory);
/// `shortage`: set if descriptors or memory ran out; then an empty result means "unknown".
std::optional<GitTree> find_tree(const std::filesystem::path& directory, error_code& shortage);

/// The git directory of the tree that contains `directory`, absolute and without links: the result
/// of `git rev-parse --absolute-git-dir`, found without running git. Returns nullopt outside git
/// and where the result is not trustworthy: an agent can rewrite a `.git` file, so a linked
/// worktree's directory must point back to this tree, and any git directory must belong to this
/// user, to root or to the owner of `directory`.
std::optional<std::filesystem::path> git_dir_of(const std::filesystem::path& directory);

/// The directory that a repository's worktrees share: `git_dir` itself, except for a linked
/// worktree.
std::filesystem::path git_common_dir(const std::filesystem::path& git_dir);

/// The common directory of the repository that contains `directory`; empty outside git.
std::optional<std::filesystem::path> common_dir_of(const std::filesystem::path& directory);

/// As `find_tree`, but if the repository with this common directory lists `directory` as a linked
/// worktree, that record is used, whatever a program did to `.git` there.
std::optional<GitTree> find_tree_in(const std::optional<std::filesystem::path>& common_dir,
                                    const std::filesystem::path& directory, error_code& shortage);

/// The same, for a caller that needs what was found when a worktree was locked: without a look, if
/// this process has found it within the last second.
std::optional<GitTree> find_recent_tree_in(const std::optional<std::filesystem::path>& common_dir,
                                           const std::filesystem::path& directory,
                                           error_code& shortage);

}  // namespace autoexec::git_files
