#pragma once

/// Codes of errors that more than one folder sets or reads.
namespace autoexec::error_codes {

/// The command was not started, because its agent is down.
inline constexpr char agent_unavailable[] = "agent_unavailable";
inline constexpr char budget[] = "budget";
/// The command waits for a person who is not to be waited for.
inline constexpr char input_needed[] = "input_needed";
/// A lack of descriptors, processes or memory.
inline constexpr char no_resources[] = "no_resources";
/// The command was not started, because its start could not be recorded.
inline constexpr char unrecorded[] = "unrecorded";

}  // namespace autoexec::error_codes
