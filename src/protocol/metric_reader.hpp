#pragma once

#include "autoexec/metrics.hpp"

#include <chrono>
#include <memory>
#include <optional>
#include <string_view>

namespace autoexec::protocol {

/// What queries need of a metric line. Its texts are valid until the reader reads another line.
struct MetricLine {
    std::string_view execution_id;
    std::string_view command;
    std::optional<std::string_view> workflow_id;
    std::optional<std::string_view> step_id;
    std::optional<std::string_view> error_message;
    ExecutionStatus status = ExecutionStatus::failed;
    double duration_ms = 0;
    double queued_ms = 0;
    int retry_count = 0;
    std::optional<std::chrono::system_clock::time_point> started_at;
    std::optional<std::chrono::system_clock::time_point> completed_at;
    // Only in lines of attempts; empty: absent.
    std::string_view attempt_id;
    std::string_view error_code;
    std::string_view agent;
    std::string_view agent_id;
    std::string_view worktree;
    std::string_view host;
    std::string_view session;
    std::string_view model;
    std::optional<Verification> verified;
    const Usage* usage = nullptr;  ///< Its `model` may be empty: see above.
    /// The same, if `parse_metric` has read it.
    const ExecutionMetric* whole = nullptr;
};

/// Reads many metric lines, each as `parse_metric` does, but several times faster, where simdjson
/// was found when the library was built.
class MetricReader {
public:
    MetricReader();
    ~MetricReader();
    MetricReader(MetricReader&&) noexcept;
    MetricReader& operator=(MetricReader&&) noexcept;

    /// Null if the line is not valid.
    const MetricLine* read(std::string_view line);

private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

/// The same as a value.
ExecutionMetric to_metric(const MetricLine& line);

}  // namespace autoexec::protocol
