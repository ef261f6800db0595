#include "protocol/result_format.hpp"

#include "protocol/step_answer.hpp"
#include "protocol/usage.hpp"
#include "protocol/words.hpp"
#include "text/json.hpp"
#include "text/text.hpp"

#include "autoexec/metrics.hpp"

#include <boost/json/array.hpp>
#include <boost/json/value.hpp>

#include <algorithm>
#include <utility>

namespace autoexec::inline v1 {
namespace {

namespace json = boost::json;

template <class Enum>
json::value word_or_null(const std::optional<Enum>& value)
{
    return value ? json::value(to_string(*value)) : json::value(nullptr);
}

double seconds(std::chrono::milliseconds duration)
{
    return std::chrono::duration<double>(duration).count();
}

json::value retry_after(const std::optional<CommandError>& error)
{
    return error && error->retry_after ? json::value(seconds(*error->retry_after))
                                       : json::value(nullptr);
}

/// What the program did, what its agent reported, and what the executor observed are separate.
void put_execution(json::object& out, const ExecutionResult& execution)
{
    const auto& error = execution.error;
    out["exit"] = {{"exit_code", text::or_null(execution.exit_code)},
                   {"signal", text::or_null(execution.signal)}};
    out["claimed"] = {{"status", word_or_null(execution.reported)},
                      {"artifacts", text::array_of(execution.artifacts)}};
    out["verified"] = {{"artifacts", to_string(execution.verified)},
                       {"missing", text::array_of(execution.missing_artifacts)}};
    out["execution_id"] = text::text_or_null(execution.execution_id);
    out["attempts"] = execution.attempts;
    out["status"] = to_string(execution.status);
    out["error"] = error ? json::value(error->message) : json::value(nullptr);
    out["error_code"] = error ? text::text_or_null(error->code) : json::value(nullptr);
    out["worktree"] = text::text_or_null(execution.worktree.string());
    out["output"] = execution.output;
    out["warnings"] = text::array_of(execution.warnings);
    // Journals of earlier versions are written back as they were.
    if (execution.queued.count() > 0) out["queued_seconds"] = seconds(execution.queued);
    if (execution.usage) out["usage"] = protocol::format_usage(*execution.usage);
    if (!execution.session.empty()) out["session"] = execution.session;
    if (execution.session_usage)
        out["session_usage"] = protocol::format_usage(*execution.session_usage);
}

json::value to_value(const std::optional<Progress>& progress)
{
    if (!progress) return nullptr;
    return {{"percentage", progress->percentage},
            {"current_step", progress->current_step},
            {"message", progress->message}};
}

json::object details_of(const ExecutionResult& result)
{
    json::object details;
    if (result.status_during_stop)
        details["status_during_stop"] = to_string(*result.status_during_stop);
    if (result.unreleased_status)
        details["unreleased_status"] = to_string(*result.unreleased_status);
    return details;
}

}  // namespace

json::object to_json(const ExecutionResult& result)
{
    return {{"status", to_string(result.status)},
            {"command", result.command},
            {"worktree", result.worktree.string()},
            {"artifacts", text::array_of(result.artifacts)},
            {"error", result.error ? json::value(result.error->message) : json::value(nullptr)},
            {"duration_seconds", seconds(result.duration)},
            {"queued_seconds", seconds(result.queued)},
            {"execution_id", result.execution_id},
            {"attempt_id", result.attempt_id},
            {"workflow_id", text::or_null(result.workflow_id)},
            {"step_id", text::or_null(result.step_id)},
            {"attempts", result.attempts},
            {"completion_method", to_string(result.completion_method)},
            {"reported", word_or_null(result.reported)},
            {"verified", to_string(result.verified)},
            {"missing_artifacts", text::array_of(result.missing_artifacts)},
            {"error_code", result.error ? json::value(result.error->code) : json::value(nullptr)},
            {"exit_code", text::or_null(result.exit_code)},
            {"signal", text::or_null(result.signal)},
            {"progress", to_value(result.last_progress)},
            {"output", result.output},
            {"usage", protocol::usage_or_null(result.usage)},
            {"session", text::text_or_null(result.session)},
            {"retry_after_seconds", retry_after(result.error)},
            {"warnings", text::array_of(result.warnings)},
            {"details", details_of(result)}};
}

json::object to_json(const ExecutionMetric& metric)
{
    return {{"execution_id", metric.execution_id},
            {"workflow_id", text::or_null(metric.workflow_id)},
            {"step_id", text::or_null(metric.step_id)},
            {"command", metric.command},
            {"status", to_string(metric.status)},
            {"duration_ms", metric.duration.count()},
            {"started_at", text::iso_utc(metric.started_at)},
            {"retry_count", metric.retry_count},
            {"completed_at", text::text_or_null(text::iso_utc(metric.completed_at))},
            {"error_message", text::or_null(metric.error_message)}};
}

json::object to_json(const MetricsTotals& totals)
{
    json::object by_status;
    for (const auto& [status, count] : totals.by_status) by_status[to_string(status)] = count;
    return {{"total_executions", totals.total_executions},
            {"success_rate", totals.success_rate},
            {"average_duration_ms", totals.average_duration.count()},
            {"p50_duration_ms", totals.p50.count()},
            {"p90_duration_ms", totals.p90.count()},
            {"p99_duration_ms", totals.p99.count()},
            {"average_queued_ms", totals.average_queued.count()},
            {"total_retries", totals.total_retries},
            {"by_status", std::move(by_status)},
            {"total_attempts", totals.total_attempts},
            {"usage", protocol::usage_or_null(totals.usage)}};
}

json::object to_json(const MetricsSummary& summary)
{
    auto out = to_json(static_cast<const MetricsTotals&>(summary));
    out["skipped_lines"] = summary.skipped_lines;
    if (summary.groups.empty()) return out;
    auto& groups = out["groups"].emplace_object();
    for (const auto& [name, totals] : summary.groups) groups[name] = to_json(totals);
    return out;
}

json::object to_json(const StepResult& result)
{
    json::object out{{"id", result.id},
                     {"state", to_string(result.state)},
                     {"round", result.round},
                     {"reason", text::text_or_null(result.reason)},
                     {"tolerated", result.tolerated},
                     {"gate_passed", text::or_null(result.gate_passed)},
                     {"started_at", text::text_or_null(text::iso_utc(result.started_at))},
                     {"ended_at", text::text_or_null(text::iso_utc(result.ended_at))},
                     {"duration_seconds", seconds(result.duration)}};
    put_execution(out, result.execution.value_or(ExecutionResult{}));
    if (!result.execution) out["status"] = nullptr;
    auto& warnings = out["warnings"].as_array();
    for (const auto& warning : result.warnings) warnings.emplace_back(warning);
    if (!result.code.empty()) out["error_code"] = result.code;
    out["branch"] = text::text_or_null(result.branch);
    out["commit"] = text::text_or_null(result.commit);
    if (!result.cached_from.empty()) out["cached_from"] = result.cached_from;
    if (result.answer) out["answer"] = protocol::to_json(*result.answer);
    if (!result.child_run.empty()) out["child_run"] = result.child_run;
    return out;
}

json::object to_json(const WorkflowResult& result)
{
    json::array steps;
    for (const auto& step : result.steps) steps.emplace_back(to_json(step));
    return {{"run_id", result.run_id},
            {"workflow_id", result.workflow_id},
            {"status", to_string(result.status)},
            {"error", text::text_or_null(result.error)},
            {"duration_seconds", seconds(result.duration)},
            {"branch", text::text_or_null(result.branch)},
            {"commit", text::text_or_null(result.commit)},
            {"critical_path", text::array_of(result.critical_path)},
            {"steps", std::move(steps)}};
}

}  // namespace autoexec::inline v1

