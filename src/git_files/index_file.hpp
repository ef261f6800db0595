#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace autoexec::git_files {

/// Which of these paths, relative to the tree's top, the index in `git_dir` has. Reads the file
/// itself, so nothing that a repository configures is run. Empty where the index is missing, larger
/// than 64 MiB, or not understood; entries of a shared index are not seen.
std::vector<std::string> tracked_among(const std::filesystem::path& git_dir,
                                       const std::vector<std::string>& paths);

}  // namespace autoexec::git_files
