#pragma once

#include "autoexec/workflow.hpp"
#include "workflow/plan/plan.hpp"

#include <string>
#include <vector>

namespace autoexec::test {

/// A step that runs `true`; tests set what they are about.
WorkflowStep step(std::string id);
WorkflowStep step(std::string id, std::vector<std::string> depends_on);
GateTarget to(std::string id);
WorkflowGate gate(std::string condition, GateTarget on_fail);
Workflow workflow_of(std::vector<WorkflowStep> steps);

/// The plan of a workflow that has nothing wrong.
workflow::Plan plan_of(const Workflow& w);

/// All that is wrong, a line each: `step field[item]: message`.
std::vector<std::string> problems_of(const Workflow& w);

}  // namespace autoexec::test
