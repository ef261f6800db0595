#pragma once

#include <filesystem>
#include <optional>
#include <string>

namespace autoexec::git_files {

/// The object id that a ref (`refs/heads/main`) contains, read without git; empty if there is no
/// such ref. Nullopt: git must be asked, because the ref is symbolic or no plain file, or refs are
/// not stored in files.
std::optional<std::string> read_ref(const std::filesystem::path& common_dir,
                                    const std::string& name);

}  // namespace autoexec::git_files
