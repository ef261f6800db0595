#include "runner/cli.hpp"

#include "protocol/text.hpp"
#include "runner/cli_options.hpp"
#include "runner/cli_workflow.hpp"
#include "runner/cli_worktree.hpp"
#include "runner/tell.hpp"

#include <fmt/format.h>
#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/spdlog.h>
#include <CLI/CLI.hpp>

#include <sys/prctl.h>

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <new>
#include <system_error>

namespace {

using namespace autoexec::runner;

constexpr char run_examples[] = R"(
Examples:
  autoexec run "make test"                                here
  autoexec run "make test" --worktree ../a --worktree ../b
  autoexec run "fix issue 12" --new-worktree issue-12 --agent claude
  autoexec run --new-worktree a@v1.0 --new-worktree b -- make -j4 all
  autoexec run --list commands.jsonl -j 4 --json > results.jsonl

A line of a list, all but the command optional:
  {"command": "make", "argv": ["make"], "worktree": "DIR", "new_worktree": "NAME@REF",
   "timeout": "90s", "expect": ["FILE"], "retry": 2, "idempotent": true, "agent": "NAME",
   "env": ["VARIABLE"], "workflow_id": "w", "step_id": "s"}

Exit codes: 0 all completed, 1 a command failed or timed out, 2 wrong use, 3 a file of the
project is invalid, 4 the engine could not do its job, 130 cancelled.
)";

constexpr std::size_t max_agent_jobs = 10'000;  // as the setting agent.max_parallel

void define_run(CLI::App& app, RunOptions& o)
{
    app.footer(run_examples);
    add_common(app, o.common);
    app.add_option("command,--command", o.command,
                   "What the agent is to run; as --command=TEXT it may begin with -")
        ->type_name("COMMAND");
    app.add_option("--list", o.list, "Commands from a JSONL file, or - for stdin")
        ->type_name("FILE");
    app.add_option("-w,--worktree", o.worktrees, "An existing worktree; may be repeated")
        ->type_name("DIR")
        ->allow_extra_args(false);
    app.add_option("--new-worktree", o.new_worktrees,
                   "A new worktree, with branch workflow/NAME from REF; may be repeated")
        ->type_name("NAME[@REF]")
        ->allow_extra_args(false);
    add_engine(app, o.engine);
    add_duration(app, "--timeout", o.timeout, "For each attempt (default 1h)");
    app.add_option("--expect", o.expect, "A file the command must create or change, else it failed")
        ->type_name("FILE")
        ->allow_extra_args(false);
    add_count(
        app, "--retry", max_retries, [&o](std::size_t n) { o.retry = static_cast<int>(n); },
        "Try again at most N times (default 2)");
    app.add_flag("--idempotent", o.idempotent,
                 "Running it twice does no harm: retry after time-outs and plain failures, too");
    app.add_option("--agent", o.engine.agent, "Which agent of the agents file")->type_name("NAME");
    app.add_option("--env", o.env_refs, "A variable that the agent passes to the command")
        ->type_name("VARIABLE")
        ->allow_extra_args(false);
    app.add_option("--workflow-id", o.workflow_id, "For the records");
    app.add_option("--step-id", o.step_id, "For the records");
    app.add_option("--notify", o.notify,
                   "Run this at each result, with the result as JSON on stdin")
        ->type_name("PROGRAM");
    app.add_flag("--show-output", o.show_output, "Print the end of each command's output");
}

void define_history(CLI::App& app, HistoryOptions& o)
{
    add_common(app, o.common);
    app.add_option("--workflow-id", o.workflow_id, "Only of this workflow");
    app.add_option("--step-id", o.step_id, "Only of this step");
    app.add_option("--status", o.status, "Only with this end")
        ->check(CLI::IsMember({"completed", "failed", "timeout", "cancelled"}));
    add_limit(app, o.limit);
    app.add_flag("--summary", o.summary, "Only the totals");
}

