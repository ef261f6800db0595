#include "runner/cli.hpp"

#include "autoexec/config.hpp"
#include "autoexec/diagnostic.hpp"
#include "protocol/text.hpp"
#include "runner/configuration.hpp"
#include "runner/project.hpp"
#include "runner/runs.hpp"
#include "runner/tell.hpp"
#include "runner/workflow_file.hpp"
#include "runner/workflow_live.hpp"
#include "runner/workflow_start.hpp"
#include "runner/worktree_collector.hpp"

#include <fmt/format.h>

#include <cstdio>
#include <filesystem>

namespace autoexec::runner {
namespace {

using workflow::RunRecord;

std::optional<RunRecord> find(const std::filesystem::path& root, const std::string& wanted,
                              std::string& problem)
{
    if (!wanted.empty()) return find_run(root, wanted, problem);
    auto run = newest_run(
        root, [](const RunRecord& r) { return !r.alive && r.status != WorkflowStatus::completed; });
    if (!run) problem = "there is no run to go on with; see autoexec workflow list";
    return run;
}

std::optional<Workflow> read_workflow(const WorkflowResumeVerbOptions& o, const RunRecord& run)
{
    if (run.path.empty()) {
        tell(stderr, "autoexec workflow resume: {} does not say which file it is of\n",
             protocol::printable(run.run_id));
        return std::nullopt;
    }
    auto file = read_workflow_file(run.path, false);
    if (!file.workflow || !o.engine.quiet) print_problems(file.diagnostics);
    if (file.workflow) set_timeout(o, *file.workflow);
    return std::move(file.workflow);
}

}  // namespace

int workflow_resume(const WorkflowResumeVerbOptions& asked)
{
    auto options = asked;
    const auto params = params_of(options, "resume");
    if (!params) return exit_usage;
    const auto root = project_root(options.common);
    std::string problem;
    const auto record = find(root, options.run, problem);
    if (!record) {
        tell(stderr, "autoexec workflow resume: {}\n", protocol::printable(problem));
        return exit_usage;
    }
    // As it began, unless the call says otherwise.
    if (!options.automatic) options.automatic = record->automatic;
    auto workflow = read_workflow(options, *record);
    if (!workflow) return exit_invalid;
    auto run = run_options(options);
    run.params = typed_params(*params, workflow->params);

    AutoExecutionConfigManager manager({}, root);
    const auto agents = take_configuration(options, manager, *workflow, run);
    if (!agents) return exit_invalid;
    announce(options, manager, *agents, *workflow);
    LiveWorkflow::Resumption resumption{
        record->run_id, {options.from, options.from_failed, options.accept_changed}, record->steps};
    const int code = LiveWorkflow(options, manager, *agents, *std::move(workflow), std::move(run),
                                  std::move(resumption))
                         .go();
    if (code == exit_completed) collect_after_run(manager, options.engine.quiet);
    return code;
}

}  // namespace autoexec::runner
