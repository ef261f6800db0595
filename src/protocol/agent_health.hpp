#pragma once

#include <chrono>
#include <cstddef>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>

/// `health/agents.json` ↔ struct: which agents get no commands, and until when. Pure.
namespace autoexec::protocol {

using WallTime = std::chrono::system_clock::time_point;

/// An agent without an entry works.
struct AgentHealth {
    enum class State {
        closed,  ///< It gets commands; failures are counted.
        paused,  ///< None until `until`, a time that a failure has named.
        open,    ///< None until `until`; then one command tests it.
    };
    State state = State::closed;
    int failures = 0;     ///< In a row, of classes that count against an agent.
    int openings = 0;     ///< In a row.
    std::string code;     ///< Of the last failure.
    std::string message;  ///< The same; redacted.
    WallTime since;       ///< When the state was entered; `closed`: the time of the last failure.
    WallTime until;
    WallTime probe_until;  ///< End of the lease of the command that tests it; the epoch: none runs.

    bool operator==(const AgentHealth&) const = default;
};

using AgentHealthMap = std::map<std::string, AgentHealth, std::less<>>;

/// What the state means at a certain time.
enum class AgentPhase { closed, paused, open, half_open };
[[nodiscard]] AgentPhase phase_of(const AgentHealth& health, WallTime now);
std::string_view to_string(AgentPhase phase) noexcept;

/// An agent that gets commands, and has not failed for a day: as if it had no entry.
[[nodiscard]] bool is_stale(const AgentHealth& health, WallTime now);

/// `agent claude is rate limited: no commands until 2026-01-20T12:00:05+00:00`; empty: it gets
/// commands.
[[nodiscard]] std::string reason_of(std::string_view agent, const AgentHealth& health,
                                    WallTime now);

inline constexpr std::size_t agent_health_limit = 512 * 1024;
inline constexpr std::size_t max_tracked_agents = 100;
inline constexpr std::size_t max_tracked_name = 200;  ///< Bytes.
inline constexpr std::size_t max_health_message = 300;
/// Whatever the file contains, no pause and no cool-down is longer.
inline constexpr std::chrono::hours max_agent_pause{24};
inline constexpr std::chrono::seconds probe_lease{30};

/// At most `max_tracked_agents`.
std::string format_agent_health(const AgentHealthMap& agents);

/// Nullopt if it is not such a file. Times that cannot have been written by `now`, and stale
/// entries, are dropped.
std::optional<AgentHealthMap> parse_agent_health(std::string_view text, WallTime now);

}  // namespace autoexec::protocol
