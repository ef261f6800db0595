#include "cli/cli.hpp"

#include "autoexec/config.hpp"
#include "autoexec/diagnostic.hpp"
#include "cli/session/configuration.hpp"
#include "cli/session/output.hpp"
#include "cli/session/project.hpp"
#include "cli/workflow/dry_run.hpp"
#include "cli/workflow/live_workflow.hpp"
#include "cli/workflow/start.hpp"
#include "cli/workflow/workflow_file.hpp"
#include "cli/worktree/collector.hpp"
#include "git_files/git_dir.hpp"
#include "text/text.hpp"

#include <cstdio>
#include <filesystem>

namespace autoexec::cli {
namespace {

namespace fs = std::filesystem;

// As git means it where the call is made: another worktree has a HEAD of its own.
std::string base_of(const WorkflowRunVerbOptions& o, const fs::path& root)
{
    const std::string base = o.base.empty() ? "HEAD" : o.base;
    const auto here = current_worktree(o.common, root);
    const auto git_dir = git_files::git_dir_of(here);
    const bool is_relative =
        base == "HEAD" || base.starts_with("HEAD~") || base.starts_with("HEAD^");
    if (here == root || !git_dir || !is_relative) return base;
    return "worktrees/" + git_dir->filename().string() + "/" + base;
}

bool is_bare(const fs::path& folder)
{
    return fs::is_regular_file(folder / "HEAD") && fs::is_directory(folder / "objects") &&
           fs::is_directory(folder / "refs");
}

// The call says it, or there is no choice; else the workflow.
void choose_place(const WorkflowRunVerbOptions& o, const fs::path& root, const Workflow& workflow,
                  WorkflowRunOptions& run)
{
    const bool asked = o.in_place || !o.worktree.empty();
    run.worktrees = asked ? WorktreeMode::in_place : workflow.worktrees;
    if (run.worktrees != WorktreeMode::in_place && !git_files::git_dir_of(root)) {
        run.worktrees = WorktreeMode::in_place;
        if (!o.engine.quiet)
            tell(stderr, "{} is not a git repository; all steps work in place.\n",
                 text::printable(root.string()));
    }
    if (run.worktrees == WorktreeMode::in_place)
        run.worktree = o.worktree.empty() ? current_worktree(o.common, root)
                                          : fs::absolute(o.worktree).lexically_normal();
    run.base = base_of(o, root);
    run.merge_into = o.merge_into;
}

// What a parameter means depends on what the workflow declares, and so does where steps work.
std::optional<Workflow> read_workflow(const WorkflowRunVerbOptions& o, const fs::path& root,
                                      const ParamWords& params, WorkflowRunOptions& run)
{
    WorkflowReadOptions check;
    check.lenient = o.lenient;
    auto file = read_workflow_file(o.path, o.strict, check);
    if (file.workflow) {
        choose_place(o, root, *file.workflow, run);
        run.params = typed_params(params, file.workflow->params);
        check.worktree = run.worktree;
        check.params = run.params;
        file = read_workflow_file(o.path, o.strict, check);
    }
    if (!file.workflow || !o.engine.quiet) print_problems(file.diagnostics);
    if (file.workflow) {
        set_timeout(o, *file.workflow);
        file.workflow->path = fs::absolute(o.path).lexically_normal().string();
    }
    return std::move(file.workflow);
}

// There is no branch for a run that works in place.
bool makes_sense(const WorkflowRunVerbOptions& o, const WorkflowRunOptions& run)
{
    if (run.worktrees != WorktreeMode::in_place || (o.base.empty() && o.merge_into.empty()))
        return true;
    tell(stderr, "autoexec workflow run: {} requires steps with their own worktrees\n",
         o.base.empty() ? "--merge-into" : "--base");
    return false;
}

}  // namespace

int workflow_run(const WorkflowRunVerbOptions& options)
{
    const auto params = params_of(options, "run");
    if (!params) return exit_usage;
    const auto root = project_root(options.common);
    if (!options.worktree.empty() && !fs::is_directory(options.worktree)) {
        tell(stderr, "autoexec workflow run: the worktree '{}' is not a folder\n",
             text::printable(options.worktree));
        return exit_engine;
    }
    if (is_bare(root)) {
        tell(stderr, "autoexec workflow run: {} is a bare repository: it has no files to work on\n",
             text::printable(root.string()));
        return exit_invalid;
    }
    auto run = run_options(options);
    auto workflow = read_workflow(options, root, *params, run);
    if (!workflow) return exit_invalid;
    if (!makes_sense(options, run)) return exit_usage;

    AutoExecutionConfigManager manager({}, root);
    const auto agents = take_configuration(options, manager, *workflow, run);
    if (!agents) return exit_invalid;
    if (options.dry_run) return dry_run(options, root, *agents, *workflow, run);
    announce(options, manager, *agents, *workflow);
    const int code =
        LiveWorkflow(options, manager, *agents, *std::move(workflow), std::move(run)).go();
    if (code == exit_completed) collect_after_run(manager, options.engine.quiet);
    return code;
}

}  // namespace autoexec::cli
