#pragma once

#include <autoexec/event_sink.hpp>
#include <autoexec/metrics.hpp>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>

#include <cstdint>
#include <memory>
#include <vector>

namespace autoexec {

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

    /// The recorded attempts, newest first.
    [[nodiscard]] std::vector<ExecutionMetric> get_metrics(const MetricsFilter& filter = {}) const;
    /// Totals of all recorded attempts.
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
