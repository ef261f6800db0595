#include "records/attempt_spans.hpp"

#include "protocol/trace_context.hpp"

#include <algorithm>
#include <chrono>
#include <string_view>
#include <utility>

namespace autoexec::records {
namespace {

using protocol::Span;
using std::chrono::system_clock;

void set_unless_empty(Span& span, std::string_view key, std::string_view value)
{
    if (!value.empty()) span.attributes[key] = value;
}

void set_result(Span& span, const ExecutionMetric& attempt)
{
    span.attributes["autoexec.status"] = to_string(attempt.status);
    if (attempt.status == ExecutionStatus::completed) return;
    span.error = attempt.error_message.value_or("");
    span.attributes["error.type"] =
        attempt.error_code.empty() ? to_string(attempt.status) : attempt.error_code;
}

/// What both have.
Span common_span(const ExecutionMetric& attempt)
{
    Span span;
    span.trace_id = protocol::trace_id_of(attempt);
    span.attributes["autoexec.execution_id"] = attempt.execution_id;
    set_unless_empty(span, "autoexec.run_id", attempt.workflow_id.value_or(""));
    set_unless_empty(span, "autoexec.step_id", attempt.step_id.value_or(""));
    set_unless_empty(span, "autoexec.command", attempt.command);
    set_unless_empty(span, "autoexec.agent", attempt.agent);
    set_unless_empty(span, "autoexec.worktree", attempt.worktree.string());
    return span;
}

system_clock::time_point end_of(const ExecutionMetric& attempt)
{
    if (attempt.completed_at) return *attempt.completed_at;
    return attempt.started_at.value_or(system_clock::time_point{});
}

system_clock::time_point start_of(const ExecutionMetric& attempt)
{
    if (attempt.started_at) return *attempt.started_at;
    // Bounded, since a line may have any number.
    constexpr double max_ms = 1e12;
    const std::chrono::duration<double, std::milli> duration(
        std::clamp(attempt.duration.count(), 0.0, max_ms));
    return end_of(attempt) - std::chrono::duration_cast<system_clock::duration>(duration);
}

}  // namespace

Span span_of_execution(const std::vector<ExecutionMetric>& attempts, std::string parent_id)
{
    const auto by_end = [](const auto& a, const auto& b) { return end_of(a) < end_of(b); };
    const auto& last = *std::max_element(attempts.begin(), attempts.end(), by_end);
    auto span = common_span(last);
    span.span_id = protocol::span_id_of_execution(last.execution_id);
    span.parent_id = std::move(parent_id);
    span.name = "command";
    span.end = end_of(last);
    span.start = span.end;
    for (const auto& attempt : attempts) span.start = std::min(span.start, start_of(attempt));
    span.attributes["autoexec.attempts"] = attempts.size();
    set_result(span, last);
    return span;
}

Span span_of_attempt(const ExecutionMetric& attempt)
{
    auto span = common_span(attempt);
    // Lines of older versions have no id.
    span.span_id = protocol::span_id_of_attempt(attempt.attempt_id.empty()
                                                    ? attempt.execution_id + '\n' +
                                                          std::to_string(attempt.retry_count)
                                                    : attempt.attempt_id);
    span.parent_id = protocol::span_id_of_execution(attempt.execution_id);
    span.name = "attempt";
    span.kind = Span::Kind::client;  // the agent's program is the server
    span.start = start_of(attempt);
    span.end = end_of(attempt);
    set_unless_empty(span, "autoexec.attempt_id", attempt.attempt_id);
    span.attributes["autoexec.attempt"] = attempt.retry_count + 1;
    set_result(span, attempt);
    if (!attempt.usage) return span;
    protocol::add_usage_attributes(span.attributes, *attempt.usage);
    if (!span.attributes.contains("gen_ai.operation.name")) return span;
    span.name = "invoke_agent";
    if (!attempt.agent.empty()) span.name += ' ' + attempt.agent;
    set_unless_empty(span, "gen_ai.agent.name", attempt.agent);
    set_unless_empty(span, "gen_ai.conversation.id", attempt.session);
    return span;
}

}  // namespace autoexec::records
