#pragma once

#include "autoexec/execution_options.hpp"
#include "protocol/agent_health.hpp"

#include <chrono>
#include <optional>
#include <string>

/// When an agent gets no commands. Pure.
namespace autoexec::inline v1 {

using protocol::AgentHealth;
using protocol::WallTime;

/// What the end of an attempt says about its agent.
struct AgentVerdict {
    enum class Kind {
        works,
        fails,
        unknown,  ///< Cancelled, lost, or out of time: nothing.
    };
    Kind kind = Kind::unknown;
    std::string code;
    std::string message;
    std::optional<std::chrono::milliseconds> retry_after;
};

/// How the state changes at the end of an attempt.
enum class AgentChange { none, counted, paused, opened, closed };

/// Whether the settings allow a failure to change the state.
bool may_count(const AgentVerdict& verdict, const BreakerOptions& options);

/// `probe`: the attempt was the one that tests the agent.
AgentChange note_end(AgentHealth& health, const AgentVerdict& verdict, bool probe,
                     const BreakerOptions& options, WallTime now);

/// Whether the agent may get a command now. Without a limit of failures, an open breaker does not
/// count; without a limit of pauses, a pause.
enum class AgentAccess { free, probe, none };
AgentAccess access_of(const AgentHealth& health, const BreakerOptions& options, WallTime now);

/// When to ask again; for `AgentAccess::none`.
WallTime next_access(const AgentHealth& health, WallTime now);

}  // namespace autoexec::inline v1
