#pragma once

#include "async/short_names.hpp"

#include <chrono>

namespace autoexec::async {

/// Allows an action a number of times in a second. The second begins with the first action in it.
class RateLimit {
public:
    explicit RateLimit(int times) : times_(times) {}

    /// When the next action is allowed: `now`, which counts it, or the end of the second.
    time_point next(time_point now)
    {
        if (now >= end_) {
            end_ = now + std::chrono::seconds{1};
            used_ = 0;
        }
        return used_++ < times_ ? now : end_;
    }

private:
    int times_;
    int used_ = 0;
    time_point end_{};
};

}  // namespace autoexec::async
