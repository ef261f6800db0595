#pragma once

#include "autoexec/command.hpp"
#include "text/json_fields.hpp"

#include <optional>

namespace autoexec::protocol {

/// Reads what `to_json(StepResult)` writes of the execution. All warnings go to it; the output is
/// lost.
std::optional<ExecutionResult> read_execution(const text::Fields& result);

}  // namespace autoexec::protocol
