#include "runner/cli_options.hpp"

#include "protocol/text.hpp"

#include <fmt/format.h>
#include <CLI/CLI.hpp>

namespace autoexec::runner {

// A library option type would tie every verb to the library.
CLI::Option* add_duration(CLI::App& app, const std::string& name,
                          std::optional<std::chrono::milliseconds>& value, const std::string& help,
                          bool may_be_zero)
{
    auto* const option = app.add_option_function<std::string>(
        name,
        [&value, name, may_be_zero](const std::string& text) {
            value = protocol::parse_duration(text);
            if (!value || (value->count() == 0 && !may_be_zero))
                throw CLI::ValidationError(
                    name, fmt::format("'{}' is no time; write 90s, 1.5h or 7d", text));
        },
        help);
    return option->type_name("TIME");
}

void add_project(CLI::App& app, CommonOptions& common)
{
    app.add_option("--project", common.project,
                   "The project's folder; else the repository that the current folder is in")
        ->type_name("DIR");
}

void add_common(CLI::App& app, CommonOptions& common)
{
    add_project(app, common);
    app.add_flag("--json", common.json, "Results as JSON, one object a line");
}

void add_engine(CLI::App& app, EngineFlags& flags)
{
    app.add_option("-j,--jobs", flags.jobs, "Commands at once; 0: no limit (default 8)");
    add_duration(app, "--total-timeout", flags.total_timeout, "For all attempts of a command");
    add_duration(app, "--polling-interval", flags.polling_interval, "Between looks (default 5s)");
    add_duration(app, "--stop-grace", flags.stop_grace,
                 "From asking a command to stop to killing it (default 10s)");
    app.add_flag("--external-agent", flags.external_agent,
                 "An agent that already runs takes the commands");
    app.add_flag("--wait", flags.wait_for_worktree, "Wait for worktrees that another engine holds");
    app.add_flag("-q,--quiet", flags.quiet, "No progress, only results");
}

}  // namespace autoexec::runner
