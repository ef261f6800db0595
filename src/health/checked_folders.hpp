#pragma once

#include "autoexec/health.hpp"
#include "files/safe_files.hpp"

#include <chrono>
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

struct Trial {
    error_code error;                            ///< Clear if a block was written.
    std::chrono::system_clock::time_point time;  ///< The file's time, set by the file system.
};

/// Tests by writing whether a folder is writable: only that detects a full disk or a quota. No file
/// is left behind; an unnamed file not even after a crash. Uses an unnamed file or, if that is not
/// supported, one that is removed at once.
Trial try_to_write(int folder);

/// The fallback with a named file.
Trial try_to_create(int folder);

}  // namespace autoexec::health
