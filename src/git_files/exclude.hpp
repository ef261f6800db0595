#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace autoexec::git_files {

/// Adds patterns to a repository's `info/exclude` that are not there yet; all its worktrees use
/// it. False: they can't be added now. The file's lock is not waited for.
bool exclude(const std::filesystem::path& common_dir, const std::vector<std::string>& patterns);

/// A pattern that matches this path only, which is relative to the top.
std::string exclude_pattern(std::string_view path);

/// The patterns of the control files and the project's folders of records, so that `git add -A`
/// inside a command does not commit them.
std::vector<std::string> control_patterns(std::string_view status_file_name);

}  // namespace autoexec::git_files
