#pragma once

#include "autoexec/command.hpp"

#include <boost/json/value.hpp>

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

namespace autoexec::protocol {

/// The rule for paths of artifacts: relative to the worktree, and below it. Returns the normal
/// form, without a trailing slash, by which paths are compared; nullopt if the path is empty, is
/// the worktree itself, is absolute, or contains `..` or a NUL character.
std::optional<std::string> artifact_path(std::string_view path);

/// The same, but an absolute path below `worktree` is first made relative.
std::optional<std::string> artifact_path(std::string_view path,
                                         const std::filesystem::path& worktree);

/// The form in records: the version of each artifact, or null for a missing one.
boost::json::object to_json(const ArtifactBaseline& baseline);

/// Entries of another type are skipped. Null: empty.
ArtifactBaseline baseline_in(const boost::json::value* object);

}  // namespace autoexec::protocol
