#include "cli/config/config_file.hpp"

#include "autoexec/config.hpp"
#include "cli/flags.hpp"
#include "cli/session/configuration.hpp"
#include "cli/session/output.hpp"
#include "cli/session/project.hpp"
#include "config/setting_edit.hpp"
#include "config/sources.hpp"
#include "process/run_program.hpp"
#include "protocol/layout.hpp"

#include <CLI/CLI.hpp>

#include <utility>

namespace autoexec::cli {
namespace {

namespace fs = std::filesystem;

FoundFile read(const fs::path& path, bool is_of_user)
{
    auto found = config::read_config_file(path, is_of_user);
    if (found.state == FoundFile::State::unreadable)
        fail(exit_invalid, "{} cannot be used: {}", shown_path(path), found.problem);
    return found;
}

}  // namespace

void add_config_file(CLI::App& app, ConfigFileOptions& options)
{
    app.add_flag("--user", options.user, "Use the user's file instead of the project's");
}

void add_setting(CLI::App& app, std::string& key)
{
    app.add_option("key", key, "The setting, such as retry.max_attempts")
        ->required()
        ->type_name("KEY");
}

ConfigFile::ConfigFile(const ConfigFileOptions& options)
    : root_(project_root(options)), is_of_user_(options.user)
{
    path_ = options.user ? config::user_file(process::inherited_environment())
                         : AutoExecutionConfigManager({}, root_).config_path();
    if (path_.empty())
        fail(exit_usage, "the user's file has no place: set HOME, or XDG_CONFIG_HOME");
    text_ = read(path_, is_of_user_).text;
}

const config::Setting& ConfigFile::find(std::string_view key) const
{
    std::string problem;
    const auto* const setting = config::find_setting(table_, key, problem);
    if (setting == nullptr) fail(exit_usage, "{}", problem);
    if (setting->not_for_projects && !is_of_user_)
        fail(exit_usage, "a project cannot set {}; set it in the user's file with --user",
             setting->key);
    return *setting;
}

bool ConfigFile::check(const std::string& text) const
{
    config::ConfigPaths paths;
    paths.own_file = AutoExecutionConfigManager({}, root_).config_path();
    paths.project_file = root_ / layout::project_configuration;
    paths.user_file = config::user_file(process::inherited_environment());
    config::ConfigInputs inputs;
    inputs.draft = {path_, text};
    const auto resolved = config::resolve(table_, paths, inputs);
    print_problems(resolved.diagnostics);
    return !resolved.failed();
}

void ConfigFile::change(const Change& make_text) const
{
    yaml::Report report(path_.string(), text_);
    const auto text = make_text(report);
    print_problems(report.take_errors());
    if (!text || !check(*text)) fail(exit_invalid, "{} was not changed", shown_path(path_));
    write(*text);
}

void ConfigFile::write(const std::string& text) const
{
    if (read(path_, is_of_user_).text != text_)
        fail(exit_internal, "{} has changed meanwhile; try again", shown_path(path_));
    std::error_code ec;
    // The user's file may be a link: it stays one.
    const auto file = is_of_user_ ? fs::weakly_canonical(path_, ec) : path_;
    const auto problem = config::write_config_file(file, text);
    if (problem) fail(exit_internal, "cannot write {}: {}", shown_path(path_), problem.message());
}

}  // namespace autoexec::cli
