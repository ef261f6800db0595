#pragma once

#include "autoexec/health.hpp"
#include "files/safe_files.hpp"

#include <filesystem>
#include <vector>

/// Where the checks look.
namespace autoexec::health {

/// The given worktrees, or the project and its repository's. Not all need exist.
std::vector<std::filesystem::path> worktrees_of(const HealthOptions& options);

/// Invalid (`ec` says why) if it is no folder that can be listed and entered.
files::UniqueFd open_folder(const std::filesystem::path& path, error_code& ec);

/// The folder `below` of the project, or the nearest one above it that is there. Invalid if
/// something else is in its place, a link included.
files::UniqueFd open_nearest(int project, std::filesystem::path below, error_code& ec);

}  // namespace autoexec::health
