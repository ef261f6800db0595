#pragma once

#include <chrono>

namespace autoexec {

/// Monotonic time. All deadlines count in it.
using time_point = std::chrono::steady_clock::time_point;

}  // namespace autoexec
