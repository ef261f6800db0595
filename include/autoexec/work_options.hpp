#pragma once

#include <chrono>
#include <cstddef>

namespace autoexec::inline v1 {

/// Options of an agent that can change while it runs. A change applies to commands that are claimed
/// after it.
struct WorkOptions {
    /// Commands at once. Zero: the number in the agents file, else no limit.
    int max_parallel = 0;
    std::chrono::milliseconds stop_grace = std::chrono::seconds{10};  ///< From TERM to KILL.
    std::chrono::milliseconds scan_interval = std::chrono::seconds{1};
    /// Between searches of the watch paths of the agents file.
    std::chrono::milliseconds watch_paths_interval = std::chrono::seconds{30};
    /// Between writes of a running command's status. Zero: only when its output has changed.
    std::chrono::milliseconds heartbeat_interval = std::chrono::seconds{10};
    /// Time for a person to answer a question. Then permission is denied, and a question has no
    /// answer. Zero: no limit but that of the command.
    std::chrono::milliseconds input_timeout = std::chrono::minutes{15};
    /// Of `output/<attempt_id>.log`. Zero: no such file.
    std::size_t max_output_bytes = 10 * 1024 * 1024;
    std::size_t max_output_tail_bytes = 8 * 1024;  ///< Of the output in the status.

    bool operator==(const WorkOptions&) const = default;
};

}  // namespace autoexec::inline v1