void define_health(CLI::App& app, HealthVerbOptions& o)
{
    add_common(app, o.common);
    app.add_option("-w,--worktree", o.worktrees,
                   "Look at this worktree instead of all; may be repeated")
        ->type_name("DIR")
        ->allow_extra_args(false);
    app.add_flag("--deep", o.deep, "Ask every agent's program for its version, scripts, too");
    app.footer(
        "It only looks: nothing is made, changed or left behind.\n"
        "\nExit codes: 0 healthy or degraded, 5 unhealthy.");
}

/// What `autoexec agents` can do.
struct AgentsVerbs {
    explicit AgentsVerbs(CLI::App& app)
        : validate_verb(*app.add_subcommand("validate", "Say all that is wrong with it")),
          list_verb(*app.add_subcommand("list", "Whose programs it starts, and where they are")),
          init_verb(*app.add_subcommand("init", "Write one"))
    {
        app.require_subcommand(1);
        add_common(validate_verb, validate.common);
        validate_verb.add_option("path", validate.path, "Another file than the project's")
            ->type_name("FILE");
        validate_verb.footer("Exit codes: 0 valid, 3 invalid or not there.");
        add_common(list_verb, list.common);
        define_init();
    }

    [[nodiscard]] int go() const
    {
        if (validate_verb.parsed()) return agents_validate(validate);
        if (list_verb.parsed()) return agents_list(list);
        return agents_init(init);
    }

private:
    void define_init()
    {
        add_project(init_verb, init.common);
        init_verb
            .add_option("--preset", init.presets,
                        "An agent for claude, codex, cursor, gemini, opencode, aider or shell; may "
                        "be repeated (default shell)")
            ->type_name("NAME")
            ->allow_extra_args(false);
        init_verb.add_option("--template", init.from_template, "Copy this file, if it is valid")
            ->type_name("FILE");
        init_verb.add_flag("--minimal", init.minimal, "Without comments");
        init_verb.add_flag("--overwrite", init.overwrite, "Replace the file that is there");
        init_verb.add_flag("--stdout", init.to_stdout, "Only show it");
        init_verb.footer("Example:\n  autoexec agents init --preset claude --preset shell");
    }

    CLI::App& validate_verb;
    CLI::App& list_verb;
    CLI::App& init_verb;
    AgentsValidateOptions validate;
    AgentsListOptions list;
    AgentsInitOptions init;
};

/// What `autoexec config` can do.
struct ConfigVerbs {
    explicit ConfigVerbs(CLI::App& app)
        : show_verb(*app.add_subcommand("show", "What holds")),
          validate_verb(*app.add_subcommand("validate", "Say all that is wrong")),
          schema_verb(*app.add_subcommand("schema", "A JSON Schema for editors")),
          reference_verb(*app.add_subcommand("reference", "All settings, as a page of Markdown")),
          migrate_verb(*app.add_subcommand("migrate", "Bring an older file up to date"))
    {
        app.require_subcommand(1);
        add_common(show_verb, show.common);
        show_verb.add_flag("--origin", show.origin, "And where each value comes from");
        add_common(validate_verb, validate.common);
        validate_verb.add_option("path", validate.path, "Another file than the project's")
            ->type_name("FILE");
        validate_verb.add_flag("--strict", validate.strict, "Take warnings for errors");
        validate_verb.footer("Exit codes: 0 valid, 3 invalid.");
        add_project(migrate_verb, migrate.common);
        migrate_verb.add_flag("--dry-run", migrate.dry_run, "Only show the difference");
        migrate_verb.add_flag("--yes", migrate.yes, "Write without asking");
    }

    [[nodiscard]] int go() const
    {
        if (show_verb.parsed()) return config_show(show);
        if (validate_verb.parsed()) return config_validate(validate);
        if (schema_verb.parsed()) return config_schema();
        if (reference_verb.parsed()) return config_reference();
        return config_migrate(migrate);
    }

private:
    CLI::App& show_verb;
    CLI::App& validate_verb;
    CLI::App& schema_verb;
    CLI::App& reference_verb;
    CLI::App& migrate_verb;
    ConfigShowOptions show;
    ConfigValidateOptions validate;
    ConfigMigrateOptions migrate;
};

