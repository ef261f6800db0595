#include "protocol/record_lines.hpp"

#include "protocol/usage.hpp"
#include "protocol/words.hpp"
#include "text/json.hpp"
#include "text/json_fields.hpp"
#include "text/text.hpp"

#include "autoexec/metrics.hpp"

#include <boost/json/value.hpp>

#include <algorithm>
#include <array>
#include <cmath>
#include <ctime>
#include <limits>
#include <utility>

namespace autoexec::protocol {
namespace {

namespace json = boost::json;

// What precedes the object of an event. Many have the same second, and the zone's rules are slow.
const std::string& audit_prefix(std::chrono::system_clock::time_point t)
{
    using std::chrono::seconds;
    thread_local std::optional<std::chrono::sys_seconds> last;
    thread_local std::string prefix;
    const auto second = std::chrono::floor<seconds>(t);
    if (last == second) return prefix;
    prefix = text::iso_local(second) + " | INFO | ";
    prefix[10] = ' ';
    last = second;
    return prefix;
}

using Milliseconds = std::chrono::duration<double, std::milli>;

/// JSON has no other numbers.
double finite(double number)
{
    return std::isfinite(number) ? number : 0.0;
}

text::JsonLine metric_line(const ExecutionMetric& metric)
{
    text::JsonLine line;
    line.text("execution_id", metric.execution_id);
    line.text_or_null("workflow_id", metric.workflow_id);
    line.text_or_null("step_id", metric.step_id);
    line.text("command", metric.command);
    line.text("status", to_string(metric.status));
    line.number("duration_ms", finite(metric.duration.count()));
    if (metric.started_at)
        line.time("started_at", *metric.started_at);
    else
        line.text("started_at", "");
    line.number("retry_count", std::int64_t{metric.retry_count});
    if (metric.completed_at)
        line.time("completed_at", *metric.completed_at);
    else
        line.null("completed_at");
    line.text_or_null("error_message", metric.error_message);
    return line;
}

/// A string, or the message of an error object, which older writers stored here.
std::optional<std::string> error_message(const text::Fields& top)
{
    return top.is_string("error_message") ? top.string("error_message")
                                          : top.object("error_message").string("message");
}

void put_audit(text::JsonLine& line, const Correlation& ids,
               std::chrono::system_clock::time_point time, std::string_view type,
               std::optional<std::string_view> command, std::optional<std::string_view> status,
               const json::object& details)
{
    const auto put = [&line](std::string_view key, std::optional<std::string_view> value) {
        if (value)
            line.text(key, *value);
        else
            line.null(key);
    };
    line.time("timestamp", time);
    line.text("event_type", type);
    put("workflow_id", ids.workflow_id);
    put("step_id", ids.step_id);
    put("command", command);
    put("status", status);
    line.value("details", details);
    if (ids.execution_id.empty()) return;
    line.text("execution_id", ids.execution_id);
    line.text("attempt_id", ids.attempt_id);
    line.number("attempt", std::int64_t{ids.attempt});
}

}  // namespace

std::string format_metric(const ExecutionMetric& metric)
{
    return metric_line(metric).object();
}

std::string format_attempt(const ExecutionMetric& metric)
{
    return format_lines(metric).attempt;
}

MetricLines format_lines(const ExecutionMetric& metric)
{
    auto line = metric_line(metric);
    auto execution = line.object();
    const auto unless_empty = [&line](std::string_view key, std::string_view text) {
        if (text.empty())
            line.null(key);
        else
            line.text(key, text);
    };
    unless_empty("attempt_id", metric.attempt_id);
    unless_empty("error_code", metric.error_code);
    unless_empty("agent", metric.agent);
    unless_empty("agent_id", metric.agent_id);
    unless_empty("worktree", metric.worktree.native());
    unless_empty("host", metric.host);
    unless_empty("session", metric.session);
    put_usage(line, "usage", metric.usage);
    line.number("queued_ms", finite(metric.queued.count()));
    unless_empty("verified", metric.verified ? to_string(*metric.verified) : std::string_view());
    if (metric.exit_code) line.number("exit_code", std::int64_t{*metric.exit_code});
    if (metric.signal) line.number("signal", std::int64_t{*metric.signal});
    if (metric.reported) line.text("reported", to_string(*metric.reported));
    if (!metric.missing_artifacts.empty())
        line.texts("missing_artifacts", metric.missing_artifacts);
    if (!metric.custom.empty()) line.value("custom", metric.custom);
    return {std::move(execution), std::move(line).object()};
}

std::optional<ExecutionStatus> parse_metric_status(std::string_view word)
{
    if (word == "success") return ExecutionStatus::completed;
    return parse_word<ExecutionStatus>(word);
}

std::optional<ExecutionMetric> parse_metric(std::string_view line)
{
    auto json = text::read_json_object(line);
    if (json.kind != text::JsonReading::Kind::valid) return std::nullopt;
    auto complaints = std::move(json.warnings);
    const text::Fields top(&json.object, complaints);
    auto execution_id = top.string("execution_id");
    auto command = top.string("command");
    const auto status = parse_metric_status(top.string("status").value_or(""));
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
    metric.verified = parse_word<Verification>(top.string("verified").value_or(""));
    metric.exit_code = top.small_integer("exit_code");
    metric.signal = top.small_integer("signal");
    metric.reported = parse_word<ReportedStatus>(top.string("reported").value_or(""));
    metric.missing_artifacts = top.strings("missing_artifacts");
    if (const auto* custom = json.object.if_contains("custom"); custom != nullptr)
        if (const auto* members = custom->if_object()) metric.custom = *members;
    if (!complaints.empty()) return std::nullopt;
    return metric;
}

std::string format_audit(const AuditRecord& record, std::chrono::system_clock::time_point now)
{
    const auto time = record.time.value_or(now);
    text::JsonLine line(audit_prefix(time));
    put_audit(line, record, time, record.event_type, record.command, record.status, record.details);
    // Not those above, nor those of the chain, which the writer adds.
    static constexpr std::array<std::string_view, 14> taken{
        "timestamp", "event_type",   "workflow_id", "step_id", "command",
        "status",    "details",      "key",         "seq",     "prev",
        "hash",      "execution_id", "attempt_id",  "attempt"};
    const auto end = record.execution_id.empty() ? taken.end() - 3 : taken.end();
    for (const auto& [key, value] : record.more)
        if (std::find(taken.begin(), end, std::string_view(key)) == end) line.value(key, value);
    return std::move(line).object();
}

std::string format_audit(const Event& event, std::chrono::system_clock::time_point time)
{
    std::optional<std::string_view> command;
    if (!event.command.empty()) command = event.command;
    std::optional<std::string_view> status;
    if (event.status) status = to_string(*event.status);
    text::JsonLine line(audit_prefix(time));
    put_audit(line, event, time, to_string(event.type), command, status, event.details);
    line.text("worktree", event.worktree.native());
    return std::move(line).object();
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
