#pragma once

#include "autoexec/config.hpp"
#include "autoexec/workflow_executor.hpp"
#include "cli/cli.hpp"
#include "cli/session/assign.hpp"
#include "cli/workflow/params.hpp"

#include <filesystem>
#include <optional>

/// What a new run and one that goes on have in common, before anything runs. Says itself what is
/// wrong.
namespace autoexec::cli {

/// The parameters as a person typed them; nothing if they make no sense.
std::optional<ParamWords> params_of(const WorkflowPlayOptions& options, const char* verb);

/// The options of the run that don't say where it works.
WorkflowRunOptions run_options(const WorkflowPlayOptions& options);

/// Takes the configuration into `run`, and gives the agents; nothing if a file is invalid.
std::optional<Agents> take_configuration(const WorkflowPlayOptions& options,
                                         AutoExecutionConfigManager& manager,
                                         const Workflow& workflow, WorkflowRunOptions& run);

/// Right before it begins.
void announce(const WorkflowPlayOptions& options, AutoExecutionConfigManager& manager,
              const Agents& agents, const Workflow& workflow);

/// For steps that don't say.
void set_timeout(const WorkflowPlayOptions& options, Workflow& workflow);

}  // namespace autoexec::cli