void define_debug(CLI::App& app, DebugOptions& o)
{
    add_common(app, o.common);
    app.add_option_function<std::string>(
           "what",
           [&o](const std::string& word) {
               if (word != "status") o.change = word == "on";
           },
           "on, off or status")
        ->check(CLI::IsMember({"on", "off", "status"}));
    app.footer("It lasts: the setting `debug` in the project's configuration is written.");
}

// What follows `--` is the program, whatever it looks like.
std::vector<std::string> take_program(int& argc, char** argv)
{
    for (int i = 1; i < argc; ++i) {
        if (std::string_view(argv[i]) != "--") continue;
        std::vector<std::string> program(argv + i + 1, argv + argc);
        argc = i;
        return program;
    }
    return {};
}

// What is run, stored and shown must be exact, and text that is not UTF-8 would be repaired.
bool are_exact(int argc, char** argv)
{
    for (int i = 1; i < argc; ++i) {
        if (autoexec::protocol::valid_utf8(argv[i]) == argv[i]) continue;
        tell(stderr, "autoexec: argument {} ('{}') is not UTF-8\n", i,
             autoexec::protocol::printable(autoexec::protocol::valid_utf8(argv[i])));
        return false;
    }
    return true;
}

int dispatch(int argc, char** argv)
{
    if (!are_exact(argc, argv)) return exit_usage;
    CLI::App app("Hands commands to coding agents, each in a git worktree of its own.", "autoexec");
    app.set_version_flag("--version", std::string("autoexec ") + AUTOEXEC_VERSION);
    app.require_subcommand(1);
    app.footer("autoexec VERB --help tells more, with examples.");

    RunOptions run_options;
    run_options.program = take_program(argc, argv);
    auto& run_verb = *app.add_subcommand("run", "Run a command in one or many worktrees");
    define_run(run_verb, run_options);

    AgentVerbOptions agent_options;
    auto& agent_verb =
        *app.add_subcommand("agent", "Look for commands and run them, until it is stopped");
    add_common(agent_verb, agent_options.common);
    agent_verb
        .add_option("-w,--worktree", agent_options.worktrees,
                    "Look here, too, besides the repository's worktrees; may be repeated")
        ->type_name("DIR")
        ->allow_extra_args(false);
    add_count(
        agent_verb, "-j,--jobs", max_agent_jobs,
        [&agent_options](std::size_t n) { agent_options.jobs = static_cast<int>(n); },
        "Commands at once; 0: as the agents file says");
    agent_verb.add_flag("-v,--verbose", agent_options.verbose, "Say what is left alone, and why");
    agent_verb.footer(
        "It reads .cursor/background-agents.yaml of the project. Ctrl-C stops it and what it "
        "runs.\n"
        "\nExample:\n  autoexec agent --project ~/src/app");

    auto& agents_verb = *app.add_subcommand("agents", "The file that says who runs what");
    AgentsVerbs agents_verbs(agents_verb);

    StatusOptions status_options;
    auto& status_verb = *app.add_subcommand("status", "What is in flight");
    add_common(status_verb, status_options.common);

    HistoryOptions history_options;
    auto& history_verb = *app.add_subcommand("history", "What has ended, newest first");
    define_history(history_verb, history_options);

    CancelOptions cancel_options;
    auto& cancel_verb = *app.add_subcommand("cancel", "Cancel an execution that is in flight");
    add_common(cancel_verb, cancel_options.common);
    cancel_verb
        .add_option("execution", cancel_options.execution,
                    "Its id, or the end of it: autoexec status")
        ->required();
    cancel_verb.add_flag("--no-wait", cancel_options.no_wait, "Only ask");

    LogsOptions logs_options;
    auto& logs_verb = *app.add_subcommand("logs", "What a command has printed");
    add_common(logs_verb, logs_options.common);
    logs_verb
        .add_option("execution", logs_options.execution,
                    "Its id, or the end of it: autoexec status, autoexec history")
        ->required();
    logs_verb.add_flag("-f,--follow", logs_options.follow, "Go on until it has ended");
    logs_verb.add_flag("--raw", logs_options.raw,
                       "Pass control characters and escape sequences to the terminal");

    HealthVerbOptions health_options;
    auto& health_verb = *app.add_subcommand("health", "Whether commands would run here");
    define_health(health_verb, health_options);

    auto& workflow_verb = *app.add_subcommand("workflow", "Steps that build on one another");
    WorkflowVerbs workflow(workflow_verb);

    auto& worktree_verb = *app.add_subcommand("worktree", "Where steps of workflows have worked");
    WorktreeVerbs worktree(worktree_verb);

    auto& config_verb = *app.add_subcommand("config", "What is configured, and where");
    const ConfigVerbs config(config_verb);

    DebugOptions debug_options;
    auto& debug_verb = *app.add_subcommand("debug", "Write a log with all that happens, or not");
    define_debug(debug_verb, debug_options);

    try {
        app.parse(argc, argv);
        if (!run_options.program.empty() && !run_verb.parsed())
            throw CLI::ExtrasError("--", run_options.program);
    } catch (const CLI::ParseError& e) {
        return app.exit(e) == 0 ? exit_completed : exit_usage;
    }
    if (run_verb.parsed()) return run(run_options);
    if (agent_verb.parsed()) return agent(agent_options);
    if (agents_verb.parsed()) return agents_verbs.go();
    if (config_verb.parsed()) return config.go();
    if (workflow_verb.parsed()) return workflow.go();
    if (worktree_verb.parsed()) return worktree.go();
    if (debug_verb.parsed()) return debug(debug_options);
    if (status_verb.parsed()) return status(status_options);
    if (history_verb.parsed()) return history(history_options);
    if (cancel_verb.parsed()) return cancel(cancel_options);
    if (health_verb.parsed()) return health(health_options);
    return logs(logs_options);
}

