#include "cli/config/config_file.hpp"
#include "cli/session/configuration.hpp"
#include "cli/subcommand.hpp"
#include "config/setting_edit.hpp"

namespace autoexec::cli {
namespace {

struct ConfigGetOptions : CommonOptions {
    std::string key;
};

int get_setting(const ConfigGetOptions& options)
{
    const config::SettingsTable table;
    std::string problem;
    const auto* const setting = config::find_setting(table, options.key, problem);
    if (setting == nullptr) fail(exit_usage, "{}", problem);
    AutoExecutionConfigManager manager({}, project_root(options));
    const auto config = load_configuration(manager, true);
    const auto value = setting->get(config);
    if (options.json)
        print_json(boost::json::object{
            {"key", setting->key},
            {"value", std::visit([](const auto& v) { return boost::json::value(v); }, value)},
            {"origin", to_string(manager.origin(setting->key))}});
    else
        print_result("{}\n", text::printable(to_string(value)));
    return exit_completed;
}

void define_config_get(CLI::App& app, ConfigGetOptions& o)
{
    add_common(app, o);
    add_setting(app, o.key);
}

}  // namespace

extern const Subcommand config_get_subcommand = subcommand(
    "config get", "Print the effective value of a setting", define_config_get, get_setting);

}  // namespace autoexec::cli
