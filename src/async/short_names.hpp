#pragma once

#include <chrono>

namespace boost::asio {}

/// Short names for the sources of the library, which the public headers do not export.
namespace autoexec::inline v1 {

namespace asio = boost::asio;

/// Monotonic time. All deadlines count in it.
using time_point = std::chrono::steady_clock::time_point;

}  // namespace autoexec::inline v1
