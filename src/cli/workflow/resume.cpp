#include "cli/cli.hpp"

#include "autoexec/config.hpp"
#include "autoexec/diagnostic.hpp"
#include "cli/flags.hpp"
#include "cli/session/configuration.hpp"
#include "cli/session/output.hpp"
#include "cli/session/project.hpp"
#include "cli/subcommand.hpp"
#include "cli/workflow/live_workflow.hpp"
#include "cli/workflow/run_setup.hpp"
#include "cli/workflow/runs.hpp"
#include "cli/workflow/workflow_file.hpp"
#include "cli/workflow/workflow_flags.hpp"
#include "cli/worktree/collector.hpp"
#include "text/text.hpp"

#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include <filesystem>
#include <memory>
#include <optional>
#include <utility>

namespace autoexec::cli {
namespace {

namespace fs = std::filesystem;
using workflow::RunRecord;

constexpr char resume_examples[] = R"(
Completed steps do not run again. An interrupted step continues if its agent is still running it;
otherwise it runs again if that is safe.

Exit codes: as for autoexec workflow run; 2 also if there is no such run.
)";

struct WorkflowResumeCommandOptions : WorkflowFlags {
    std::string run;  ///< Empty: the newest that has not completed.
    std::vector<std::string> from;
    bool from_failed = false;
    bool accept_changed = false;
    bool allow_outside = false;  ///< The workflow's file may be outside the project.
};

/// A repository may contain a journal. So by default a run is resumed only if its workflow file is
/// in the project or in the current worktree.
class RunFinder {
public:
    RunFinder(const WorkflowResumeCommandOptions& options, fs::path root)
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
        if (!run) print_error("workflow resume", "{}", problem);
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
        print_message(
            "skipped {}: its workflow file {} is outside the project; to resume it, check that "
            "file, then: autoexec workflow resume {} --allow-outside\n",
            id, text::printable(run.path), id);
    }

    const WorkflowResumeCommandOptions& options_;
    fs::path root_;
    fs::path worktree_;
};

std::optional<Workflow> read_workflow(const WorkflowResumeCommandOptions& o,
                                      const RunRecord& record, WorkflowRunOptions& run)
{
    if (record.path.empty()) {
        print_error("workflow resume", "the journal of {} names no workflow file",
                    text::printable(record.run_id));
        return std::nullopt;
    }
    WorkflowReadOptions read;
    read.lenient = o.lenient;
    auto file = read_workflow_file(record.path, false, read);
    run.plan = file.plan;
    if (!file.workflow || !o.session.quiet) print_problems(file.diagnostics);
    if (file.workflow) set_timeout(o, *file.workflow);
    return std::move(file.workflow);
}

int resume_workflow(const WorkflowResumeCommandOptions& asked)
{
    auto options = asked;
    const auto params = parse_params(options, "workflow resume");
    if (!params) return exit_usage;
    const auto root = project_root(options.common);
    int found = exit_usage;
    const auto record = RunFinder(options, root).find(found);
    if (!record) return found;
    // As in the original run, unless the call overrides it.
    if (!options.automatic) options.automatic = record->automatic;
    auto run = make_run_options(options);
    auto workflow = read_workflow(options, *record, run);
    if (!workflow) return exit_invalid;
    run.params = typed_params(*params, workflow->params);

    AutoExecutionConfigManager manager({}, root);
    const auto agents = apply_configuration(options, manager, *workflow, run);
    if (!agents) return exit_invalid;
    prepare_start(options, manager, *agents, *workflow);
    LiveWorkflow::Resumption resumption{
        record->run_id, {options.from, options.from_failed, options.accept_changed}, record->steps};
    const int code = LiveWorkflow(options, manager, *agents, *std::move(workflow), std::move(run),
                                  std::move(resumption))
                         .run();
    if (code == exit_completed) collect_after_run(manager, options.session.quiet);
    return code;
}

SubcommandBody define_workflow_resume(CLI::App& app)
{
    const auto o = std::make_shared<WorkflowResumeCommandOptions>();
    app.footer(resume_examples);
    add_run_id(app, "run", o->run,
               "The run's id, or its beginning or end (default: the newest unfinished run)");
    add_workflow_flags(app, *o);
    app.add_option("--from", o->from,
                   "Run STEP and the steps that depend on it again; may be repeated")
        ->type_name("STEP")
        ->allow_extra_args(false);
    app.add_flag("--from-failed", o->from_failed,
                 "Run failed steps and the steps that depend on them again");
    app.add_flag("--accept-changed", o->accept_changed,
                 "Accept a workflow file that has changed since the run started");
    app.add_flag("--allow-outside", o->allow_outside, "Accept a workflow file outside the project");
    return {[o] { return resume_workflow(*o); }};
}

}  // namespace

extern const Subcommand workflow_resume_subcommand{"workflow resume", "Resume an unfinished run",
                                                   define_workflow_resume};

}  // namespace autoexec::cli