namespace autoexec::protocol {
namespace {

std::chrono::milliseconds read_seconds(const text::Fields& in, std::string_view key)
{
    constexpr double max_seconds = 1e10;
    const auto found = std::clamp(in.number(key).value_or(0), 0.0, max_seconds);
    return std::chrono::milliseconds(static_cast<std::int64_t>(1000 * found));
}

std::optional<CommandError> read_error(const text::Fields& in)
{
    const auto message = in.string("error");
    if (!message) return std::nullopt;
    return CommandError{*message, in.string("error_code").value_or(""), {}, 0};
}

}  // namespace

std::optional<ExecutionResult> read_execution(const text::Fields& result)
{
    const auto status = parse_word<ExecutionStatus>(result.string("status").value_or(""));
    if (!status) return std::nullopt;
    ExecutionResult execution;
    execution.status = *status;
    execution.execution_id = result.string("execution_id").value_or("");
    execution.attempts = static_cast<int>(result.integer("attempts", 0, 1'000'000).value_or(0));
    execution.worktree = result.string("worktree").value_or("");
    execution.verified =
        parse_word<Verification>(result.object("verified").string("artifacts").value_or(""))
            .value_or(Verification::none);
    execution.missing_artifacts = result.object("verified").strings("missing");
    execution.reported =
        parse_word<ReportedStatus>(result.object("claimed").string("status").value_or(""));
    execution.artifacts = result.object("claimed").strings("artifacts");
    execution.exit_code = result.object("exit").small_integer("exit_code");
    execution.signal = result.object("exit").small_integer("signal");
    execution.error = read_error(result);
    execution.queued = read_seconds(result, "queued_seconds");
    execution.usage = parse_usage(result.object("usage"));
    execution.session = result.string("session").value_or("");
    execution.session_usage = parse_usage(result.object("session_usage"));
    execution.warnings = result.strings("warnings");
    return execution;
}

std::optional<ExecutionResult> read_result(const json::object& object)
{
    std::vector<std::string> ignored;
    const text::Fields in(&object, ignored);
    const auto status = parse_word<ExecutionStatus>(in.string("status").value_or(""));
    if (!status) return std::nullopt;
    ExecutionResult result;
    result.status = *status;
    result.execution_id = in.string("execution_id").value_or("");
    result.command = in.string("command").value_or("");
    result.workflow_id = in.string("workflow_id");
    result.step_id = in.string("step_id");
    result.attempt_id = in.string("attempt_id").value_or("");
    result.worktree = in.string("worktree").value_or("");
    result.reported = parse_word<ReportedStatus>(in.string("reported").value_or(""));
    result.verified =
        parse_word<Verification>(in.string("verified").value_or("")).value_or(Verification::none);
    result.missing_artifacts = in.strings("missing_artifacts");
    result.exit_code = in.small_integer("exit_code");
    result.signal = in.small_integer("signal");
    result.attempts = static_cast<int>(in.integer("attempts", 0, 1'000'000).value_or(0));
    result.duration = read_seconds(in, "duration_seconds");
    result.error = read_error(in);
    result.usage = parse_usage(in.object("usage"));
    result.warnings = in.strings("warnings");
    return result;
}

}  // namespace autoexec::protocol
