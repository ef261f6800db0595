#pragma once

#include "autoexec/workflow_result.hpp"

#include <boost/json/object.hpp>

#include <string>

/// How a workflow that runs is told on standard output and standard error. Pure.
namespace autoexec::cli {

/// The line of a step that has ended.
std::string step_line(const StepResult& result);

/// What else is worth a line of its own: what its gate said, and where it sends the workflow; empty
/// for all other events.
std::string sentence_of(const WorkflowEvent& event);

/// At the end: how it went, what took longest, and what failed.
std::string summary_of(const WorkflowResult& result, const std::string& merged_into);

/// One line of `--json`.
boost::json::object to_json(const WorkflowEvent& event, const std::string& workflow_id);

}  // namespace autoexec::cli
