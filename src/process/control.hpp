#pragma once

#include <cstdint>

/// What the spawner and the supervisor say to each other, over one SOCK_SEQPACKET socket.
/// Both come from one build of one machine, so a message is a plain struct.
///
/// The supervisor's end of file means that it ended; without `all_gone` before it, it was killed.
/// The spawner's end of file means `stop`: nobody waits for the program any more.
namespace autoexec::control {

/// A supervisor refuses to work for a spawner that speaks otherwise.
inline constexpr const char* version = "3";

/// Arguments of the supervisor: this version, the spawner's process id, the grace and the orphan
/// grace in milliseconds, "--", then the program and its own arguments.
inline constexpr int first_program_argument = 6;

/// The supervisor's end of the socket.
inline constexpr int descriptor = 3;

/// Above it, what the supervisor only holds.
inline constexpr int first_held = descriptor + 1;
inline constexpr int max_held = 4;

/// The first descriptor that the supervisor is never given: after what it holds comes its own
/// program, by which it was started.
inline constexpr int first_free = first_held + max_held + 1;

/// How long the supervisor waits for processes that were killed and don't go, in an
/// uninterruptible system call for example.
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
