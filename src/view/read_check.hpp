#pragma once

#include "autoexec/file.hpp"

#include <chrono>
#include <optional>

namespace autoexec::view {

/// Decides by its stamp whether a file or folder must be read again.
///
/// Two changes within one tick of the file system's clock may leave the same stamp. So it is read
/// until a read began a tick after its stamp was first seen: later changes have another stamp.
class ReadCheck {
public:
    using clock = std::chrono::steady_clock;

    /// Two ticks of the slowest kernel clock (100 Hz).
    static constexpr std::chrono::milliseconds settling_time{20};

    /// True if it must be read now. `stamp` was taken before `now`.
    bool must_read(const FileStamp& stamp, clock::time_point now)
    {
        if (stamp_ == stamp) {
            const bool was_settled = settled_;
            settled_ = now - first_seen_ >= settling_time;
            return !was_settled;
        }
        stamp_ = stamp;
        first_seen_ = now;
        settled_ = false;
        return true;
    }

private:
    std::optional<FileStamp> stamp_;
    clock::time_point first_seen_{};
    bool settled_ = false;
};

}  // namespace autoexec::view
