#pragma once

#include "autoexec/health.hpp"
#include "files/safe_files.hpp"

#include <filesystem>
#include <vector>

/// The folders that the checks examine.
namespace autoexec::health {

/// The given worktrees, or the project and its repository's worktrees. They need not exist.
std::vector<std::filesystem::path> worktrees_of(const HealthOptions& options);

/// Invalid (see `ec`) if it is not a folder that can be listed and entered.
files::UniqueFd open_folder(const std::filesystem::path& path, error_code& ec);

/// The folder `below` in the project, or its nearest existing parent. Invalid if its name is taken
/// by something else, including a link.
files::UniqueFd open_nearest(int project, std::filesystem::path below, error_code& ec);

}  // namespace autoexec::health
