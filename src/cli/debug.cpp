#include "cli/session/configuration.hpp"
#include "cli/subcommand.hpp"
#include "records/debug_log.hpp"

#include <cstdlib>

namespace autoexec::cli {
namespace {

struct DebugOptions : CommonOptions {
    std::optional<bool> change;  ///< Absent: print only.
};

// The project's file is changed; variables that set `debug` are ignored, unlike those that locate
// files.
void write_setting(const std::filesystem::path& root, bool on)
{
    std::vector<std::string> variables;
    for (const auto* const name : {"HOME", "XDG_CONFIG_HOME"})
        if (const char* const value = std::getenv(name))
            variables.push_back(fmt::format("{}={}", name, value));
    AutoExecutionConfigManager files({}, root);
    files.set_environment(std::move(variables));
    auto config = load_configuration(files, true);
    config.debug = on;
    files.save(config);
}

int debug(const DebugOptions& options)
{
    const auto root = project_root(options);
    if (options.change) write_setting(root, *options.change);
    AutoExecutionConfigManager manager({}, root);
    const auto config = load_configuration(manager, options.json);
    const auto log = records::debug_log_path(root);
    const auto origin = to_string(manager.origin("debug"));
    if (options.json) {
        print_json(boost::json::object{
            {"debug", config.debug}, {"origin", origin}, {"log", log.string()}});
        return exit_completed;
    }
    print_result("The debug log is {} ({}).\n", config.debug ? "on" : "off", origin);
    if (config.debug)
        print_result("autoexec run and autoexec agent write to {}.\n", shown_path(log));
    if (options.change && *options.change != config.debug)
        print_message("The project's configuration differs, but {} takes precedence.\n", origin);
    return exit_completed;
}

void define_debug(CLI::App& app, DebugOptions& o)
{
    add_common(app, o);
    add_choice(
        app, "what", {"on", "off", "status"},
        [&o](const std::string& word) {
            if (word != "status") o.change = word == "on";
        },
        "on, off or status")
        ->type_name("WORD");
    app.footer("The setting is stored as `debug` in the project's configuration.");
}

}  // namespace

extern const Subcommand debug_subcommand =
    subcommand("debug", "Switch the debug log on or off", define_debug, debug);

}  // namespace autoexec::cli
