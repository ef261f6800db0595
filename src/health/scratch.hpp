#pragma once

#include "autoexec/error.hpp"

#include <chrono>
#include <filesystem>

/// Whether a folder can be written to, tried out: a full disk and a quota show only then. Nothing
/// is left behind, and what has no name can't be left even by a crash.
namespace autoexec::health {

struct Trial {
    error_code error;                            ///< Clear: a block was written.
    std::chrono::system_clock::time_point time;  ///< Which the file system gave to it.
};

/// By a file without a name, or where there is no such thing, by one that is removed at once.
Trial try_to_write(int folder);

/// The second way.
Trial try_to_create(int folder);

}  // namespace autoexec::health
