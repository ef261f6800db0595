#pragma once

#include "autoexec/workflow_executor.hpp"
#include "runner/assign.hpp"
#include "runner/cli.hpp"

#include <filesystem>

namespace autoexec::runner {

/// Shows the plan, and which command each step would hand over, and to whom. Writes nothing. Gives
/// the exit code.
int dry_run(const WorkflowRunVerbOptions& options, const std::filesystem::path& root,
            const Agents& agents, const Workflow& workflow, const WorkflowRunOptions& run);

}  // namespace autoexec::runner
