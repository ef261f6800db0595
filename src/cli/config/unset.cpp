#include "cli/config/config_file.hpp"
#include "cli/session/configuration.hpp"
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
    yaml::Report report(file.path().string(), file.text());
    const auto changed = config::unset_setting(file.text(), setting, report);
    print_problems(report.take_errors());
    if (!changed) fail(exit_invalid, "{} was not changed", shown_path(file.path()));
    if (*changed == file.text())
        fail(exit_usage, "{} does not set {}", shown_path(file.path()), setting.key);
    if (!file.check(*changed)) fail(exit_invalid, "{} was not changed", shown_path(file.path()));
    file.write(*changed);
    return exit_completed;
}

void define_config_unset(CLI::App& app, ConfigUnsetOptions& o)
{
    add_project(app, o);
    add_config_file(app, o);
    app.add_option("key", o.key, "The setting, such as retry.max_attempts")
        ->required()
        ->type_name("KEY");
}

}  // namespace

extern const Subcommand config_unset_subcommand =
    subcommand("config unset", "Remove a setting from the configuration file", define_config_unset,
               unset_in_file);

}  // namespace autoexec::cli
