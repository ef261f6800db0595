#pragma once

#include <filesystem>
#include <string>
#include <vector>

/// Changes in the user's checkout that a run in worktrees of its own does not contain.
namespace autoexec::cli {

/// The files of a worktree with changes that are not committed, untracked ones included, ignored
/// ones not. Empty also if git cannot read it.
std::vector<std::string> uncommitted_files(const std::filesystem::path& worktree);

/// `2 files with uncommitted changes were not seen by the steps: a, b. …`, with a newline. Pure.
std::string unseen_sentence(const std::vector<std::string>& files);

/// A commit of the files of the worktree, whose parent is its HEAD, or HEAD itself if nothing has
/// changed. No branch is changed. Throws
/// `Failure` if it cannot be made.
std::string commit_of_changes(const std::filesystem::path& root,
                              const std::filesystem::path& worktree);

}  // namespace autoexec::cli
