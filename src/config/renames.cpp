#include "config/renames.hpp"

#include <algorithm>
#include <array>

namespace autoexec::config {
namespace {

constexpr std::array renamed{
    Rename{"clocks.start_seconds", "timeouts.start_seconds"},
    Rename{"clocks.stall_seconds", "timeouts.stall_seconds"},
    Rename{"clocks.total_seconds", "timeouts.total_seconds"},
    Rename{"clocks.stop_grace_seconds", "timeouts.stop_grace_seconds"},
    Rename{"limits.max_concurrency", "limits.max_parallel"},
    Rename{"limits.status_bytes", "limits.max_status_bytes"},
    Rename{"limits.output_bytes", "limits.max_output_bytes"},
    Rename{"limits.output_tail_bytes", "limits.max_output_tail_bytes"},
    Rename{"limits.audit_bytes", "audit.max_bytes"},
    Rename{"limits.audit_backups", "audit.max_backups"},
    Rename{"worktrees.free_space_floor", "worktrees.min_free_bytes"},
    Rename{"agent.heartbeat_seconds", "agent.heartbeat_interval_seconds"},
};

}  // namespace

std::span<const Rename> renames() noexcept
{
    return renamed;
}

const Rename* find_rename(std::string_view before)
{
    const auto* const found = std::find_if(
        renamed.begin(), renamed.end(), [&](const Rename& each) { return each.before == before; });
    return found == renamed.end() ? nullptr : found;
}

bool is_former_section(std::string_view key)
{
    return std::any_of(renamed.begin(), renamed.end(),
                       [&](const Rename& each) { return section_of(each.before) == key; });
}

std::string_view section_of(std::string_view key)
{
    const auto dot = key.rfind('.');
    return dot == key.npos ? std::string_view{} : key.substr(0, dot);
}

std::string_view name_of(std::string_view key)
{
    return key.substr(key.rfind('.') + 1);  // npos + 1 is 0
}

}  // namespace autoexec::config
