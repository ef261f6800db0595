#include "protocol/agent_health.hpp"

#include "protocol/error_classes.hpp"
#include "text/json.hpp"
#include "text/json_fields.hpp"
#include "text/text.hpp"

#include <fmt/format.h>
#include <boost/json/object.hpp>

#include <algorithm>
#include <array>
#include <vector>

namespace autoexec::protocol {
namespace {

constexpr std::size_t max_health_code = 100;
constexpr int max_counted = 1000;
constexpr std::chrono::minutes clock_skew{1};  // between processes that share the file
constexpr std::chrono::hours max_failure_age{24};

constexpr std::array<std::string_view, 3> state_words{"closed", "paused", "open"};

boost::json::value time_or_null(WallTime time)
{
    if (time == WallTime{}) return nullptr;
    return boost::json::string(text::iso_utc(time));
}

boost::json::object json_of(const AgentHealth& health)
{
    return {{"state", state_words[static_cast<std::size_t>(health.state)]},
            {"failures", health.failures},
            {"openings", health.openings},
            {"code", health.code},
            {"message", health.message},
            {"since", time_or_null(health.since)},
            {"until", time_or_null(health.until)},
            {"probe_until", time_or_null(health.probe_until)}};
}

std::optional<AgentHealth> read_health(const text::Fields& fields, WallTime now)
{
    AgentHealth health;
    const auto state = fields.string("state").value_or("");
    const auto* const word = std::find(state_words.begin(), state_words.end(), state);
    health.since = fields.time("since").value_or(WallTime{});
    // From the future: the clock was set back, and `until` would be as wrong.
    if (word == state_words.end() || health.since > now + clock_skew) return std::nullopt;
    health.state = static_cast<AgentHealth::State>(word - state_words.begin());
    health.failures = static_cast<int>(fields.integer("failures", 0, max_counted).value_or(0));
    health.openings = static_cast<int>(fields.integer("openings", 0, max_counted).value_or(0));
    health.code = text::head(fields.string("code").value_or(""), max_health_code);
    health.message = text::head(fields.string("message").value_or(""), max_health_message);
    health.until = std::min<WallTime>(fields.time("until").value_or(WallTime{}),
                                      health.since + max_agent_pause);
    const auto lease = fields.time("probe_until").value_or(WallTime{});
    if (lease <= now + probe_lease + clock_skew) health.probe_until = lease;
    return health;
}

}  // namespace

AgentPhase phase_of(const AgentHealth& health, WallTime now)
{
    switch (health.state) {
        case AgentHealth::State::paused:
            return now < health.until ? AgentPhase::paused : AgentPhase::closed;
        case AgentHealth::State::open:
            return now < health.until ? AgentPhase::open : AgentPhase::half_open;
        case AgentHealth::State::closed:
            break;
    }
    return AgentPhase::closed;
}

bool is_stale(const AgentHealth& health, WallTime now)
{
    return phase_of(health, now) == AgentPhase::closed && now > health.since + max_failure_age;
}

std::string_view to_string(AgentPhase phase) noexcept
{
    switch (phase) {
        case AgentPhase::closed:
            return "closed";
        case AgentPhase::paused:
            return "paused";
        case AgentPhase::open:
            return "open";
        case AgentPhase::half_open:
            break;
    }
    return "half_open";
}

std::string reason_of(std::string_view agent, const AgentHealth& health, WallTime now)
{
    const auto who =
        fmt::format("agent {} {}", text::printable(agent), words_of_class(health.code));
    switch (phase_of(health, now)) {
        case AgentPhase::closed:
            return {};
        case AgentPhase::paused:
        case AgentPhase::open:
            return fmt::format(
                "{}: no commands until {}", who,
                text::shown_time(WallTime(std::chrono::ceil<std::chrono::seconds>(health.until))));
        case AgentPhase::half_open:
            break;
    }
    return who +
           (health.probe_until > now ? ": one command tests it" : ": the next command tests it");
}

std::string format_agent_health(const AgentHealthMap& agents)
{
    boost::json::object entries;
    for (const auto& [name, health] : agents)
        if (entries.size() < max_tracked_agents) entries[name] = json_of(health);
    return text::dump_indented({{"agents", std::move(entries)}}) + "\n";
}

std::optional<AgentHealthMap> parse_agent_health(std::string_view text, WallTime now)
{
    const auto reading = text::read_json_object(text);
    if (reading.kind != text::JsonReading::Kind::valid) return std::nullopt;
    const auto* const entries = reading.object.if_contains("agents");
    if (entries == nullptr || !entries->is_object()) return std::nullopt;
    AgentHealthMap agents;
    std::vector<std::string> ignored;
    for (const auto& [name, entry] : entries->get_object()) {
        if (name.size() > max_tracked_name || agents.size() >= max_tracked_agents) continue;
        auto health = read_health(text::Fields(entry.if_object(), ignored), now);
        if (health && !is_stale(*health, now))
            agents.emplace(std::string(name), *std::move(health));
    }
    return agents;
}

}  // namespace autoexec::protocol
