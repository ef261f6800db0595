#include "cli/cli.hpp"

#include "autoexec/config.hpp"
#include "autoexec/diagnostic.hpp"
#include "cli/session/configuration.hpp"
#include "cli/session/output.hpp"
#include "cli/session/project.hpp"
#include "cli/workflow/live_workflow.hpp"
#include "cli/workflow/runs.hpp"
#include "cli/workflow/start.hpp"
#include "cli/workflow/workflow_file.hpp"
#include "cli/worktree/collector.hpp"
#include "text/text.hpp"

#include <fmt/format.h>

#include <cstdio>
#include <filesystem>
#include <optional>
#include <utility>

namespace autoexec::cli {
namespace {

namespace fs = std::filesystem;
using workflow::RunRecord;

/// A journal is a file like others, and can come with a repository. Only a workflow's file in the
/// project, or in the worktree that the call is made in, is resumed unasked.
class RunFinder {
public:
    RunFinder(const WorkflowResumeVerbOptions& options, fs::path root)
        : options_(options),
          root_(std::move(root)),
          worktree_(current_worktree(options.common, root_))
    {}

    /// Nothing, and the exit code, if there is no run to resume; the reason has been printed.
    std::optional<RunRecord> find(int& code) const
    {
        std::string problem;
        auto run =
            options_.run.empty() ? find_newest(problem) : find_run(root_, options_.run, problem);
        code = exit_usage;
        if (run && !may_resume(*run)) {
            code = exit_invalid;
            problem = fmt::format(
                "{} names the workflow file {}, which is outside the project; "
                "check that file, then add --allow-outside",
                run->run_id, run->path);
            run.reset();
        }
        if (!run) tell(stderr, "autoexec workflow resume: {}\n", text::printable(problem));
        return run;
    }

private:
    [[nodiscard]] std::optional<RunRecord> find_newest(std::string& problem) const
    {
        auto run = newest_run(root_, [this](const RunRecord& r) {
            if (r.alive || r.status == WorkflowStatus::completed) return false;
            if (!may_resume(r)) report_skipped(r);
            return may_resume(r);
        });
        if (!run) problem = "no run to resume; see autoexec workflow list";
        return run;
    }

    [[nodiscard]] bool may_resume(const RunRecord& run) const
    {
        return options_.allow_outside || run.path.empty() || is_within(run.path, root_) ||
               is_within(run.path, worktree_);
    }

    static void report_skipped(const RunRecord& run)
    {
        const auto id = text::printable(run.run_id);
        tell(stderr,
             "skipped {}: its workflow file {} is outside the project; to resume it, check that "
             "file, then: autoexec workflow resume {} --allow-outside\n",
             id, text::printable(run.path), id);
    }

    const WorkflowResumeVerbOptions& options_;
    fs::path root_;
    fs::path worktree_;
};

std::optional<Workflow> read_workflow(const WorkflowResumeVerbOptions& o, const RunRecord& run)
{
    if (run.path.empty()) {
        tell(stderr, "autoexec workflow resume: the journal of {} names no workflow file\n",
             text::printable(run.run_id));
        return std::nullopt;
    }
    WorkflowReadOptions read;
    read.lenient = o.lenient;
    auto file = read_workflow_file(run.path, false, read);
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
    int found = exit_usage;
    const auto record = RunFinder(options, root).find(found);
    if (!record) return found;
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

}  // namespace autoexec::cli
