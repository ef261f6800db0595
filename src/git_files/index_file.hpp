#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace autoexec::git_files {

/// Which of these paths, relative to the tree's top, the index in `git_dir` contains. Reads the
/// file itself, so no configured program is run. Empty if the index is missing, larger than 64 MiB,
/// or of an unknown format; entries of a shared index are not found.
std::vector<std::string> tracked_among(const std::filesystem::path& git_dir,
                                       const std::vector<std::string>& paths);

/// True if the index in this file says that its content is that tree: then `git write-tree` prints
/// the same. False if it does not say, as after each `git add`.
bool index_is_tree(const std::filesystem::path& index, const std::string& tree);

}  // namespace autoexec::git_files
