#pragma once

#include "autoexec/workflow_result.hpp"

#include <boost/json/object.hpp>

#include <string>

/// The lines that are printed about a running workflow. Pure.
namespace autoexec::cli {

/// The line of a step that has ended.
std::string step_line(const StepResult& result);

/// The message for an event of a gate, a restart or a merge; empty for all other events.
std::string sentence_of(const WorkflowEvent& event);

/// At the end: the result, the critical path, and the failed steps.
std::string summary_of(const WorkflowResult& result, const std::string& merged_into);

/// One line of `--json`.
boost::json::object to_json(const WorkflowEvent& event, const std::string& workflow_id);

}  // namespace autoexec::cli
