#pragma once

#include "autoexec/workflow_executor.hpp"
#include "cli/cli.hpp"
#include "cli/session/assign.hpp"

#include <filesystem>

namespace autoexec::cli {

/// Shows the plan, and which command each step would hand over, and to whom. Writes nothing. Gives
/// the exit code.
int dry_run(const WorkflowRunVerbOptions& options, const std::filesystem::path& root,
            const Agents& agents, const Workflow& workflow, const WorkflowRunOptions& run);

}  // namespace autoexec::cli
