#include "health/checked_folders.hpp"
#include "health/checks.hpp"
#include "records/queries.hpp"
#include "text/text.hpp"

#include <fmt/format.h>
#include <boost/json/value_to.hpp>

#include <algorithm>
#include <limits>
#include <map>
#include <set>

/// Checks the machine's free space and its clock.
namespace autoexec::health {
namespace {

using namespace std::chrono_literals;
using std::chrono::system_clock;

constexpr std::uint64_t degraded_factor = 4;
constexpr std::uint64_t watches_per_worktree = 3;  // its root, .cursor and claims
constexpr std::uint64_t instances_needed = 2;      // an executor and an agent
constexpr auto max_ahead = 1min;  // the newest time in records, which other hosts may have written
constexpr auto max_apart = 5s;
constexpr std::uint64_t mebibyte = 1024 * 1024;

struct Amount {
    std::string_view what;
    std::uint64_t free;
    std::uint64_t floor;
    std::string_view unit;
    std::uint64_t divisor;
};

void check_amount(FindingList& findings, const std::filesystem::path& folder, const Amount& a)
{
    if (a.free / degraded_factor >= a.floor) return;
    auto problem = fmt::format("{} of {}: {}{} left; the minimum is {}{}.", a.what, shown(folder),
                               a.free / a.divisor, a.unit, a.floor / a.divisor, a.unit);
    std::string remedy =
        "Remove unneeded files: old worktrees (git worktree remove), logs in .tapps-agents/output, "
        "build products.";
    if (a.free < a.floor)
        findings.unhealthy(std::move(problem), std::move(remedy));
    else
        findings.degraded(std::move(problem), std::move(remedy));
}

std::optional<system_clock::time_point> newest_record(const std::filesystem::path& project_root)
{
    const auto metrics = records::Folder::of({}, project_root, "metrics");
    const auto audit = records::Folder::of({}, project_root, "audit");
    MetricsFilter one_metric;
    AuditFilter one_event;
    one_metric.limit = one_event.limit = 1;

    std::optional<system_clock::time_point> newest;
    const auto keep_newest = [&newest](std::optional<system_clock::time_point> time) {
        if (time && (!newest || *time > *newest)) newest = time;
    };
    for (const auto& metric : records::read_metrics(metrics, one_metric).metrics)
        keep_newest(metric.completed_at);
    for (const auto& event : records::read_audit(audit, one_event).events) {
        const auto* const time = event.if_contains("timestamp");
        if (time != nullptr && time->is_string()) keep_newest(text::parse_iso(time->get_string()));
    }
    return newest;
}

std::string shown_duration(system_clock::duration d)
{
    return text::format_duration(std::chrono::duration_cast<std::chrono::milliseconds>(
        d < system_clock::duration::zero() ? -d : d));
}

}  // namespace

std::string check_disk_space(FindingList& findings, const HealthOptions& options)
{
    auto folders = worktrees_of(options);
    folders.push_back(options.project_root);

    std::set<std::uint64_t> seen;
    auto least_bytes = std::numeric_limits<std::uint64_t>::max();
    for (const auto& folder : folders) {
        const auto found = options.probes.file_system(folder);
        if (!found) continue;  // another check reports a missing folder
        if (!seen.insert(found->device).second) continue;
        least_bytes = std::min(least_bytes, found->free_bytes);
        check_amount(findings, folder,
                     {"Space", found->free_bytes, options.min_free_bytes, " MiB", mebibyte});
        if (found->total_inodes > 0)
            check_amount(findings, folder,
                         {"Inodes", found->free_inodes, options.min_free_inodes, "", 1});
    }
    if (seen.empty()) {
        findings.degraded("The free space of the file systems is unknown.",
                          "Check with df that there is enough space for the agents' files.");
        return {};
    }
    findings.details()["free_bytes"] = least_bytes;
    return fmt::format("{} MiB are free.", least_bytes / mebibyte);
}

std::string check_inotify(FindingList& findings, const HealthOptions& options)
{
    const std::map<std::string, std::uint64_t> needs = {
        {"max_user_watches", worktrees_of(options).size() * watches_per_worktree},
        {"max_user_instances", instances_needed},
    };
    for (const auto& [name, needed] : needs) {
        const auto limit = options.probes.inotify_limit(name);
        if (limit) findings.details()[name] = *limit;
        if (!limit)
            findings.degraded(fmt::format("fs.inotify.{} cannot be read.", name),
                              "No action is needed: without file events, files are polled.");
        else if (*limit < needed)
            findings.degraded(
                fmt::format("fs.inotify.{} is {}; {} are needed here.", name, *limit, needed),
                fmt::format("Raise it: sysctl fs.inotify.{}={}. Until then files are polled, so an "
                            "end is detected one polling interval later.",
                            name, needed * degraded_factor));
    }
    return "The limits for file events are high enough.";
}

std::string check_clock(FindingList& findings, const HealthOptions& options)
{
    const auto now = options.probes.now();
    findings.details()["now"] = text::iso_utc(now);
    const std::chrono::sys_days min_time = std::chrono::year{2024} / 1 / 1;
    if (now < min_time)
        findings.unhealthy(fmt::format("The system's clock shows {}.", text::shown_time(now)),
                           "Set the clock: records would get wrong dates.");
    if (const auto newest = newest_record(options.project_root)) {
        findings.details()["newest_record"] = text::iso_utc(*newest);
        if (*newest > now + max_ahead)
            findings.degraded(
                fmt::format("The newest record is {} in the future ({}).",
                            shown_duration(*newest - now), text::shown_time(*newest)),
                "Set the clock if it is wrong; otherwise new records sort before old ones.");
    }
    const auto file_time = options.probes.file_time(options.project_root);
    const auto difference = file_time ? *file_time - options.probes.now() : 0s;
    if (file_time)
        findings.details()["file_system_seconds_ahead"] =
            std::chrono::duration<double>(difference).count();
    if (difference > max_apart || difference < -max_apart)
        findings.degraded(
            fmt::format("The project's file system is {} {} the system's clock.",
                        shown_duration(difference), difference > 0s ? "ahead of" : "behind"),
            "Synchronize both hosts' clocks: file times distinguish new files from old ones.");
    return "The clock agrees with the records and the file system.";
}

}  // namespace autoexec::health
