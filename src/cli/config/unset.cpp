#include "cli/config/config_file.hpp"
#include "cli/subcommand.hpp"
#include "config/setting_edit.hpp"

namespace autoexec::cli {
namespace {

struct ConfigUnsetOptions : ConfigFileOptions {
    std::string key;
};

int unset_in_file(const ConfigUnsetOptions& options)
{
    const ConfigFile file(options);
    const auto& setting = file.find(options.key);
    file.change([&](yaml::Report& report) {
        auto text = config::unset_setting(file.text(), setting, report);
        if (text == file.text())
            fail(exit_usage, "{} does not set {}", shown_path(file.path()), setting.key);
        return text;
    });
    return exit_completed;
}

void define_config_unset(CLI::App& app, ConfigUnsetOptions& o)
{
    add_project(app, o);
    add_config_file(app, o);
    add_setting(app, o.key);
}

}  // namespace

extern const Subcommand config_unset_subcommand =
    subcommand("config unset", "Remove a setting from the configuration file", define_config_unset,
               unset_in_file);

}  // namespace autoexec::cli
