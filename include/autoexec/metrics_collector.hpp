#pragma once

#include <autoexec/metrics.hpp>
#include <autoexec/record_sink.hpp>

#include <boost/asio/execution_context.hpp>

#include <concepts>
#include <functional>
#include <utility>
#include <vector>

namespace autoexec::inline v1 {

/// Writes a line per finished attempt to `executions_YYYY-MM-DD.jsonl` and, with more keys, to
/// `attempts_YYYY-MM-DD.jsonl` (UTC date of `completed_at`), and reads them. Format:
/// `doc/file-protocol.md`.
///
/// For metrics of your own set `MetricsOptions::custom`, or fill `ExecutionMetric::custom` of what
/// you record yourself: `example/4_metrics_and_sinks.cpp`.
///
/// Thread safety, lifetime: as `RecordSink`.
class ExecutionMetricsCollector : public RecordSink {
public:
    /// Throws `system_error` (`errc::invalid_options`) that names the option.
    explicit ExecutionMetricsCollector(executor_type ex, MetricsOptions options = {});
    template <class ExecutionContext>
    requires std::convertible_to<ExecutionContext&, boost::asio::execution_context&>
    explicit ExecutionMetricsCollector(ExecutionContext& context, MetricsOptions options = {})
        : ExecutionMetricsCollector(executor_type(context.get_executor()), std::move(options))
    {}

    /// Records one attempt; fills in `execution_id` and the times if they are empty, and
    /// returns the recorded metric.
    virtual ExecutionMetric record_execution(ExecutionMetric metric);

    /// The recorded attempts, newest first: `query(filter).metrics`.
    [[nodiscard]] std::vector<ExecutionMetric> get_metrics(const MetricsFilter& filter = {}) const;
    /// A page of the recorded attempts. Blocks while it reads the files, in at most 16 MB of memory
    /// and that of the result.
    [[nodiscard]] MetricsPage query(const MetricsFilter& filter = {}) const;
    /// Totals of the recorded attempts that match. Blocks while it reads the files: up to some
    /// seconds for each GB.
    [[nodiscard]] MetricsSummary get_summary(
        const MetricsFilter& filter = {}, MetricsGrouping grouping = MetricsGrouping::none) const;

    /// Records `event.metric`, if it has one.
    void publish(const Event& event) override;

private:
    std::function<boost::json::object(const ExecutionMetric& attempt)> custom_;
};

}  // namespace autoexec::inline v1
