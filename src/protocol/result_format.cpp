#include "protocol/result_format.hpp"

#include "text/json.hpp"

#include <boost/json/array.hpp>
#include <boost/json/value.hpp>

#include <array>
#include <cstddef>
#include <limits>
#include <utility>

namespace autoexec::inline v1 {
namespace {

namespace json = boost::json;

using StepWord = std::pair<StepState, std::string_view>;
using StatusWordOfRun = std::pair<WorkflowStatus, std::string_view>;
using EventWord = std::pair<WorkflowEvent::Type, std::string_view>;
using ModeWord = std::pair<WorktreeMode, std::string_view>;

constexpr std::array step_words{
    StepWord{StepState::pending, "pending"},
    StepWord{StepState::running, "running"},
    StepWord{StepState::waiting_manual, "waiting_manual"},
    StepWord{StepState::completed, "completed"},
    StepWord{StepState::failed, "failed"},
    StepWord{StepState::timeout, "timeout"},
    StepWord{StepState::cancelled, "cancelled"},
    StepWord{StepState::skipped, "skipped"},
};

constexpr std::array status_words{
    StatusWordOfRun{WorkflowStatus::running, "running"},
    StatusWordOfRun{WorkflowStatus::completed, "completed"},
    StatusWordOfRun{WorkflowStatus::failed, "failed"},
    StatusWordOfRun{WorkflowStatus::cancelled, "cancelled"},
};

constexpr std::array event_words{
    EventWord{WorkflowEvent::Type::run_started, "run_started"},
    EventWord{WorkflowEvent::Type::step_started, "step_started"},
    EventWord{WorkflowEvent::Type::step_prepared, "step_prepared"},
    EventWord{WorkflowEvent::Type::step_ready, "step_ready"},
    EventWord{WorkflowEvent::Type::step_waiting, "step_waiting"},
    EventWord{WorkflowEvent::Type::step_executed, "step_executed"},
    EventWord{WorkflowEvent::Type::restarted, "restarted"},
    EventWord{WorkflowEvent::Type::merged, "merged"},
    EventWord{WorkflowEvent::Type::step_ended, "step_ended"},
    EventWord{WorkflowEvent::Type::step_skipped, "step_skipped"},
    EventWord{WorkflowEvent::Type::gate_judged, "gate_judged"},
    EventWord{WorkflowEvent::Type::sent_back, "sent_back"},
    EventWord{WorkflowEvent::Type::run_ended, "run_ended"},
};

constexpr std::array mode_words{
    ModeWord{WorktreeMode::step, "step"},
    ModeWord{WorktreeMode::workflow, "workflow"},
    ModeWord{WorktreeMode::in_place, "in_place"},
};

template <class Value, std::size_t n>
std::string_view word_of(const std::array<std::pair<Value, std::string_view>, n>& words,
                         Value value) noexcept
{
    for (const auto& [known, word] : words)
        if (known == value) return word;
    return "unknown";
}

template <class Value, std::size_t n>
std::optional<Value> value_of(const std::array<std::pair<Value, std::string_view>, n>& words,
                              std::string_view word) noexcept
{
    for (const auto& [value, known] : words)
        if (known == word) return value;
    return std::nullopt;
}

json::array strings(const std::vector<std::string>& values)
{
    return json::array(values.begin(), values.end());
}

double seconds(std::chrono::milliseconds duration)
{
    return std::chrono::duration<double>(duration).count();
}

json::value reported(const ExecutionResult& execution)
{
    return execution.reported ? json::value(to_string(*execution.reported)) : json::value(nullptr);
}

/// What the program did, what its agent reported, and what the executor observed are separate.
void put_execution(json::object& out, const ExecutionResult& execution)
{
    const auto& error = execution.error;
    out["exit"] = {{"exit_code", text::or_null(execution.exit_code)},
                   {"signal", text::or_null(execution.signal)}};
    out["claimed"] = {{"status", reported(execution)}, {"artifacts", strings(execution.artifacts)}};
    out["verified"] = {{"artifacts", to_string(execution.verified)},
                       {"missing", strings(execution.missing_artifacts)}};
    out["execution_id"] = text::text_or_null(execution.execution_id);
    out["attempts"] = execution.attempts;
    out["status"] = to_string(execution.status);
    out["error"] = error ? json::value(error->message) : json::value(nullptr);
    out["error_code"] = error ? text::text_or_null(error->code) : json::value(nullptr);
    out["worktree"] = text::text_or_null(execution.worktree.string());
    out["output"] = execution.output;
    out["warnings"] = strings(execution.warnings);
}

}  // namespace

std::string_view to_string(StepState state) noexcept
{
    return word_of(step_words, state);
}

std::string_view to_string(WorkflowStatus status) noexcept
{
    return word_of(status_words, status);
}

std::string_view to_string(WorkflowEvent::Type type) noexcept
{
    return word_of(event_words, type);
}

std::string_view to_string(WorktreeMode mode) noexcept
{
    return word_of(mode_words, mode);
}

json::object to_json(const StepResult& result)
{
    json::object out{{"id", result.id},
                     {"state", to_string(result.state)},
                     {"round", result.round},
                     {"reason", text::text_or_null(result.reason)},
                     {"tolerated", result.tolerated},
                     {"gate_passed", text::or_null(result.gate_passed)},
                     {"started_at", text::text_or_null(result.started_at)},
                     {"ended_at", text::text_or_null(result.ended_at)},
                     {"duration_seconds", seconds(result.duration)}};
    put_execution(out, result.execution.value_or(ExecutionResult{}));
    if (!result.execution) out["status"] = nullptr;
    auto& warnings = out["warnings"].as_array();
    for (const auto& warning : result.warnings) warnings.emplace_back(warning);
    if (!result.code.empty()) out["error_code"] = result.code;
    out["branch"] = text::text_or_null(result.branch);
    out["commit"] = text::text_or_null(result.commit);
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
            {"critical_path", strings(result.critical_path)},
            {"steps", std::move(steps)}};
}

}  // namespace autoexec::inline v1

