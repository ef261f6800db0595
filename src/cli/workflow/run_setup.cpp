#include "cli/workflow/run_setup.hpp"

#include "autoexec/diagnostic.hpp"
#include "cli/session/configuration.hpp"
#include "cli/session/output.hpp"
#include "cli/session/project.hpp"
#include "records/debug_log.hpp"
#include "text/text.hpp"

#include <algorithm>
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

std::optional<ParamWords> parse_params(const WorkflowFlags& options, const char* subcommand)
{
    std::vector<std::string> problems;
    auto words = options.params;
    if (options.prompt) words.push_back("prompt=" + *options.prompt);
    auto params = split_params(words, problems);
    for (const auto& problem : problems) print_error(subcommand, "{}", problem);
    if (!problems.empty()) return std::nullopt;
    return params;
}

WorkflowRunOptions make_run_options(const WorkflowFlags& options)
{
    WorkflowRunOptions run;
    run.fail_fast = options.fail_fast;
    // Zero would mean the workflow's limit, so no limit is the largest number.
    run.max_parallel = options.session.jobs.value_or(0);
    if (options.session.jobs == 0U) run.max_parallel = std::numeric_limits<std::size_t>::max();
    if (options.retry) run.max_attempts = *options.retry + 1;
    return run;
}

std::optional<Agents> apply_configuration(const WorkflowFlags& options,
                                          AutoExecutionConfigManager& manager,
                                          const Workflow& workflow, WorkflowRunOptions& run)
{
    manager.set_workflow_metadata(workflow.metadata);
    const auto config = load_configuration(manager, options.session.quiet);
    if (!config) return std::nullopt;
    run.automatic = options.automatic.value_or(config->enabled);

    Agents agents(manager.project_root(), options.session.external_agent,
                  run.automatic && needs_agents_file(workflow));
    if (!agents.usable()) {
        print_problems(agents.loaded().errors);
        return std::nullopt;
    }
    if (!options.session.quiet) print_problems(agents.loaded().file.warnings);
    return agents;
}

void prepare_start(const WorkflowFlags& options, AutoExecutionConfigManager& manager,
                   const Agents& agents, const Workflow& workflow)
{
    records::set_debug_log(manager.project_root(), manager.load().debug);
    if (agents.runs_texts_with_shell() && has_command_for_nobody(workflow) &&
        !options.session.quiet)
        print_message(no_agents_file_notice);
}

void set_timeout(const WorkflowFlags& options, Workflow& workflow)
{
    if (!options.timeout) return;
    for (auto& step : workflow.steps)
        if (!step.timeout) step.timeout = options.timeout;
}

}  // namespace autoexec::cli
