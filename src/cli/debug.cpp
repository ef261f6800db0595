#include "autoexec/config.hpp"

#include "cli/cli.hpp"
#include "cli/flags.hpp"
#include "cli/session/configuration.hpp"
#include "cli/session/output.hpp"
#include "cli/session/project.hpp"
#include "cli/subcommand.hpp"
#include "records/debug_log.hpp"

#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include <memory>

namespace autoexec::cli {
namespace {

struct DebugOptions {
    CommonOptions common;
    std::optional<bool> change;  ///< Absent: print only.
};

// The project's file is changed; variables that set `debug` are ignored.
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
    print_result("The debug log is {} ({}).\n", config->debug ? "on" : "off", origin);
    if (config->debug)
        print_result("autoexec run and autoexec agent write to {}.\n", shown_path(log));
    if (options.change && *options.change != config->debug)
        print_message("The project's configuration differs, but {} takes precedence.\n", origin);
    return exit_completed;
}

SubcommandBody define_debug(CLI::App& app)
{
    const auto o = std::make_shared<DebugOptions>();
    add_common(app, o->common);
    app.add_option_function<std::string>(
           "what",
           [o](const std::string& word) {
               if (word != "status") o->change = word == "on";
           },
           "on, off or status")
        ->check(CLI::IsMember({"on", "off", "status"}));
    app.footer("The setting is stored as `debug` in the project's configuration.");
    return {[o] { return debug(*o); }};
}

}  // namespace

extern const Subcommand debug_subcommand{"debug", "Switch the debug log on or off", define_debug};

}  // namespace autoexec::cli
