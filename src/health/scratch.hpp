#pragma once

#include "autoexec/error.hpp"

#include <chrono>
#include <filesystem>

/// Tests by writing whether a folder is writable: only that detects a full disk or a quota. No file
/// is left behind; an unnamed file not even after a crash.
namespace autoexec::health {

struct Trial {
    error_code error;                            ///< Clear if a block was written.
    std::chrono::system_clock::time_point time;  ///< The file's time, set by the file system.
};

/// Uses an unnamed file or, if that is not supported, one that is removed at once.
Trial try_to_write(int folder);

/// The fallback with a named file.
Trial try_to_create(int folder);

}  // namespace autoexec::health
