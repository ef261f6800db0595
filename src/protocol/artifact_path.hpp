#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

namespace autoexec::protocol {

/// The one rule for paths of artifacts: relative to the worktree, and below it. Returns the normal
/// form, without a slash at its end, by which paths are compared. Nothing if the path is empty, is
/// the worktree itself, is absolute, or has `..` or a NUL character in it.
std::optional<std::string> artifact_path(std::string_view path);

/// The same, but an absolute path below `worktree` is made relative first.
std::optional<std::string> artifact_path(std::string_view path,
                                         const std::filesystem::path& worktree);

}  // namespace autoexec::protocol
