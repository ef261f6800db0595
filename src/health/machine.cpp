#include "health/checked_folders.hpp"
#include "health/checks.hpp"
#include "health/verdict.hpp"
#include "records/audit_reader.hpp"
#include "records/metrics_reader.hpp"
#include "text/text.hpp"

#include <fmt/format.h>
#include <boost/json/value_to.hpp>

#include <algorithm>
#include <limits>
#include <map>
#include <set>

/// The machine: what it has left, and what time it believes it is.
namespace autoexec::health {
namespace {

using namespace std::chrono_literals;
using std::chrono::system_clock;

constexpr std::uint64_t degraded_factor = 4;
constexpr std::uint64_t watches_per_worktree = 2;  // its root and .cursor
constexpr std::uint64_t instances_needed = 2;      // an engine and an agent
constexpr auto max_ahead = 1min;                   // of records that other hosts may have written
constexpr auto max_apart = 5s;
constexpr std::uint64_t mebibyte = 1024 * 1024;

struct Amount {
    std::string_view what;
    std::uint64_t free;
    std::uint64_t floor;
    std::string_view unit;
    std::uint64_t divisor;
};

void judge(Verdict& verdict, const std::filesystem::path& place, const Amount& a)
{
    if (a.free / degraded_factor >= a.floor) return;
    auto problem = fmt::format("{} of {}: {}{} left, {}{} are the least.", a.what, shown(place),
                               a.free / a.divisor, a.unit, a.floor / a.divisor, a.unit);
    std::string remedy =
        "Remove what is not needed: old worktrees (git worktree remove), logs in "
        ".tapps-agents/output, build products.";
    if (a.free < a.floor)
        verdict.unhealthy(std::move(problem), std::move(remedy));
    else
        verdict.degraded(std::move(problem), std::move(remedy));
}

std::optional<system_clock::time_point> newest_record(const std::filesystem::path& project_root)
{
    const auto metrics = records::Folder::of({}, project_root, "metrics");
    const auto audit = records::Folder::of({}, project_root, "audit");
    MetricsFilter one_metric;
    AuditFilter one_event;
    one_metric.limit = one_event.limit = 1;

    std::optional<system_clock::time_point> newest;
    const auto note = [&newest](std::string_view text) {
        const auto time = text::parse_iso(text);
        if (time && (!newest || *time > *newest)) newest = time;
    };
    for (const auto& metric : records::read_metrics(metrics, one_metric))
        note(metric.completed_at.value_or(""));
    for (const auto& event : records::read_audit(audit, one_event)) {
        const auto* const time = event.if_contains("timestamp");
        if (time != nullptr && time->is_string()) note(time->get_string());
    }
    return newest;
}

std::string shown_duration(system_clock::duration d)
{
    return text::format_duration(std::chrono::duration_cast<std::chrono::milliseconds>(
        d < system_clock::duration::zero() ? -d : d));
}

}  // namespace

HealthCheckResult check_disk_space(const HealthOptions& options)
{
    Verdict verdict("disk_space");
    auto places = worktrees_of(options);
    places.push_back(options.project_root);

    std::set<std::uint64_t> seen;
    auto least_bytes = std::numeric_limits<std::uint64_t>::max();
    for (const auto& place : places) {
        const auto found = options.probes.file_system(place);
        if (!found) continue;  // that it is not there is another check's business
        if (!seen.insert(found->device).second) continue;
        least_bytes = std::min(least_bytes, found->free_bytes);
        judge(verdict, place,
              {"Space", found->free_bytes, options.min_free_bytes, " MiB", mebibyte});
        if (found->total_inodes > 0)
            judge(verdict, place, {"Inodes", found->free_inodes, options.min_free_inodes, "", 1});
    }
    if (seen.empty()) {
        verdict.degraded("No file system tells how much space it has.",
                         "Look with df whether there is room for what agents write.");
        return std::move(verdict).finish({});
    }
    verdict.details()["free_bytes"] = least_bytes;
    return std::move(verdict).finish(fmt::format("{} MiB are free.", least_bytes / mebibyte));
}

HealthCheckResult check_inotify(const HealthOptions& options)
{
    Verdict verdict("inotify");
    const std::map<std::string, std::uint64_t> needs = {
        {"max_user_watches", worktrees_of(options).size() * watches_per_worktree},
        {"max_user_instances", instances_needed},
    };
    for (const auto& [name, needed] : needs) {
        const auto limit = options.probes.inotify_limit(name);
        if (limit) verdict.details()[name] = *limit;
        if (!limit)
            verdict.degraded(fmt::format("fs.inotify.{} can't be read.", name),
                             "Nothing need be done: without file events polling goes on.");
        else if (*limit < needed)
            verdict.degraded(
                fmt::format("fs.inotify.{} is {}; {} are needed here.", name, *limit, needed),
                fmt::format("Raise it: sysctl fs.inotify.{}={}. Until then polling goes on, and "
                            "an end is seen one poll later.",
                            name, needed * degraded_factor));
    }
    return std::move(verdict).finish("The limits for file events are high enough.");
}

HealthCheckResult check_clock(const HealthOptions& options)
{
    Verdict verdict("clock");
    const auto now = options.probes.now();
    verdict.details()["now"] = text::iso_utc(now);
    const std::chrono::sys_days least = std::chrono::year{2024} / 1 / 1;
    if (now < least)
        verdict.unhealthy(fmt::format("The system's clock says {}.", text::iso_utc(now)),
                          "Set the clock: records would be filed under wrong days.");
    if (const auto newest = newest_record(options.project_root)) {
        verdict.details()["newest_record"] = text::iso_utc(*newest);
        if (*newest > now + max_ahead)
            verdict.degraded(
                fmt::format("The newest record is from {} in the future ({}).",
                            shown_duration(*newest - now), text::iso_utc(*newest)),
                "Set the clock, if it is that which is wrong; new records sort before old ones.");
    }
    const auto file_time = options.probes.file_time(options.project_root);
    const auto difference = file_time ? *file_time - options.probes.now() : 0s;
    if (file_time)
        verdict.details()["file_system_seconds_ahead"] =
            std::chrono::duration<double>(difference).count();
    if (difference > max_apart || difference < -max_apart)
        verdict.degraded(
            fmt::format("The project's file system is {} {} the system's clock.",
                        shown_duration(difference), difference > 0s ? "ahead of" : "behind"),
            "Set both hosts' clocks by the same time server: what is new is told "
            "from what is old by the times of files.");
    return std::move(verdict).finish("The clock agrees with the records and the file system.");
}

}  // namespace autoexec::health
