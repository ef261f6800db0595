#include "autoexec/config.hpp"

#include "cli/cli.hpp"
#include "cli/session/configuration.hpp"
#include "cli/session/output.hpp"
#include "cli/session/project.hpp"
#include "records/debug_log.hpp"

#include <fmt/format.h>

#include <cstdio>

namespace autoexec::cli {
namespace {

// Into the project's file; what the environment says is of the moment.
bool write_setting(const std::filesystem::path& root, bool on)
{
    AutoExecutionConfigManager files({}, root);
    files.set_environment(variables_of_files());
    auto config = load_configuration(files, true);
    if (!config) return false;
    config->debug = on;
    files.save(*config);
    return true;
}

}  // namespace

int debug(const DebugOptions& options)
{
    const auto root = project_root(options.common);
    if (options.change && !write_setting(root, *options.change)) return exit_invalid;
    AutoExecutionConfigManager manager({}, root);
    const auto config = load_configuration(manager, options.common.json);
    if (!config) return exit_invalid;
    const auto log = records::debug_log_path(root);
    const auto origin = to_string(manager.origin("debug"));
    if (options.common.json) {
        print_json(boost::json::object{
            {"debug", config->debug}, {"origin", origin}, {"log", log.string()}});
        return exit_completed;
    }
    print_text(stdout, "The debug log is {} ({}).\n", config->debug ? "on" : "off", origin);
    if (config->debug)
        print_text(stdout, "autoexec run and autoexec agent write to {}.\n", shown_path(log));
    if (options.change && *options.change != config->debug)
        print_text(stderr, "The project's configuration differs, but {} takes precedence.\n",
                   origin);
    return exit_completed;
}

}  // namespace autoexec::cli
