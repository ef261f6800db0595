#include "cli/workflow/workflow_verbs.hpp"

#include "cli/flags.hpp"

#include <CLI/CLI.hpp>

namespace autoexec::cli {
namespace {

constexpr char workflow_run_examples[] = R"(
Examples:
  autoexec workflow run release.yaml --param version=1.4.0
  autoexec workflow run feature.yaml -p "Sign in with a passkey" --agent claude -j 4
  autoexec workflow run feature.yaml --dry-run
  autoexec workflow run feature.yaml --merge-into develop

In a git repository, each step runs in its own worktree, and all work is merged into the branch
workflow/RUN. The workflow file, -w and --in-place can change this.

Agents run the steps with --auto, people carry them out with --manual. The default is
`auto_execution` of the file's metadata, then the setting `enabled`.

Exit codes: 0 completed, 1 a step failed, 2 usage error, 3 invalid workflow or project file, or a
step without an agent, 4 internal or system error, 130 cancelled.
)";

constexpr char lenient_help[] = "Warn about unknown keys in the workflow instead of rejecting it";

constexpr char resume_examples[] = R"(
Completed steps do not run again. An interrupted step continues if its agent is still running it;
otherwise it runs again if that is safe.

Exit codes: as for autoexec workflow run; 2 also if there is no such run.
)";

CLI::Option* add_run(CLI::App& app, const char* name, std::string& run, const char* help)
{
    return app.add_option(name, run, help)->type_name("RUN");
}

void add_play(CLI::App& app, WorkflowPlayOptions& o)
{
    add_common(app, o.common);
    app.add_option("--param", o.params, "Set a parameter of the workflow; may be repeated")
        ->type_name("NAME=VALUE")
        ->allow_extra_args(false);
    app.add_option("-p,--prompt", o.prompt, "The task: short for --param prompt=TEXT")
        ->type_name("TEXT");
    app.add_option("--agent", o.engine.agent,
                   "Run steps whose agent is not in the agents file with this one")
        ->type_name("NAME");
    add_engine(app, o.engine);
    add_duration(app, "--timeout", o.timeout,
                 "Time limit for each attempt of steps without their own (default 1h)");
    add_count(
        app, "--retry", max_retries, [&o](std::size_t n) { o.retry = static_cast<int>(n); },
        "Retry each step at most N times, overriding the workflow");
    auto* const fast =
        app.add_flag("--fail-fast", o.fail_fast, "Cancel all steps at the first failure");
    app.add_flag_callback(
           "--keep-going", [&o] { o.fail_fast = false; },
           "After a failure, run the steps that do not depend on it (default)")
        ->excludes(fast);
    app.add_flag("--lenient", o.lenient, lenient_help);
    auto* const automatic = app.add_flag_callback(
        "--auto", [&o] { o.automatic = true; }, "Let agents run the steps");
    app.add_flag_callback(
           "--manual", [&o] { o.automatic = false; },
           "Let people carry out the steps and report them with autoexec workflow done")
        ->excludes(automatic);
}

}  // namespace

WorkflowVerbs::WorkflowVerbs(CLI::App& app)
    : run_verb_(*app.add_subcommand("run", "Run a workflow")),
      resume_verb_(*app.add_subcommand("resume", "Resume an unfinished run")),
      validate_verb_(
          *app.add_subcommand("validate", "Check workflow files and report every problem")),
      graph_verb_(*app.add_subcommand("graph", "Show the dependencies between steps")),
      list_verb_(*app.add_subcommand("list", "List runs, newest first")),
      status_verb_(*app.add_subcommand("status", "Show a run's status, step by step")),
      cancel_verb_(*app.add_subcommand("cancel", "Cancel a run")),
      done_verb_(*app.add_subcommand("done", "Mark a manual step as done")),
      fail_verb_(*app.add_subcommand("fail", "Mark a manual step as failed"))
{
    app.require_subcommand(1);
    define_run();
    define_resume();
    define_files();
    define_runs();
    define_marks();
}

