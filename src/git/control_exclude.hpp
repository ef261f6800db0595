#pragma once

#include <filesystem>
#include <string_view>

namespace autoexec::git {

/// Adds the control files and the project's folders of records to `info/exclude` of the repository
/// of a worktree with this git directory, once, so that `git add -A` inside a command does not
/// commit them. Best effort: under a lock that is not waited for.
void exclude_from_git(const std::filesystem::path& git_dir, std::string_view status_file_name);

}  // namespace autoexec::git