// What was to be read by somebody and could not be written makes success a failure.
int judge_output(int code)
{
    if (std::ferror(stdout) == 0 && (std::fflush(stdout) == 0 || errno == EPIPE)) return code;
    tell(stderr, "autoexec: not all could be written to standard output\n");
    return code == exit_completed ? exit_engine : code;
}

}  // namespace

int main(int argc, char** argv)
{
#ifndef __SANITIZE_ADDRESS__  // whose leak check traces the process at its end
    // The programs that agents run have our user id: without this they could read our memory,
    // environment and descriptors, or trace us. Core dumps are off, too.
    ::prctl(PR_SET_DUMPABLE, 0);
#endif
    std::signal(SIGPIPE, SIG_IGN);  // `autoexec history | head` is no reason to die in a write
    const char* const plain = std::getenv("NO_COLOR");  // no-color.org
    spdlog::set_default_logger(spdlog::stderr_color_st(
        "autoexec", plain != nullptr && *plain != '\0' ? spdlog::color_mode::never
                                                       : spdlog::color_mode::automatic));
    spdlog::set_pattern("%H:%M:%S %^%l%$ %v");
    try {
        return judge_output(dispatch(argc, argv));
    } catch (const std::system_error& e) {
        if (e.code() == std::errc::broken_pipe) return exit_completed;  // nobody reads any more
        tell(stderr, "autoexec: {}\n", e.what());
        return exit_engine;
    } catch (const std::bad_alloc&) {
        std::fputs(
            "autoexec: out of memory; run fewer commands at once (-j), or raise the limit "
            "(ulimit -v)\n",
            stderr);
        return exit_engine;
    } catch (const std::exception& e) {
        tell(stderr, "autoexec: {}\n", e.what());
        return exit_engine;
    }
}
