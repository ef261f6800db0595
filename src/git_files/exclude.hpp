#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace autoexec::git_files {

/// Adds missing patterns to the repository's `info/exclude`, which all its worktrees use. Returns
/// false if they cannot be added now; it does not wait for the file's lock.
bool exclude(const std::filesystem::path& common_dir, const std::vector<std::string>& patterns);

/// A pattern that matches only this path, relative to the top.
std::string exclude_pattern(std::string_view path);

/// The patterns of the control files and record folders, so that `git add -A` in a command does not
/// commit them.
std::vector<std::string> control_patterns(std::string_view status_file_name);

}  // namespace autoexec::git_files
