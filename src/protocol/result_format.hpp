#pragma once

#include "autoexec/command.hpp"
#include "text/json_fields.hpp"

#include <boost/json/object.hpp>

#include <optional>

namespace autoexec::protocol {

/// Reads what `to_json(StepResult)` writes of the execution. All warnings go to it; the output is
/// lost.
std::optional<ExecutionResult> read_execution(const text::Fields& result);

/// Reads of `to_json(ExecutionResult)` what lists show: not the output, artifacts and progress.
std::optional<ExecutionResult> read_result(const boost::json::object& result);

}  // namespace autoexec::protocol
