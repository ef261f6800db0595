#include "cli/session/configuration.hpp"
#include "cli/subcommand.hpp"

#include <algorithm>
#include <array>

namespace autoexec::cli {
namespace {

namespace json = boost::json;

struct ConfigShowOptions : CommonOptions {
    bool origin = false;
};

constexpr std::array<std::string_view, 7> layer_names{
    "default",  "user_file",   "project_config", "auto_execution_config",
    "workflow", "environment", "command_line"};

json::value json_of(const SettingValue& value)
{
    return std::visit([](const auto& v) { return json::value(v); }, value);
}

json::object json_of(const ConfigOrigin& origin)
{
    json::object object{{"layer", layer_names.at(static_cast<std::size_t>(origin.layer))}};
    if (!origin.source.empty()) object["source"] = origin.source;
    if (origin.line > 0) {
        object["line"] = origin.line;
        object["column"] = origin.column;
    }
    return object;
}

std::string shown(ConfigOrigin origin)
{
    if (origin.line > 0) origin.source = shown_path(origin.source);
    return to_string(origin);
}

void print_settings(const std::vector<EffectiveSetting>& settings, bool with_origin)
{
    std::size_t keys = 0;
    std::size_t values = 0;
    for (const auto& s : settings) {
        keys = std::max(keys, s.key.size());
        values = std::max(values, to_string(s.value).size());
    }
    for (const auto& s : settings) {
        const auto value = text::printable(to_string(s.value));
        if (with_origin)
            print_result("{:<{}}  {:<{}}  {}\n", s.key, keys, value, values, shown(s.origin));
        else
            print_result("{:<{}}  {}\n", s.key, keys, value);
    }
}

int show_config(const ConfigShowOptions& options)
{
    AutoExecutionConfigManager manager({}, project_root(options));
    (void)load_configuration(manager, options.json);
    const auto settings = manager.settings();
    if (!options.json) {
        print_settings(settings, options.origin);
        return exit_completed;
    }
    json::object all;
    for (const auto& s : settings) {
        if (options.origin)
            all[s.key] = {{"value", json_of(s.value)}, {"origin", json_of(s.origin)}};
        else
            all[s.key] = json_of(s.value);
    }
    print_json(all);
    return exit_completed;
}

void define_config_show(CLI::App& app, ConfigShowOptions& o)
{
    add_common(app, o);
    app.add_flag("--origin", o.origin, "Also show where each value comes from");
}

}  // namespace

extern const Subcommand config_show_subcommand =
    subcommand("config show", "Show the effective settings", define_config_show, show_config);

}  // namespace autoexec::cli
