#pragma once

#include "autoexec/workflow_executor.hpp"
#include "cli/workflow/setup.hpp"
#include "workflow/journal/journal.hpp"

#include <optional>
#include <string>
#include <vector>

namespace autoexec::cli {

/// The run to resume.
struct Resumption {
    std::string run_id;
    WorkflowResumeOptions what;
    std::vector<workflow::StepRecord> steps;  ///< Their current state.
};

/// Runs a workflow to the end, prints its progress and results, and returns the exit code. Without
/// a resumption, starts a new run.
int run_live(const WorkflowFlags& options, AutoExecutionConfigManager& manager,
             const Agents& agents, Workflow workflow, WorkflowRunOptions run,
             std::optional<Resumption> resumption = {});

}  // namespace autoexec::cli
