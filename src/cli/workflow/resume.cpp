#include "cli/session/configuration.hpp"
#include "cli/subcommand.hpp"
#include "cli/workflow/detached_run.hpp"
#include "cli/workflow/live_workflow.hpp"
#include "cli/workflow/runs.hpp"
#include "cli/workflow/setup.hpp"

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
    bool detach = false;
};

/// Finds the run to resume, by default only one whose workflow file is inside.
class RunFinder {
public:
    RunFinder(const WorkflowResumeCommandOptions& options, fs::path root)
        : options_(options), root_(std::move(root)), worktree_(current_worktree(options, root_))
    {}

    /// Throws `Failure` if there is no run to resume.
    [[nodiscard]] RunRecord find() const
    {
        if (options_.run.empty()) return find_newest();
        auto run = find_run(root_, options_.run);
        std::string ignored;
        if (!run.parent_run.empty() && workflow::read_run(root_, run.parent_run, ignored))
            fail(exit_usage,
                 "{} is the child run of the step '{}' of {}, which resumes it: autoexec workflow "
                 "resume {}",
                 run.run_id, run.parent_step, run.parent_run, run.parent_run);
        if (!may_resume(run))
            fail(exit_invalid,
                 "{} names the workflow file {}, which is outside the project; check that file, "
                 "then add --allow-outside",
                 run.run_id, run.path);
        return run;
    }

private:
    [[nodiscard]] RunRecord find_newest() const
    {
        auto run = newest_run(root_, [this](const RunRecord& r) {
            const bool is_child = !r.parent_run.empty();
            if (r.alive || is_child || r.status == WorkflowStatus::completed) return false;
            if (!may_resume(r)) report_skipped(r);
            return may_resume(r);
        });
        if (!run) fail(exit_usage, "no run to resume; see autoexec workflow list");
        return *std::move(run);
    }

    [[nodiscard]] bool may_resume(const RunRecord& run) const
    {
        return options_.allow_outside || is_file_inside(run, root_, worktree_);
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

int resume_workflow(const WorkflowResumeCommandOptions& asked)
{
    auto options = asked;
    const auto params = parse_params(options);
    const auto root = project_root(options);
    const auto record = RunFinder(options, root).find();
    if (record.path.empty())
        fail(exit_invalid, "the journal of {} names no workflow file", record.run_id);
    // As in the original run, unless the call overrides it.
    if (!options.automatic) options.automatic = record.automatic;
    WorkflowReadOptions read;
    read.lenient = options.lenient;
    read.project_root = folder_of_used(record.path, root);
    auto file = read_workflow_file(record.path, false, read);
    require_usable(file, options.session.quiet);
    auto run = make_run_options(options);
    run.plan = file.plan;
    run.params = typed_params(params, file.workflow->params);

    AutoExecutionConfigManager manager({}, root);
    const auto agents = apply_configuration(options, manager, *file.workflow, run);
    if (options.detach) return detach_run(root, record.run_id, options.json);
    Resumption resumption{
        record.run_id, {options.from, options.from_failed, options.accept_changed}, record.steps};
    return run_live(options, manager, agents, *std::move(file.workflow), std::move(run),
                    std::move(resumption));
}

void define_workflow_resume(CLI::App& app, WorkflowResumeCommandOptions& o)
{
    app.footer(resume_examples);
    add_run_id(app, "run", o.run,
               "The run's id, or its beginning or end (default: the newest unfinished run)");
    add_workflow_flags(app, o);
    add_list(app, "--from", o.from, "STEP", "Run STEP and the steps that depend on it again");
    app.add_flag("--from-failed", o.from_failed,
                 "Run failed steps and the steps that depend on them again");
    app.add_flag("--accept-changed", o.accept_changed,
                 "Accept a workflow file that has changed since the run started");
    app.add_flag("--detach", o.detach,
                 "Resume it in a process without a terminal, print the run's id, and return");
    app.add_flag("--allow-outside", o.allow_outside, "Accept a workflow file outside the project");
}

}  // namespace

extern const Subcommand workflow_resume_subcommand = subcommand(
    "workflow resume", "Resume an unfinished run", define_workflow_resume, resume_workflow);

}  // namespace autoexec::cli
