#pragma once

#include <autoexec/event.hpp>
#include <autoexec/file.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <filesystem>
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
};

/// Which attempts `ExecutionMetricsCollector::get_metrics` returns.
struct MetricsFilter {
    // Empty ones match everything.
    std::optional<std::string> workflow_id;
    std::optional<std::string> step_id;
    std::optional<ExecutionStatus> status;
    std::optional<std::string> execution_id;
    std::size_t limit = 100;  ///< Newest first. Zero: all.
};

/// Totals of all recorded attempts.
struct MetricsSummary {
    std::uint64_t total_executions = 0;
    std::uint64_t total_attempts = 0;
    double success_rate = 0;  ///< 0–1; executions counted by their last attempt.
    std::chrono::duration<double, std::milli> average_duration{0};  ///< Of all attempts.
    std::uint64_t total_retries = 0;
    std::map<ExecutionStatus, std::uint64_t> by_status;  ///< Executions by their last attempt.
    std::uint64_t skipped_lines = 0;                     ///< Lines that are not valid metrics.
    std::optional<Usage> usage;                          ///< Of all attempts.
    /// The part of `usage` of which no cost was reported, by model.
    std::map<std::string, Usage> usage_without_cost;
};
boost::json::object to_json(const MetricsSummary& summary);
boost::json::object to_json(const ExecutionMetric& metric);

}  // namespace autoexec::inline v1
