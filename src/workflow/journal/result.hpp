#pragma once

#include "autoexec/workflow_result.hpp"

#include <optional>
#include <string_view>

/// What `to_string` says of results and events, read back. Nothing for a word that it never says.
namespace autoexec::workflow {

std::optional<StepState> parse_step_state(std::string_view word) noexcept;
std::optional<WorkflowStatus> parse_workflow_status(std::string_view word) noexcept;
std::optional<WorkflowEvent::Type> parse_event_type(std::string_view word) noexcept;

}  // namespace autoexec::workflow
