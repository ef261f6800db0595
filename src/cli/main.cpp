#include "cli/cli.hpp"

#include "autoexec/version.hpp"
#include "cli/flags.hpp"
#include "cli/session/output.hpp"
#include "cli/workflow/workflow_verbs.hpp"
#include "cli/worktree/worktree_verbs.hpp"
#include "text/text.hpp"

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

using namespace autoexec::cli;

constexpr char run_examples[] = R"(
Examples:
  autoexec run "make test"                                # in the current folder
  autoexec run "make test" --worktree ../a --worktree ../b
  autoexec run "fix issue 12" --new-worktree issue-12 --agent claude
  autoexec run --new-worktree a@v1.0 --new-worktree b -- make -j4 all
  autoexec run --list commands.jsonl -j 4 --json > results.jsonl

Each line of a list is a JSON object; only the command is required:
  {"command": "make", "argv": ["make"], "worktree": "DIR", "new_worktree": "NAME@REF",
   "timeout": "90s", "expect": ["FILE"], "retry": 2, "idempotent": true, "agent": "NAME",
   "env": ["VARIABLE"], "workflow_id": "w", "step_id": "s"}

Exit codes: 0 all commands completed, 1 a command failed or timed out, 2 usage error, 3 invalid
project file, 4 internal or system error, 130 cancelled.
)";

constexpr std::size_t max_agent_jobs = 10'000;  // as the setting agent.max_parallel

void define_run(CLI::App& app, RunOptions& o)
{
    app.footer(run_examples);
    add_common(app, o.common);
    app.add_option("command,--command", o.command,
                   "The command for the agent; use --command=TEXT if it begins with '-'")
        ->type_name("COMMAND");
    app.add_option("--list", o.list, "Read commands from a JSON Lines file, or from stdin with '-'")
        ->type_name("FILE");
    app.add_option("-w,--worktree", o.worktrees, "Run in this existing worktree; may be repeated")
        ->type_name("DIR")
        ->allow_extra_args(false);
    app.add_option("--new-worktree", o.new_worktrees,
                   "Create a worktree with branch workflow/NAME at REF; may be repeated")
        ->type_name("NAME[@REF]")
        ->allow_extra_args(false);
    add_engine(app, o.engine);
    add_duration(app, "--timeout", o.timeout, "Time limit for each attempt (default 1h)");
    app.add_option("--expect", o.expect,
                   "Fail unless the command creates or changes FILE; may be repeated")
        ->type_name("FILE")
        ->allow_extra_args(false);
    add_count(
        app, "--retry", max_retries, [&o](std::size_t n) { o.retry = static_cast<int>(n); },
        "Retry at most N times (default 2)");
    app.add_flag("--idempotent", o.idempotent,
                 "The command is safe to run twice: also retry it after time-outs and failures");
    app.add_option("--agent", o.engine.agent, "Use this agent or role of the agents file")
        ->type_name("NAME");
    app.add_option("--env", o.env_refs,
                   "Pass this environment variable to the command; may be repeated")
        ->type_name("VARIABLE")
        ->allow_extra_args(false);
    app.add_option("--workflow-id", o.workflow_id, "Record this workflow id");
    app.add_option("--step-id", o.step_id, "Record this step id");
    app.add_option("--notify", o.notify,
                   "Run PROGRAM for each result, with the result as JSON on stdin")
        ->type_name("PROGRAM");
    app.add_flag("--show-output", o.show_output, "Print the last lines of each command's output");
}

void define_history(CLI::App& app, HistoryOptions& o)
{
    add_common(app, o.common);
    app.add_option("--workflow-id", o.workflow_id, "Only commands of this workflow");
    app.add_option("--step-id", o.step_id, "Only commands of this step");
    app.add_option("--status", o.status, "Only commands with this result")
        ->check(CLI::IsMember({"completed", "failed", "timeout", "cancelled"}));
    add_limit(app, o.limit);
    app.add_flag("--summary", o.summary, "Print totals only");
}

void define_health(CLI::App& app, HealthVerbOptions& o)
{
    add_common(app, o.common);
    app.add_option("-w,--worktree", o.worktrees, "Check only this worktree; may be repeated")
        ->type_name("DIR")
        ->allow_extra_args(false);
    app.add_flag("--deep", o.deep,
                 "Also ask the program of every agent for its version, including scripts");
    app.footer(
        "The checks create and change nothing.\n"
        "\nExit codes: 0 healthy or degraded, 5 unhealthy.");
}

