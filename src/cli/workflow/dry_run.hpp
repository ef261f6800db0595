#pragma once

#include "cli/workflow/setup.hpp"

namespace autoexec::cli {

/// Prints the plan, and the command and the agent of each step. Writes nothing. Returns the exit
/// code.
int dry_run(const WorkflowFlags& options, const std::filesystem::path& root, const Agents& agents,
            const Workflow& workflow, const WorkflowRunOptions& run);

}  // namespace autoexec::cli
