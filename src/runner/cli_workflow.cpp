#include "runner/cli_workflow.hpp"

#include "runner/cli_options.hpp"

#include <CLI/CLI.hpp>

namespace autoexec::runner {
namespace {

constexpr char workflow_run_examples[] = R"(
Examples:
  autoexec workflow run release.yaml --param version=1.4.0
  autoexec workflow run feature.yaml -p "Sign in with a passkey" --agent claude -j 4
  autoexec workflow run feature.yaml --dry-run
  autoexec workflow run feature.yaml --merge-into develop

In a git repository each step works in a worktree of its own, and the work of all comes together
on the branch workflow/RUN, unless the file, -w or --in-place says otherwise.

Whether agents carry out the steps, or people, is said by --auto or --manual, else by
`auto_execution` in the file's metadata, else by the setting `enabled`.

Exit codes: 0 completed, 1 a step failed, 2 wrong use, 3 the workflow or another file of the
project is invalid, or a step has no agent, 4 the engine could not do its job, 130 cancelled.
)";

constexpr char lenient_help[] = "Warn of unknown keys in the workflow instead of refusing it";

constexpr char resume_examples[] = R"(
Steps that have completed don't run again. What was in flight goes on if its agent still works on
it; else it is run again where that does no harm.

Exit codes: as of autoexec workflow run; 2 also if there is no such run.
)";

CLI::Option* add_run(CLI::App& app, const char* name, std::string& run, const char* help)
{
    return app.add_option(name, run, help)->type_name("RUN");
}

void add_play(CLI::App& app, WorkflowPlayOptions& o)
{
    add_common(app, o.common);
    app.add_option("--param", o.params, "A parameter of the workflow; may be repeated")
        ->type_name("NAME=VALUE")
        ->allow_extra_args(false);
    app.add_option("-p,--prompt", o.prompt, "What is to be made: as --param prompt=TEXT")
        ->type_name("TEXT");
    app.add_option("--agent", o.engine.agent,
                   "Who takes the steps whose agent is not in the agents file")
        ->type_name("NAME");
    add_engine(app, o.engine);
    add_duration(app, "--timeout", o.timeout,
                 "For each attempt of steps that don't say (default 1h)");
    add_count(
        app, "--retry", max_retries, [&o](std::size_t n) { o.retry = static_cast<int>(n); },
        "Try each step again at most N times, whatever the workflow says");
    auto* const fast = app.add_flag("--fail-fast", o.fail_fast,
                                    "The first failure cancels what runs and ends the workflow");
    app.add_flag_callback(
           "--keep-going", [&o] { o.fail_fast = false; },
           "After a failure, run what does not build on it (the default)")
        ->excludes(fast);
    app.add_flag("--lenient", o.lenient, lenient_help);
    auto* const automatic = app.add_flag_callback(
        "--auto", [&o] { o.automatic = true; }, "Agents carry out the steps");
    app.add_flag_callback(
           "--manual", [&o] { o.automatic = false; },
           "People carry out the steps, and say so: autoexec workflow done")
        ->excludes(automatic);
}

}  // namespace

WorkflowVerbs::WorkflowVerbs(CLI::App& app)
    : run_verb_(*app.add_subcommand("run", "Run one to its end")),
      resume_verb_(*app.add_subcommand("resume", "Go on with a run that has not completed")),
      validate_verb_(*app.add_subcommand("validate", "Say all that is wrong with a file")),
      graph_verb_(*app.add_subcommand("graph", "Show which step waits for which")),
      list_verb_(*app.add_subcommand("list", "Runs, newest first")),
      status_verb_(*app.add_subcommand("status", "How a run stands, step by step")),
      cancel_verb_(*app.add_subcommand("cancel", "Cancel a run")),
      done_verb_(*app.add_subcommand("done", "Say that a manual step is done")),
      fail_verb_(*app.add_subcommand("fail", "Say that a manual step has failed"))
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
    app.add_option("file", o.path, "The workflow")->type_name("FILE")->required();
    add_play(app, o);
    auto* const worktree =
        app.add_option("-w,--worktree", o.worktree, "All steps that don't say work in this folder")
            ->type_name("DIR");
    app.add_flag("--in-place", o.in_place,
                 "All steps that don't say work in the worktree of the current folder")
        ->excludes(worktree);
    app.add_option("--base", o.base, "The commit that steps begin from (default HEAD)")
        ->type_name("REF");
    app.add_option("--merge-into", o.merge_into,
                   "A branch that gets the work once it has completed")
        ->type_name("BRANCH");
    app.add_flag("--dry-run", o.dry_run, "Only show what would be done");
    app.add_flag("--strict", o.strict, "Take warnings about the workflow for errors")
        ->excludes("--lenient");
}

void WorkflowVerbs::define_resume()
{
    auto& app = resume_verb_;
    auto& o = resume_;
    app.footer(resume_examples);
    add_run(app, "run", o.run,
            "Its id, or the beginning or end of it; else the newest that has not completed");
    add_play(app, o);
    app.add_option("--from", o.from, "Run this step again, and what builds on it; may be repeated")
        ->type_name("STEP")
        ->allow_extra_args(false);
    app.add_flag("--from-failed", o.from_failed,
                 "Run again what has failed, and what builds on it");
    app.add_flag("--accept-changed", o.accept_changed,
                 "The workflow's file may be another than it was");
    app.add_flag("--allow-outside", o.allow_outside,
                 "The run's workflow file may be outside the project");
}

void WorkflowVerbs::define_files()
{
    add_common(validate_verb_, validate_.common);
    validate_verb_.add_option("files", validate_.paths, "Workflows")->type_name("FILE")->required();
    auto* const strict =
        validate_verb_.add_flag("--strict", validate_.strict, "Take warnings for errors");
    validate_verb_.add_flag("--lenient", validate_.lenient, lenient_help)->excludes(strict);
    validate_verb_.footer("Exit codes: 0 all are valid, 3 one is not.");

    graph_verb_.add_option("file", graph_.path, "The workflow")->type_name("FILE")->required();
    graph_verb_.add_flag("--lenient", graph_.lenient, lenient_help);
    auto* const dot = graph_verb_.add_flag("--dot", graph_.dot, "For Graphviz");
    graph_verb_.add_flag("--mermaid", graph_.mermaid, "For Mermaid, in Markdown")->excludes(dot);
    graph_verb_.footer("Example:\n  autoexec workflow graph release.yaml --dot | dot -Tsvg >g.svg");
}

void WorkflowVerbs::define_runs()
{
    add_common(list_verb_, list_.common);
    add_limit(list_verb_, list_.limit);
    add_common(status_verb_, status_.common);
    add_run(status_verb_, "run", status_.run,
            "Its id, or the beginning or end of it; else the newest");
    add_common(cancel_verb_, cancel_.common);
    add_run(cancel_verb_, "run", cancel_.run,
            "Its id, or the beginning or end of it; else the newest that is running");
    cancel_verb_.add_flag("--no-wait", cancel_.no_wait, "Only ask");
}

void WorkflowVerbs::define_marks()
{
    fail_.done = false;
    for (const auto& [verb, options] : {std::pair(&done_verb_, &done_), {&fail_verb_, &fail_}}) {
        add_common(*verb, options->common);
        verb->add_option("step", options->step, "Its id")->type_name("STEP")->required();
        add_run(*verb, "--run", options->run, "Of which run; else the one in which it waits");
    }
    fail_verb_.add_option("--reason", fail_.reason, "Why, for the records")->type_name("TEXT");
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

}  // namespace autoexec::runner
