#pragma once

#include "autoexec/command.hpp"

#include <cstddef>
#include <string>
#include <string_view>

/// Text ↔ struct for the status file. Pure: no I/O, no clock. Rules: `doc/file-protocol.md`.
namespace autoexec::protocol {

inline constexpr std::size_t default_status_limit = 16 * 1024 * 1024;

struct StatusReading {
    enum class Kind {
        incomplete,  ///< Empty or incomplete: read it again later.
        malformed,   ///< Permanently invalid; `problem` says why.
        valid,
    };
    Kind kind = Kind::incomplete;
    AgentStatus status;   ///< Meaningful only for `valid`.
    std::string problem;  ///< One sentence without the path; only for `malformed`.
};

StatusReading parse_status(std::string_view text);

/// A structured ("1.0") status file. Like in the original, empty fields are omitted.
std::string format_status(const AgentStatus& status);

}  // namespace autoexec::protocol
