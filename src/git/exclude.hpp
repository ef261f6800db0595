#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace autoexec::git {

/// Adds patterns to a repository's `info/exclude` that are not there yet; all its worktrees go by
/// it. False: they can't be added now.
bool exclude(const std::filesystem::path& common_dir, const std::vector<std::string>& patterns);

/// A pattern that matches this path only, which is relative to the top.
std::string exclude_pattern(std::string_view path);

}  // namespace autoexec::git
