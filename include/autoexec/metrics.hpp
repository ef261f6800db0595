#pragma once

#include <autoexec/event.hpp>
#include <autoexec/file.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <ratio>
#include <string>
#include <vector>

namespace autoexec::inline v1 {

class Clock;

/// How an `ExecutionMetricsCollector` works.
struct MetricsOptions {
    /// The folder of the daily files; empty: `<project_root>/.tapps-agents/metrics`.
    std::filesystem::path metrics_dir;
    /// Empty: the current directory.
    std::filesystem::path project_root;

    Durability durability = Durability::process;
    /// Lines that may wait in memory. With this many `full()` is true; with twice as many, further
    /// lines are refused. Not zero.
    std::size_t queue_limit = 65536;
    /// Null: the real clock.
    std::shared_ptr<Clock> clock;

    /// Returns what an application adds to the line of an attempt: its members are added to
    /// `ExecutionMetric::custom`. Called for each attempt before it is recorded, also for those
    /// that an executor records, on the thread that records it; so it must not block. Its text is
    /// not redacted. If it throws, the attempt is recorded without. Empty: nothing is added.
    std::function<boost::json::object(const ExecutionMetric& attempt)> custom;
};

/// Which attempts a query or a summary takes. Empty members match everything.
struct MetricsFilter {
    std::optional<std::string> workflow_id;  ///< The id of a run.
    std::optional<std::string> workflow;     ///< The name of a workflow: all its runs.
    std::optional<std::string> step_id;
    std::optional<ExecutionStatus> status;
    std::optional<std::string> execution_id;
    std::optional<std::string> attempt_id;
    std::optional<std::string> agent;
    std::optional<std::string> worktree;
    std::optional<std::string> text;  ///< A part of the command or of the error message.
    // By the time of completion; `until` is not included.
    std::optional<std::chrono::system_clock::time_point> since;
    std::optional<std::chrono::system_clock::time_point> until;
    std::optional<std::chrono::milliseconds> min_duration;
    std::optional<double> min_cost;  ///< USD, as the program reported it.

    // Of queries only.
    std::size_t limit = 100;  ///< Newest first. Zero: all.
    std::string cursor;       ///< `MetricsPage::next` of the page before; empty: from the newest.
};

/// A part of the answer to a query.
struct MetricsPage {
    std::vector<ExecutionMetric> metrics;  ///< Newest first.
    std::string next;                      ///< Cursor of the next page; empty: this was the last.
    std::uint64_t skipped_lines = 0;       ///< Lines that are not valid metrics.
    /// The file of the cursor was removed, or the cursor is malformed: there are no attempts.
    bool cursor_is_lost = false;
};

/// Totals of recorded attempts.
struct MetricsTotals {
    std::uint64_t total_executions = 0;
    std::uint64_t total_attempts = 0;
    double success_rate = 0;  ///< 0–1; executions counted by their last attempt.
    std::chrono::duration<double, std::milli> average_duration{0};  ///< Of all attempts.
    /// Before an attempt, in queues.
    std::chrono::duration<double, std::milli> average_queued{0};
    // Quantiles of the duration of all attempts, within 1 %.
    std::chrono::duration<double, std::milli> p50{0};
    std::chrono::duration<double, std::milli> p90{0};
    std::chrono::duration<double, std::milli> p99{0};
    std::uint64_t total_retries = 0;
    std::map<ExecutionStatus, std::uint64_t> by_status;  ///< Executions by their last attempt.
    std::optional<Usage> usage;                          ///< Of all attempts.
    /// The part of `usage` of which no cost was reported, by model. At most 1,000: further ones
    /// count as `(other)`.
    std::map<std::string, Usage> usage_without_cost;
};

/// What the groups of a summary have in common.
enum class MetricsGrouping { none, workflow, step, agent, model, day };

/// Totals of all attempts that match a filter. An execution whose attempts lie more than 100,000
/// lines apart may be counted twice.
struct MetricsSummary : MetricsTotals {
    std::uint64_t skipped_lines = 0;  ///< Lines that are not valid metrics.
    /// By name; empty: those without one. At most 1,000: further ones count as `(other)`.
    std::map<std::string, MetricsTotals> groups;
};

boost::json::object to_json(const MetricsTotals& totals);
boost::json::object to_json(const MetricsSummary& summary);
boost::json::object to_json(const ExecutionMetric& metric);

}  // namespace autoexec::inline v1
