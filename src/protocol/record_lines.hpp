#pragma once

#include "autoexec/audit.hpp"
#include "autoexec/event.hpp"

#include <boost/json/object.hpp>

#include <chrono>
#include <optional>
#include <string>
#include <string_view>

/// Text ↔ struct for metric and audit lines. Pure.
namespace autoexec::protocol {

/// One line, without the newline.
std::string format_metric(const ExecutionMetric& metric);

/// The same with what only the lines of attempts have.
std::string format_attempt(const ExecutionMetric& metric);

/// Both, of the same attempt.
struct MetricLines {
    std::string execution;
    std::string attempt;
};
MetricLines format_lines(const ExecutionMetric& metric);

/// The word in a metric line. `success`, the original's word, is read as `completed`.
std::optional<ExecutionStatus> parse_metric_status(std::string_view word);

/// Reads both kinds. Unknown keys are ignored. Returns nullopt if a required key is missing or has
/// the wrong type.
std::optional<ExecutionMetric> parse_metric(std::string_view line);

/// One line, without the newline: `YYYY-MM-DD HH:MM:SS | INFO | {json}`, prefix in local time.
std::string format_audit(const AuditRecord& record, std::chrono::system_clock::time_point now);
std::string format_audit(const Event& event, std::chrono::system_clock::time_point time);

/// The JSON part of an audit line.
std::optional<boost::json::object> parse_audit(std::string_view line);

}  // namespace autoexec::protocol
