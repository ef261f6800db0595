#pragma once

#include "autoexec/workflow.hpp"
#include "autoexec/workflow_result.hpp"
#include "text/json_fields.hpp"

#include <optional>
#include <string_view>

/// Reads what `to_string` and `to_json` write of results and events. Empty for unknown words.
namespace autoexec::protocol {

std::optional<StepState> parse_step_state(std::string_view word) noexcept;
std::optional<WorkflowStatus> parse_workflow_status(std::string_view word) noexcept;
std::optional<WorkflowEvent::Type> parse_event_type(std::string_view word) noexcept;
std::optional<WorktreeMode> parse_worktree_mode(std::string_view word) noexcept;
std::optional<ExecutionStatus> parse_execution_status(std::string_view word) noexcept;

/// What `to_json(StepResult)` writes of the execution. All warnings go to it; the output is lost.
std::optional<ExecutionResult> read_execution(const text::Fields& result);

}  // namespace autoexec::protocol
