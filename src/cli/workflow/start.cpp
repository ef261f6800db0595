#include "cli/workflow/start.hpp"

#include "autoexec/diagnostic.hpp"
#include "cli/session/configuration.hpp"
#include "cli/session/output.hpp"
#include "cli/session/project.hpp"
#include "records/debug_log.hpp"
#include "text/text.hpp"

#include <algorithm>
#include <cstdio>
#include <limits>
#include <string>
#include <vector>

namespace autoexec::cli {
namespace {

bool has_command_for_nobody(const Workflow& workflow)
{
    return std::any_of(workflow.steps.begin(), workflow.steps.end(), [](const WorkflowStep& step) {
        return step.agent.empty() && !step.command.empty();
    });
}

bool needs_agents_file(const Workflow& workflow)
{
    return std::any_of(workflow.steps.begin(), workflow.steps.end(), [](const WorkflowStep& step) {
        return step.argv.empty() || !step.agent.empty();
    });
}

}  // namespace

std::optional<ParamWords> params_of(const WorkflowPlayOptions& options, const char* verb)
{
    std::vector<std::string> problems;
    auto words = options.params;
    if (options.prompt) words.push_back("prompt=" + *options.prompt);
    auto params = split_params(words, problems);
    for (const auto& problem : problems) tell(stderr, "autoexec workflow {}: {}\n", verb, problem);
    if (!problems.empty()) return std::nullopt;
    return params;
}

WorkflowRunOptions run_options(const WorkflowPlayOptions& options)
{
    WorkflowRunOptions run;
    run.fail_fast = options.fail_fast;
    // No limit here is one above all numbers: zero would leave it to the workflow.
    run.max_parallel = options.engine.jobs.value_or(0);
    if (options.engine.jobs == 0U) run.max_parallel = std::numeric_limits<std::size_t>::max();
    if (options.retry) run.max_attempts = *options.retry + 1;
    return run;
}

std::optional<Agents> take_configuration(const WorkflowPlayOptions& options,
                                         AutoExecutionConfigManager& manager,
                                         const Workflow& workflow, WorkflowRunOptions& run)
{
    manager.set_workflow_metadata(workflow.metadata);
    const auto config = load_configuration(manager, options.engine.quiet);
    if (!config) return std::nullopt;
    run.automatic = options.automatic.value_or(config->enabled);

    Agents agents(manager.project_root(), options.engine.external_agent,
                  run.automatic && needs_agents_file(workflow));
    if (!agents.usable()) {
        print_problems(agents.loaded().errors);
        return std::nullopt;
    }
    if (!options.engine.quiet) print_problems(agents.loaded().file.warnings);
    return agents;
}

void announce(const WorkflowPlayOptions& options, AutoExecutionConfigManager& manager,
              const Agents& agents, const Workflow& workflow)
{
    records::set_debug_log(manager.project_root(), manager.load().debug);
    if (agents.own_runs_texts() && has_command_for_nobody(workflow) && !options.engine.quiet)
        tell(stderr, no_agents_file_notice);
}

void set_timeout(const WorkflowPlayOptions& options, Workflow& workflow)
{
    if (!options.timeout) return;
    for (auto& step : workflow.steps)
        if (!step.timeout) step.timeout = options.timeout;
}

}  // namespace autoexec::cli