namespace autoexec::protocol {
namespace {

std::optional<ReportedStatus> parse_reported(std::string_view word)
{
    for (const auto status : {ReportedStatus::pending, ReportedStatus::running,
                              ReportedStatus::completed, ReportedStatus::failed})
        if (to_string(status) == word) return status;
    return std::nullopt;
}

std::optional<int> small_integer(const text::Fields& in, std::string_view key)
{
    const auto value = in.integer(key, std::numeric_limits<int>::min(), 1'000'000'000);
    return value ? std::optional(static_cast<int>(*value)) : std::nullopt;
}

}  // namespace

std::optional<StepState> parse_step_state(std::string_view word) noexcept
{
    return value_of(step_words, word);
}

std::optional<WorkflowStatus> parse_workflow_status(std::string_view word) noexcept
{
    return value_of(status_words, word);
}

std::optional<WorkflowEvent::Type> parse_event_type(std::string_view word) noexcept
{
    return value_of(event_words, word);
}

std::optional<WorktreeMode> parse_worktree_mode(std::string_view word) noexcept
{
    return value_of(mode_words, word);
}

std::optional<ExecutionStatus> parse_execution_status(std::string_view word) noexcept
{
    for (const auto status : {ExecutionStatus::completed, ExecutionStatus::failed,
                              ExecutionStatus::timeout, ExecutionStatus::cancelled})
        if (to_string(status) == word) return status;
    return std::nullopt;
}

std::optional<ExecutionResult> read_execution(const text::Fields& result)
{
    const auto status = parse_execution_status(result.string("status").value_or(""));
    if (!status) return std::nullopt;
    ExecutionResult execution;
    execution.status = *status;
    execution.execution_id = result.string("execution_id").value_or("");
    execution.attempts = static_cast<int>(result.integer("attempts", 0, 1'000'000).value_or(0));
    execution.worktree = result.string("worktree").value_or("");
    const auto verified = result.object("verified").string("artifacts").value_or("");
    execution.verified = verified == "all"       ? Verification::all
                         : verified == "partial" ? Verification::partial
                                                 : Verification::none;
    execution.missing_artifacts = result.object("verified").strings("missing");
    execution.reported = parse_reported(result.object("claimed").string("status").value_or(""));
    execution.artifacts = result.object("claimed").strings("artifacts");
    execution.exit_code = small_integer(result.object("exit"), "exit_code");
    execution.signal = small_integer(result.object("exit"), "signal");
    if (const auto error = result.string("error"))
        execution.error = CommandError{*error, result.string("error_code").value_or(""), {}, 0};
    execution.warnings = result.strings("warnings");
    return execution;
}

}  // namespace autoexec::protocol
