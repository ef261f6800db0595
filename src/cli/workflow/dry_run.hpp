#pragma once

#include "autoexec/workflow_executor.hpp"
#include "cli/session/agents.hpp"
#include "cli/workflow/workflow_flags.hpp"

#include <filesystem>

namespace autoexec::cli {

/// Prints the plan, and the command and the agent of each step. Writes nothing. Returns the exit
/// code.
int dry_run(const WorkflowFlags& options, const std::filesystem::path& root, const Agents& agents,
            const Workflow& workflow, const WorkflowRunOptions& run);

}  // namespace autoexec::cli
