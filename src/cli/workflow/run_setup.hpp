#pragma once

#include "autoexec/config.hpp"
#include "autoexec/workflow_executor.hpp"
#include "cli/session/agents.hpp"
#include "cli/workflow/params.hpp"
#include "cli/workflow/workflow_flags.hpp"

#include <filesystem>
#include <optional>

/// What `run` and `resume` do before anything runs. The functions print their problems.
namespace autoexec::cli {

/// Splits `--param` and `--prompt`; nothing if one is invalid.
std::optional<ParamWords> parse_params(const WorkflowFlags& options, const char* subcommand);

/// The options of the run except those about worktrees.
WorkflowRunOptions make_run_options(const WorkflowFlags& options);

/// Applies the configuration to `run` and returns the agents; nothing if a file is invalid.
std::optional<Agents> apply_configuration(const WorkflowFlags& options,
                                          AutoExecutionConfigManager& manager,
                                          const Workflow& workflow, WorkflowRunOptions& run);

/// Called right before the start: sets up the debug log and prints notices.
void prepare_start(const WorkflowFlags& options, AutoExecutionConfigManager& manager,
                   const Agents& agents, const Workflow& workflow);

/// Sets `--timeout` for steps without their own.
void set_timeout(const WorkflowFlags& options, Workflow& workflow);

}  // namespace autoexec::cli
