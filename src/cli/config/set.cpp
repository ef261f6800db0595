#include "autoexec/config.hpp"
#include "cli/config/config_file.hpp"
#include "cli/subcommand.hpp"
#include "config/setting_edit.hpp"

namespace autoexec::cli {
namespace {

struct ConfigSetOptions : ConfigFileOptions {
    std::string key;
    std::string value;
};

// Another layer may have a value that takes precedence.
void warn_of_precedence(const ConfigSetOptions& options, const ConfigFile& file,
                        const std::string& key)
{
    AutoExecutionConfigManager manager({}, project_root(options));
    (void)manager.load(false);
    const auto origin = manager.origin(key);
    if (origin.source != file.path().string())
        print_message("warning: {} takes precedence\n", text::printable(to_string(origin)));
}

int set_in_file(const ConfigSetOptions& options)
{
    const ConfigFile file(options);
    const auto& setting = file.find(options.key);
    if (setting.type == config::SettingType::prices)
        fail(exit_usage, "{} is a mapping; use autoexec config edit", setting.key);
    file.change([&](yaml::Report& report) {
        return config::set_setting(file.text(), setting, options.value, report);
    });
    warn_of_precedence(options, file, setting.key);
    return exit_completed;
}

void define_config_set(CLI::App& app, ConfigSetOptions& o)
{
    add_project(app, o);
    add_config_file(app, o);
    add_setting(app, o.key);
    app.add_option("value", o.value, "Its value")->required()->type_name("VALUE");
    app.footer("Comments and the form of the file are kept. An invalid value changes nothing.");
}

}  // namespace

extern const Subcommand config_set_subcommand = subcommand(
    "config set", "Set a setting in the configuration file", define_config_set, set_in_file);

}  // namespace autoexec::cli
