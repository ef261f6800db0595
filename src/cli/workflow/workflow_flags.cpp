#include "cli/workflow/workflow_flags.hpp"

#include "cli/flags.hpp"

#include <CLI/CLI.hpp>

namespace autoexec::cli {

void add_workflow_flags(CLI::App& app, WorkflowFlags& flags)
{
    add_common(app, flags.common);
    app.add_option("--param", flags.params, "Set a parameter of the workflow; may be repeated")
        ->type_name("NAME=VALUE")
        ->allow_extra_args(false);
    app.add_option("-p,--prompt", flags.prompt, "The task: short for --param prompt=TEXT")
        ->type_name("TEXT");
    app.add_option("--agent", flags.agent,
                   "Run steps that name no agent, or a role without one, with this agent")
        ->type_name("NAME");
    add_session(app, flags.session);
    add_duration(app, "--timeout", flags.timeout,
                 "Time limit for each attempt of steps without their own (default 1h)");
    add_count(
        app, "--retry", max_retries, [&flags](std::size_t n) { flags.retry = static_cast<int>(n); },
        "Retry each step at most N times, overriding the workflow");
    auto* const fast =
        app.add_flag("--fail-fast", flags.fail_fast, "Cancel all steps at the first failure");
    app.add_flag_callback(
           "--keep-going", [&flags] { flags.fail_fast = false; },
           "After a failure, run the steps that do not depend on it (default)")
        ->excludes(fast);
    add_lenient(app, flags.lenient);
    auto* const automatic = app.add_flag_callback(
        "--auto", [&flags] { flags.automatic = true; }, "Let agents run the steps");
    app.add_flag_callback(
           "--manual", [&flags] { flags.automatic = false; },
           "Let people carry out the steps and report them with autoexec workflow done")
        ->excludes(automatic);
}

CLI::Option* add_lenient(CLI::App& app, bool& lenient)
{
    return app.add_flag("--lenient", lenient,
                        "Warn about unknown keys in the workflow instead of rejecting it");
}

CLI::Option* add_run_id(CLI::App& app, const char* name, std::string& run, const char* help)
{
    return app.add_option(name, run, help)->type_name("RUN");
}

}  // namespace autoexec::cli