/// What `autoexec agents` can do.
struct AgentsVerbs {
    explicit AgentsVerbs(CLI::App& app)
        : validate_verb(
              *app.add_subcommand("validate", "Check the agents file and report every problem")),
          list_verb(*app.add_subcommand("list", "List the agents and their programs")),
          init_verb(*app.add_subcommand("init", "Create the agents file"))
    {
        app.require_subcommand(1);
        add_common(validate_verb, validate.common);
        validate_verb.add_option("path", validate.path, "Check FILE instead of the project's file")
            ->type_name("FILE");
        validate_verb.footer("Exit codes: 0 valid, 3 invalid or missing.");
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
                        "Add an agent for claude, codex, cursor, gemini, opencode, aider or shell; "
                        "may be repeated (default shell)")
            ->type_name("NAME")
            ->allow_extra_args(false);
        init_verb.add_option("--template", init.from_template, "Copy FILE, which must be valid")
            ->type_name("FILE");
        init_verb.add_flag("--minimal", init.minimal, "Write no comments");
        init_verb.add_flag("--overwrite", init.overwrite, "Replace an existing file");
        init_verb.add_flag("--stdout", init.to_stdout, "Print the file instead of writing it");
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
        : show_verb(*app.add_subcommand("show", "Show the effective settings")),
          validate_verb(
              *app.add_subcommand("validate", "Check the configuration and report every problem")),
          schema_verb(*app.add_subcommand("schema", "Print a JSON Schema for editors")),
          reference_verb(*app.add_subcommand("reference", "Describe all settings, in Markdown")),
          migrate_verb(*app.add_subcommand("migrate", "Update a file of an older version"))
    {
        app.require_subcommand(1);
        add_common(show_verb, show.common);
        show_verb.add_flag("--origin", show.origin, "Also show where each value comes from");
        add_common(validate_verb, validate.common);
        validate_verb.add_option("path", validate.path, "Check FILE instead of the project's file")
            ->type_name("FILE");
        validate_verb.add_flag("--strict", validate.strict, "Treat warnings as errors");
        validate_verb.footer("Exit codes: 0 valid, 3 invalid.");
        add_project(migrate_verb, migrate.common);
        migrate_verb
            .add_option("path", migrate.path, "Update FILE instead of the project's file")
            ->type_name("FILE");
        migrate_verb.add_flag("--dry-run", migrate.dry_run,
                              "Show the changes without writing them");
        migrate_verb.add_flag("--yes", migrate.yes, "Write without asking for confirmation");
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
    app.footer("The setting is stored as `debug` in the project's configuration.");
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
        if (autoexec::text::valid_utf8(argv[i]) == argv[i]) continue;
        tell(stderr, "autoexec: argument {} ('{}') is not UTF-8\n", i,
             autoexec::text::printable(autoexec::text::valid_utf8(argv[i])));
        return false;
    }
    return true;
}

int dispatch(int argc, char** argv)
{
    if (!are_exact(argc, argv)) return exit_usage;
    CLI::App app("Run coding agents, each in its own git worktree.", "autoexec");
    app.set_version_flag("--version", std::string("autoexec ") + AUTOEXEC_VERSION);
    app.require_subcommand(1);
    app.footer("Run 'autoexec SUBCOMMAND --help' for options and examples.");

    RunOptions run_options;
    run_options.program = take_program(argc, argv);
    auto& run_verb = *app.add_subcommand("run", "Run commands in one or more worktrees");
    define_run(run_verb, run_options);

    AgentVerbOptions agent_options;
    auto& agent_verb = *app.add_subcommand(
        "agent", "Run as an agent: claim and run published commands until stopped");
    add_common(agent_verb, agent_options.common);
    agent_verb
        .add_option("-w,--worktree", agent_options.worktrees,
                    "Also watch DIR, besides the repository's worktrees; may be repeated")
        ->type_name("DIR")
        ->allow_extra_args(false);
    add_count(
        agent_verb, "-j,--jobs,--max-parallel", max_agent_jobs,
        [&agent_options](std::size_t n) { agent_options.jobs = static_cast<int>(n); },
        "Run at most N commands at once; 0: use the limits of the agents file");
    agent_verb.add_flag("-v,--verbose", agent_options.verbose,
                        "Log each ignored command with the reason");
    agent_verb.footer(
        "The agents are read from the project's .cursor/background-agents.yaml. Ctrl-C stops the\n"
        "agent and its commands.\n"
        "\nExample:\n  autoexec agent --project ~/src/app");

    auto& agents_verb =
        *app.add_subcommand("agents", "Create, check and list the agents of this project");
    AgentsVerbs agents_verbs(agents_verb);

    StatusOptions status_options;
    auto& status_verb = *app.add_subcommand("status", "Show running and queued commands");
    add_common(status_verb, status_options.common);

    HistoryOptions history_options;
    auto& history_verb = *app.add_subcommand("history", "List finished commands, newest first");
    define_history(history_verb, history_options);

    CancelOptions cancel_options;
    auto& cancel_verb = *app.add_subcommand("cancel", "Cancel a running or queued command");
    add_common(cancel_verb, cancel_options.common);
    cancel_verb
        .add_option("execution", cancel_options.execution,
                    "The execution's id or the end of it, as autoexec status shows it")
        ->required();
    cancel_verb.add_flag("--no-wait", cancel_options.no_wait,
                         "Do not wait until the execution has ended");

    LogsOptions logs_options;
    auto& logs_verb = *app.add_subcommand("logs", "Print the output of a command");
    add_common(logs_verb, logs_options.common);
    logs_verb
        .add_option("execution", logs_options.execution,
                    "The execution's id or the end of it, as autoexec status and autoexec history "
                    "show it")
        ->required();
    logs_verb.add_flag("-f,--follow", logs_options.follow,
                       "Continue printing until the execution has ended");
    logs_verb.add_flag("--raw", logs_options.raw,
                       "Pass control characters and escape sequences to the terminal");

    HealthVerbOptions health_options;
    auto& health_verb = *app.add_subcommand("health", "Check that commands can run here");
    define_health(health_verb, health_options);

    auto& workflow_verb =
        *app.add_subcommand("workflow", "Run and manage workflows of dependent steps");
    WorkflowVerbs workflow(workflow_verb);

    auto& worktree_verb =
        *app.add_subcommand("worktree", "List, remove and restore the worktrees of workflows");
    WorktreeVerbs worktree(worktree_verb);

    auto& config_verb = *app.add_subcommand("config", "Show, check and migrate the configuration");
    const ConfigVerbs config(config_verb);

    DebugOptions debug_options;
    auto& debug_verb = *app.add_subcommand("debug", "Switch the debug log on or off");
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

// A failed write to standard output makes the exit code a failure.
int judge_output(int code)
{
    if (std::ferror(stdout) == 0 && (std::fflush(stdout) == 0 || errno == EPIPE)) return code;
    tell(stderr, "autoexec: cannot write all results to standard output\n");
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