void WorkflowVerbs::define_run()
{
    auto& app = run_verb_;
    auto& o = run_;
    app.footer(workflow_run_examples);
    app.add_option("file", o.path, "The workflow file")->type_name("FILE")->required();
    add_play(app, o);
    auto* const worktree =
        app.add_option("-w,--worktree", o.worktree, "Run steps without their own worktree in DIR")
            ->type_name("DIR");
    app.add_flag("--in-place", o.in_place,
                 "Run steps without their own worktree in the worktree of the current folder")
        ->excludes(worktree);
    app.add_option("--base", o.base, "Start the steps from this commit (default HEAD)")
        ->type_name("REF");
    app.add_option("--merge-into", o.merge_into, "Merge the completed work into BRANCH")
        ->type_name("BRANCH");
    app.add_flag("--dry-run", o.dry_run, "Show the plan without running it");
    app.add_flag("--strict", o.strict, "Treat warnings about the workflow as errors")
        ->excludes("--lenient");
}

void WorkflowVerbs::define_resume()
{
    auto& app = resume_verb_;
    auto& o = resume_;
    app.footer(resume_examples);
    add_run(app, "run", o.run,
            "The run's id, or its beginning or end (default: the newest unfinished run)");
    add_play(app, o);
    app.add_option("--from", o.from,
                   "Run STEP and the steps that depend on it again; may be repeated")
        ->type_name("STEP")
        ->allow_extra_args(false);
    app.add_flag("--from-failed", o.from_failed,
                 "Run failed steps and the steps that depend on them again");
    app.add_flag("--accept-changed", o.accept_changed,
                 "Accept a workflow file that has changed since the run started");
    app.add_flag("--allow-outside", o.allow_outside, "Accept a workflow file outside the project");
}

void WorkflowVerbs::define_files()
{
    add_common(validate_verb_, validate_.common);
    validate_verb_.add_option("files", validate_.paths, "Workflow files")
        ->type_name("FILE")
        ->required();
    auto* const strict =
        validate_verb_.add_flag("--strict", validate_.strict, "Treat warnings as errors");
    validate_verb_.add_flag("--lenient", validate_.lenient, lenient_help)->excludes(strict);
    validate_verb_.footer("Exit codes: 0 all files are valid, 3 a file is invalid.");

    graph_verb_.add_option("file", graph_.path, "The workflow file")->type_name("FILE")->required();
    graph_verb_.add_flag("--lenient", graph_.lenient, lenient_help);
    auto* const dot = graph_verb_.add_flag("--dot", graph_.dot, "Print the graph for Graphviz");
    graph_verb_.add_flag("--mermaid", graph_.mermaid, "Print the graph for Mermaid, in Markdown")
        ->excludes(dot);
    graph_verb_.footer("Example:\n  autoexec workflow graph release.yaml --dot | dot -Tsvg >g.svg");
}

void WorkflowVerbs::define_runs()
{
    add_common(list_verb_, list_.common);
    add_limit(list_verb_, list_.limit);
    add_common(status_verb_, status_.common);
    add_run(status_verb_, "run", status_.run,
            "The run's id, or its beginning or end (default: the newest run)");
    add_common(cancel_verb_, cancel_.common);
    add_run(cancel_verb_, "run", cancel_.run,
            "The run's id, or its beginning or end (default: the newest active run)");
    cancel_verb_.add_flag("--no-wait", cancel_.no_wait, "Do not wait until the run has ended");
}

void WorkflowVerbs::define_marks()
{
    fail_.done = false;
    for (const auto& [verb, options] : {std::pair(&done_verb_, &done_), {&fail_verb_, &fail_}}) {
        add_common(*verb, options->common);
        verb->add_option("step", options->step, "The step's id")->type_name("STEP")->required();
        add_run(*verb, "--run", options->run,
                "The step's run (default: the run in which it is waiting)");
    }
    fail_verb_.add_option("--reason", fail_.reason, "Record why the step failed")
        ->type_name("TEXT");
}

int WorkflowVerbs::go() const
{
    if (run_verb_.parsed()) return workflow_run(run_);
    if (resume_verb_.parsed()) return workflow_resume(resume_);
    if (validate_verb_.parsed()) return workflow_validate(validate_);
    if (graph_verb_.parsed()) return workflow_graph(graph_);
    if (list_verb_.parsed()) return workflow_list(list_);
    if (status_verb_.parsed()) return workflow_status(status_);
    if (cancel_verb_.parsed()) return workflow_cancel(cancel_);
    return workflow_mark(done_verb_.parsed() ? done_ : fail_);
}

}  // namespace autoexec::cli
