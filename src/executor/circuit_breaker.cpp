#include "executor/circuit_breaker.hpp"

#include <algorithm>

namespace autoexec::inline v1 {
namespace {

using protocol::AgentPhase;
using std::chrono::milliseconds;

constexpr int max_doublings = 4;

milliseconds cool_down_after(int openings, const BreakerOptions& options)
{
    const auto factor = 1 << std::clamp(openings - 1, 0, max_doublings);
    return std::min<milliseconds>(options.cool_down * factor, protocol::max_agent_pause);
}

AgentChange enter(AgentHealth& health, AgentHealth::State state, milliseconds length, WallTime now)
{
    health.state = state;
    health.since = now;
    health.until = now + length;
    health.probe_until = {};
    return state == AgentHealth::State::paused ? AgentChange::paused : AgentChange::opened;
}

AgentChange note_failure(AgentHealth& health, const AgentVerdict& verdict, bool probe,
                         const BreakerOptions& options, WallTime now)
{
    const auto phase = protocol::phase_of(health, now);
    const bool open = phase == AgentPhase::open || phase == AgentPhase::half_open;
    // What was in flight when the breaker opened tells nothing new.
    if ((open && !probe) || !may_count(verdict, options)) return AgentChange::none;
    health.code = verdict.code;
    health.message = verdict.message;
    if (verdict.retry_after && options.max_pause > milliseconds::zero()) {
        const auto length = std::min(*verdict.retry_after, options.max_pause);
        if (phase == AgentPhase::paused && now + length <= health.until) return AgentChange::none;
        return enter(health, AgentHealth::State::paused, length, now);
    }
    health.failures = std::min(health.failures + 1, 1000);
    if (phase == AgentPhase::paused || (!probe && health.failures < options.max_failures)) {
        if (phase == AgentPhase::closed) {
            health.state = AgentHealth::State::closed;
            health.since = now;
        }
        return AgentChange::counted;
    }
    health.openings = std::min(health.openings + 1, 1000);
    return enter(health, AgentHealth::State::open, cool_down_after(health.openings, options), now);
}

}  // namespace

bool may_count(const AgentVerdict& verdict, const BreakerOptions& options)
{
    const bool names_time = verdict.retry_after && options.max_pause > milliseconds::zero();
    return names_time || options.max_failures > 0;
}

AgentChange note_end(AgentHealth& health, const AgentVerdict& verdict, bool probe,
                     const BreakerOptions& options, WallTime now)
{
    if (verdict.kind == AgentVerdict::Kind::fails)
        return note_failure(health, verdict, probe, options, now);
    const bool is_over = protocol::phase_of(health, now) == AgentPhase::closed;
    if (verdict.kind == AgentVerdict::Kind::works && (probe || is_over)) {
        const bool was_open = health.state == AgentHealth::State::open;
        health = {};
        return was_open ? AgentChange::closed : AgentChange::counted;
    }
    if (probe) health.probe_until = {};  // another command may test it at once
    return probe ? AgentChange::counted : AgentChange::none;
}

AgentAccess access_of(const AgentHealth& health, const BreakerOptions& options, WallTime now)
{
    switch (protocol::phase_of(health, now)) {
        case AgentPhase::closed:
            return AgentAccess::free;
        case AgentPhase::paused:
            return options.max_pause > milliseconds::zero() ? AgentAccess::none : AgentAccess::free;
        case AgentPhase::open:
            return options.max_failures > 0 ? AgentAccess::none : AgentAccess::free;
        case AgentPhase::half_open:
            break;
    }
    if (options.max_failures <= 0) return AgentAccess::free;
    return health.probe_until > now ? AgentAccess::none : AgentAccess::probe;
}

WallTime next_access(const AgentHealth& health, WallTime now)
{
    return protocol::phase_of(health, now) == AgentPhase::half_open ? health.probe_until
                                                                    : health.until;
}

}  // namespace autoexec::inline v1
