#include "protocol/agent_health.hpp"

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

using namespace autoexec::protocol;

/// No text crashes the reader, no state holds an agent back for longer than a day, and what was
/// read survives being written and read again.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    const WallTime now = std::chrono::sys_days{std::chrono::year{2026} / 1 / 20};
    const auto agents = parse_agent_health({reinterpret_cast<const char*>(data), size}, now);
    if (!agents) return 0;
    for (const auto& [name, health] : *agents) {
        const auto later = now + max_agent_pause + std::chrono::minutes{2};
        if (phase_of(health, later) == AgentPhase::paused) std::abort();
        if (phase_of(health, later) == AgentPhase::open) std::abort();
        if (health.probe_until > later) std::abort();
        (void)reason_of(name, health, now);
    }
    const auto text = format_agent_health(*agents);
    if (text.size() > agent_health_limit || parse_agent_health(text, now) != agents) std::abort();
    return 0;
}
