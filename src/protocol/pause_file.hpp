#pragma once

#include <chrono>
#include <cstddef>
#include <map>
#include <optional>
#include <string>
#include <string_view>

/// Text ↔ struct for `running/paused`: the starts that people have paused. Pure.
namespace autoexec::protocol {

inline constexpr std::size_t pause_file_limit = 1024 * 1024;
inline constexpr std::size_t max_paused_names = 100;  ///< Of agents, and of workflows.
inline constexpr std::size_t max_paused_name = 256;   ///< In bytes.

/// When starts were paused, and by whom: `user@host`.
struct Pause {
    std::optional<std::chrono::system_clock::time_point> since;
    std::string by;

    bool operator==(const Pause&) const = default;
};

/// The starts that are paused. What runs continues.
struct StartPauses {
    using ByName = std::map<std::string, Pause, std::less<>>;

    std::optional<Pause> all;
    ByName agents;
    ByName workflows;  ///< Ids of workflows, or of runs.

    [[nodiscard]] bool empty() const noexcept
    {
        return !all && agents.empty() && workflows.empty();
    }
    bool operator==(const StartPauses&) const = default;
};

/// `starts of agent NAME are paused since TIME by USER`: for a pause of `kind` `agent` or
/// `workflow`; without a name, of all starts.
std::string words_of_pause(const Pause& pause, std::string_view kind = {},
                           std::string_view name = {});

std::string format_pauses(const StartPauses& pauses);

/// Nullopt if the text is no JSON object of a known version. Names beyond the limits are skipped.
std::optional<StartPauses> parse_pauses(std::string_view text);

}  // namespace autoexec::protocol
