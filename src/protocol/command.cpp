#include "autoexec/command.hpp"

#include "text/json.hpp"
#include "text/text.hpp"

#include "autoexec/event.hpp"
#include "autoexec/metrics.hpp"

#include <boost/json/array.hpp>

#include <utility>

namespace autoexec::inline v1 {
namespace {

namespace json = boost::json;

json::value to_value(const std::optional<Progress>& progress)
{
    if (!progress) return nullptr;
    return {{"percentage", progress->percentage},
            {"current_step", progress->current_step},
            {"message", progress->message}};
}

}  // namespace

CommandRequest::CommandRequest(std::vector<std::string> program,
                               std::filesystem::path worktree_path)
    : command(text::quote_words(program)),
      worktree(std::move(worktree_path)),
      argv(std::move(program))
{}

std::string_view to_string(ExecutionStatus status) noexcept
{
    switch (status) {
        case ExecutionStatus::completed:
            return "completed";
        case ExecutionStatus::failed:
            return "failed";
        case ExecutionStatus::timeout:
            return "timeout";
        case ExecutionStatus::cancelled:
            return "cancelled";
    }
    return "unknown";
}

std::string_view to_string(CompletionMethod method) noexcept
{
    switch (method) {
        case CompletionMethod::none:
            return "none";
        case CompletionMethod::status_file:
            return "status_file";
        case CompletionMethod::artifact_detection:
            return "artifact_detection";
    }
    return "unknown";
}

std::string_view to_string(Verification verification) noexcept
{
    switch (verification) {
        case Verification::none:
            return "none";
        case Verification::partial:
            return "partial";
        case Verification::all:
            return "all";
    }
    return "unknown";
}

std::string_view to_string(ReportedStatus word) noexcept
{
    switch (word) {
        case ReportedStatus::pending:
            return "pending";
        case ReportedStatus::running:
            return "running";
        case ReportedStatus::completed:
            return "completed";
        case ReportedStatus::failed:
            return "failed";
    }
    return "unknown";
}

std::string_view to_string(EventType type) noexcept
{
    switch (type) {
        case EventType::command_detected:
            return "command_detected";
        case EventType::execution_started:
            return "execution_started";
        case EventType::status_updated:
            return "status_updated";
        case EventType::progress_updated:
            return "progress_updated";
        case EventType::command_unclaimed:
            return "command_unclaimed";
        case EventType::execution_completed:
            return "execution_completed";
        case EventType::execution_failed:
            return "execution_failed";
        case EventType::execution_cancelled:
            return "execution_cancelled";
        case EventType::execution_retry:
            return "execution_retry";
        case EventType::execution_interrupted:
            return "execution_interrupted";
        case EventType::status_rejected:
            return "status_rejected";
        case EventType::agent_lost:
            return "agent_lost";
        case EventType::secret_in_command:
            return "secret_in_command";
    }
    return "unknown";
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

json::object to_json(const ExecutionResult& result)
{
    using seconds = std::chrono::duration<double>;
    return {{"status", to_string(result.status)},
            {"command", result.command},
            {"worktree", result.worktree.string()},
            {"artifacts", text::array_of(result.artifacts)},
            {"error", result.error ? json::value(result.error->message) : json::value(nullptr)},
            {"duration_seconds", std::chrono::duration_cast<seconds>(result.duration).count()},
            {"execution_id", result.execution_id},
            {"attempt_id", result.attempt_id},
            {"workflow_id", text::or_null(result.workflow_id)},
            {"step_id", text::or_null(result.step_id)},
            {"attempts", result.attempts},
            {"completion_method", to_string(result.completion_method)},
            {"reported",
             result.reported ? json::value(to_string(*result.reported)) : json::value(nullptr)},
            {"verified", to_string(result.verified)},
            {"missing_artifacts", text::array_of(result.missing_artifacts)},
            {"error_code", result.error ? json::value(result.error->code) : json::value(nullptr)},
            {"exit_code", text::or_null(result.exit_code)},
            {"signal", text::or_null(result.signal)},
            {"progress", to_value(result.last_progress)},
            {"output", result.output},
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
            {"started_at", metric.started_at ? text::iso_utc(*metric.started_at) : ""},
            {"retry_count", metric.retry_count},
            {"completed_at", metric.completed_at ? json::value(text::iso_utc(*metric.completed_at))
                                                 : json::value(nullptr)},
            {"error_message", text::or_null(metric.error_message)}};
}

}  // namespace autoexec::inline v1
