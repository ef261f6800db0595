#pragma once

#include <cstdint>

/// Messages between the spawner and the supervisor, over one SOCK_SEQPACKET socket. Both come from
/// the same build on the same machine, so a message is a plain struct.
///
/// End of file from the supervisor means that it has ended; without a previous `all_gone`, it was
/// killed. End of file from the spawner means `stop`: its process no longer waits for the program.
namespace autoexec::control {

/// A supervisor rejects a spawner with another version.
inline constexpr const char* version = "4";

/// Arguments of the supervisor: this version, the spawner's process id, the grace and the orphan
/// grace in milliseconds, the program's soft limit of open files, "--", then the program and its
/// own arguments.
inline constexpr int first_program_argument = 7;

/// Instead of that limit: the program inherits the supervisor's.
inline constexpr const char* inherited_limit = "-";

/// The supervisor's end of the socket.
inline constexpr int descriptor = 3;

/// Descriptors above it are only kept open by the supervisor.
inline constexpr int first_held = descriptor + 1;
inline constexpr int max_held = 4;

/// The first descriptor that is never passed to the supervisor: after the held descriptors comes
/// its own program file, from which it was started.
inline constexpr int first_free = first_held + max_held + 1;

/// How long the supervisor waits for killed processes that do not end, for example in an
/// uninterruptible system call.
inline constexpr int kill_timeout_ms = 5000;

enum class Kind : std::int32_t {
    stop,         ///< To the supervisor: TERM to all, KILL after the grace.
    not_started,  ///< The program could not be executed; `value` is the errno.
    ended,        ///< The program ended; `value` is its wait status.
    all_gone,     ///< The last message: `value` processes could not be killed; has the usage.
};

struct Message {
    Kind kind = Kind::stop;
    std::int32_t value = 0;
    std::int64_t cpu_us = 0;
    std::int64_t peak_memory_kib = 0;
};

}  // namespace autoexec::control
