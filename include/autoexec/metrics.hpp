#pragma once

#include "autoexec/event.hpp"
#include "autoexec/ports.hpp"

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace autoexec {

struct MetricsOptions {
    /// Where the daily files go; empty: `<project_root>/.tapps-agents/metrics`.
    std::filesystem::path metrics_dir;
    /// Empty: the current directory.
    std::filesystem::path project_root;

    Durability durability = Durability::process;
    /// Lines that may wait in memory; at this many `full()` is true, and at twice as many lines
    /// are refused. Not zero.
    std::size_t queue_limit = 65536;
    /// Null: the real clock.
    std::shared_ptr<Clock> clock;
};

struct MetricsFilter {
    // Empty ones match everything.
    std::optional<std::string> workflow_id;
    std::optional<std::string> step_id;
    std::optional<std::string> status;
    std::optional<std::string> execution_id;
    std::size_t limit = 100;  ///< Newest first. Zero: all.
};

struct MetricsSummary {
    std::uint64_t total_executions = 0;
    std::uint64_t total_attempts = 0;
    double success_rate = 0;         ///< 0–1; executions counted by their last attempt.
    double average_duration_ms = 0;  ///< Of all attempts.
    std::uint64_t total_retries = 0;
    std::map<std::string, std::uint64_t> by_status;  ///< Executions by their last attempt.
    std::uint64_t skipped_lines = 0;                 ///< Lines that were no metric.
};
boost::json::object to_json(const MetricsSummary& summary);
boost::json::object to_json(const ExecutionMetric& metric);

/// Writes a line per finished attempt to `executions_YYYY-MM-DD.jsonl` (UTC date of
/// `completed_at`), and reads them again. Format: `doc/file-protocol.md`.
///
/// Derive from it and override `record_execution` for metrics of your own:
/// `example/4_metrics_and_sinks.cpp`.
///
/// Thread safety: recording is safe from any thread; lines are written on an internal strand,
/// and what gathers during a write goes out as one write. Queries are safe from any thread,
/// read the files and block meanwhile; they see what has been flushed.
///
/// Lifetime: `async_stop`, then destroy. Lines not yet written when it is destroyed are written
/// by the destructor.
class ExecutionMetricsCollector : public EventSink {
public:
    explicit ExecutionMetricsCollector(asio::any_io_executor ex, MetricsOptions options = {});
    ~ExecutionMetricsCollector() override;

    /// Records one attempt; fills in `execution_id` and the times where they are empty, and
    /// returns what was recorded.
    virtual ExecutionMetric record_execution(ExecutionMetric metric);

    [[nodiscard]] std::vector<ExecutionMetric> get_metrics(const MetricsFilter& filter = {}) const;
    [[nodiscard]] MetricsSummary get_summary() const;

    /// Records `event.metric`, if it has one.
    void publish(const Event& event) override;
    bool full() const noexcept override;

    /// Completes when all recorded lines are written (`Durability::power`: synced). An error
    /// when that can't be done: the lines stay and are tried again. Cancellation is ignored.
    asio::awaitable<error_code> flush() override;

    /// Writes what is left, then refuses more. Idempotent.
    asio::awaitable<error_code> async_stop();

    [[nodiscard]] UnwrittenRecords unwritten() const override;

    /// Lines that were refused, after `async_stop` or at twice `queue_limit`, or lost to an error
    /// at the very end.
    [[nodiscard]] std::uint64_t lost_lines() const noexcept;

private:
    struct Impl;
    std::shared_ptr<Impl> impl_;
};

}  // namespace autoexec
