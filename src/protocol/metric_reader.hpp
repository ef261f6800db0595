#pragma once

#include "autoexec/event.hpp"

#include <chrono>
#include <optional>
#include <string>
#include <string_view>

namespace autoexec::protocol {

/// What queries need of a metric line. Its texts are valid until the reader reads another line; one
/// that is absent is empty.
struct MetricLine {
    std::string_view execution_id;
    std::string_view workflow_id;
    std::string_view step_id;
    std::string_view command;
    ExecutionStatus status = ExecutionStatus::failed;
    double duration_ms = 0;
    int retry_count = 0;
    std::string_view error_message;
    // Only in lines of attempts.
    std::string_view attempt_id;
    std::string_view agent;
    std::string_view worktree;
    const Usage* usage = nullptr;  ///< Its `model` may be empty: see the next one.
    std::string_view model;
    double queued_ms = 0;

    /// When it was completed.
    [[nodiscard]] std::optional<std::chrono::system_clock::time_point> completed_at() const;

    /// ISO 8601: few queries need it, and parsing it takes a tenth of the time of a line.
    std::string_view completion_text;
    /// The same, where it was parsed.
    std::optional<std::chrono::system_clock::time_point> completion;
};

/// Of a line as autoexec writes it, without checking the rest; empty: of another one.
std::string_view leading_execution_id(std::string_view line);

/// Reads many metric lines: those that `parse_metric` reads, but most of them many times faster.
///
/// Thread safety: none.
class MetricReader {
public:
    MetricReader() = default;
    MetricReader(const MetricReader&) = delete;
    MetricReader& operator=(const MetricReader&) = delete;

    /// Null if the line is not valid.
    const MetricLine* read(std::string_view line);

private:
    MetricLine line_;
    Usage usage_;
    std::string unescaped_;
    // Of the last line that only `parse_metric` could read.
    ExecutionMetric metric_;
    std::string worktree_;
};

}  // namespace autoexec::protocol
