#include "protocol/record_lines.hpp"

#include "protocol/usage.hpp"
#include "protocol/words.hpp"
#include "text/json.hpp"
#include "text/json_fields.hpp"
#include "text/text.hpp"

#include "autoexec/metrics.hpp"

#include <fmt/format.h>
#include <boost/json/value.hpp>

#include <cmath>
#include <ctime>
#include <limits>
#include <utility>

namespace autoexec::protocol {
namespace {

namespace json = boost::json;

std::string local_seconds(std::chrono::system_clock::time_point t)
{
    auto out = text::iso_local(t).substr(0, 19);
    out[10] = ' ';
    return out;
}

using Milliseconds = std::chrono::duration<double, std::milli>;

double finite(double number)
{
    return std::isfinite(number) ? number : 0.0;
}

json::object metric_object(const ExecutionMetric& metric)
{
    auto line = to_json(metric);
    line["duration_ms"] = finite(metric.duration.count());
    return line;
}

/// A string, or the message of an error object, which older writers stored here.
std::optional<std::string> error_message(const text::Fields& top)
{
    return top.is_string("error_message") ? top.string("error_message")
                                          : top.object("error_message").string("message");
}

// The original says `success`.
std::optional<ExecutionStatus> read_status(const std::optional<std::string>& word)
{
    if (word == "success") return ExecutionStatus::completed;
    return parse_word<ExecutionStatus>(word.value_or(""));
}

}  // namespace

std::string format_metric(const ExecutionMetric& metric)
{
    return text::dump_line(metric_object(metric));
}

std::string format_attempt(const ExecutionMetric& metric)
{
    auto line = metric_object(metric);
    line["attempt_id"] = metric.attempt_id;
    line["error_code"] = text::text_or_null(metric.error_code);
    line["agent"] = text::text_or_null(metric.agent);
    line["agent_id"] = text::text_or_null(metric.agent_id);
    line["worktree"] = text::text_or_null(metric.worktree.string());
    line["host"] = text::text_or_null(metric.host);
    line["session"] = text::text_or_null(metric.session);
    line["usage"] = usage_or_null(metric.usage);
    line["queued_ms"] = finite(metric.queued.count());
    if (!metric.custom.empty()) line["custom"] = metric.custom;
    return text::dump_line(line);
}

std::optional<ExecutionMetric> parse_metric(std::string_view line)
{
    auto json = text::read_json_object(line);
    if (json.kind != text::JsonReading::Kind::valid) return std::nullopt;
    auto complaints = std::move(json.warnings);
    const text::Fields top(&json.object, complaints);
    auto execution_id = top.string("execution_id");
    auto command = top.string("command");
    const auto status = read_status(top.string("status"));
    const auto duration = top.number("duration_ms");
    const bool has_start = top.is_string("started_at");
    if (!execution_id || !command || !status || !duration || !has_start) return std::nullopt;
    ExecutionMetric metric;
    metric.execution_id = std::move(*execution_id);
    metric.workflow_id = top.string("workflow_id");
    metric.step_id = top.string("step_id");
    metric.command = std::move(*command);
    metric.status = *status;
    metric.duration = Milliseconds(*duration);
    metric.started_at = top.time("started_at");
    const auto retries = top.integer("retry_count", 0, std::numeric_limits<int>::max());
    metric.retry_count = static_cast<int>(retries.value_or(0));
    metric.completed_at = top.time("completed_at");
    metric.error_message = error_message(top);
    metric.attempt_id = top.string("attempt_id").value_or("");
    metric.error_code = top.string("error_code").value_or("");
    metric.agent = top.string("agent").value_or("");
    metric.agent_id = top.string("agent_id").value_or("");
    metric.worktree = top.string("worktree").value_or("");
    metric.host = top.string("host").value_or("");
    metric.session = top.string("session").value_or("");
    metric.usage = parse_usage(top.object("usage"));
    metric.queued = Milliseconds(top.number("queued_ms").value_or(0));
    if (const auto* custom = json.object.if_contains("custom"); custom != nullptr)
        if (const auto* members = custom->if_object()) metric.custom = *members;
    if (!complaints.empty()) return std::nullopt;
    return metric;
}

std::string format_audit(const AuditRecord& record, std::chrono::system_clock::time_point now)
{
    const auto time = record.time.value_or(now);
    json::object line{{"timestamp", text::iso_utc(time)},
                      {"event_type", record.event_type},
                      {"workflow_id", text::or_null(record.workflow_id)},
                      {"step_id", text::or_null(record.step_id)},
                      {"command", text::or_null(record.command)},
                      {"status", text::or_null(record.status)},
                      {"details", record.details}};
    if (!record.execution_id.empty()) {
        line["execution_id"] = record.execution_id;
        line["attempt_id"] = record.attempt_id;
        line["attempt"] = record.attempt;
    }
    // `insert` does not replace the keys above.
    line.insert(record.more.begin(), record.more.end());
    // Of the chain, which the writer adds.
    for (const auto key : {"seq", "prev", "hash"}) line.erase(key);
    return fmt::format("{} | INFO | {}", local_seconds(time), text::dump_line(line));
}

std::optional<json::object> parse_audit(std::string_view line)
{
    // Date and level contain no brace; the original's reader splits here, too.
    const auto begin = line.find(" | {");
    if (begin == line.npos || line.find('{') < begin) return std::nullopt;
    auto json = text::read_json_object(line.substr(begin + 3));
    if (json.kind != text::JsonReading::Kind::valid) return std::nullopt;
    const auto* type = json.object.if_contains("event_type");
    if (!type || !type->is_string()) return std::nullopt;
    return std::move(json.object);
}

}  // namespace autoexec::protocol
