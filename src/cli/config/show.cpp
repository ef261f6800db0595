#include "autoexec/config.hpp"

#include "cli/cli.hpp"
#include "cli/session/configuration.hpp"
#include "cli/session/output.hpp"
#include "cli/session/project.hpp"
#include "config/describe.hpp"
#include "config/migration.hpp"
#include "config/sources.hpp"
#include "text/json.hpp"
#include "text/text.hpp"

#include <fmt/format.h>
#include <unistd.h>
#include <boost/json/array.hpp>

#include <algorithm>
#include <cstdio>
#include <iostream>

namespace autoexec::cli {
namespace {

namespace fs = std::filesystem;
namespace json = boost::json;

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
            print_text(stdout, "{:<{}}  {:<{}}  {}\n", s.key, keys, value, values, shown(s.origin));
        else
            print_text(stdout, "{:<{}}  {}\n", s.key, keys, value);
    }
}

bool says_yes()
{
    print_text(stderr, "Write the file? [y/N] ");
    std::string answer;
    std::getline(std::cin, answer);
    return answer == "y" || answer == "Y" || answer == "yes";
}

// The first name beside the file that is free.
fs::path backup_of(const fs::path& path)
{
    fs::path backup = path.string() + ".bak";
    for (int i = 2; fs::exists(fs::symlink_status(backup)); ++i)
        backup = fmt::format("{}.bak{}", path.string(), i);
    return backup;
}

void write(const fs::path& path, std::string_view text)
{
    if (const auto ec = config::write_config_file(path, text))
        throw system_error(ec, path.string());
}

}  // namespace

int config_show(const ConfigShowOptions& options)
{
    AutoExecutionConfigManager manager({}, project_root(options.common));
    if (!load_configuration(manager, options.common.json)) return exit_invalid;
    const auto settings = manager.settings();
    if (!options.common.json) {
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

int config_validate(const ConfigValidateOptions& options)
{
    AutoExecutionConfigManager manager(options.path, project_root(options.common));
    (void)manager.load(false);
    auto found = manager.diagnostics();
    if (options.strict)
        for (auto& diagnostic : found) diagnostic.severity = Diagnostic::Severity::error;
    const bool valid = std::none_of(found.begin(), found.end(), [](const Diagnostic& d) {
        return d.severity == Diagnostic::Severity::error;
    });
    if (options.common.json) {
        print_json(json::object{{"valid", valid},
                                {"config_path", manager.config_path().string()},
                                {"diagnostics", to_json(found)}});
    } else {
        print_problems(found);
        if (valid) print_text(stdout, "The configuration is valid.\n");
    }
    return valid ? exit_completed : exit_invalid;
}

int config_schema()
{
    print_text(stdout, "{}\n", text::dump_indented(config::json_schema({})));
    return exit_completed;
}

int config_reference()
{
    print_text(stdout, "{}", config::reference({}));
    return exit_completed;
}

int config_migrate(const ConfigMigrateOptions& options)
{
    // The user's own file may be a link: it stays one.
    const auto file = options.path.empty() ? fs::path() : fs::weakly_canonical(options.path);
    const AutoExecutionConfigManager manager(file, project_root(options.common));
    const auto& path = manager.config_path();
    const auto found = config::read_config_file(path, false);
    yaml::Report report(path.string(), found.text);
    if (found.state == FoundFile::State::absent) {
        print_text(stdout, "Nothing to migrate: {} does not exist.\n", shown_path(path));
        return exit_completed;
    }
    std::optional<std::string> migrated;
    if (found.state != FoundFile::State::present)
        report.error({}, "Cannot read the file: " + found.problem);
    else
        migrated = config::migrate(found.text, report);
    if (!migrated) {
        print_problems(report.take_errors());
        return exit_invalid;
    }
    const auto changes = config::difference(found.text, *migrated);
    if (changes.empty()) {
        print_text(stdout, "{} is up to date.\n", shown_path(path));
        return exit_completed;
    }
    print_text(stdout, "--- {0}\n+++ {0}\n{1}", shown_path(path), text::printable(changes, true));
    std::fflush(stdout);
    if (options.dry_run) return exit_completed;
    if (!options.yes && ::isatty(STDIN_FILENO) == 0) {
        print_text(stderr, "Nothing written. Confirm with --yes.\n");
        return exit_usage;
    }
    if (!options.yes && !says_yes()) return exit_completed;
    const auto backup = backup_of(path);
    write(backup, found.text);
    write(path, *migrated);
    print_text(stdout, "File written. The old file is {}.\n", shown_path(backup));
    return exit_completed;
}

}  // namespace autoexec::cli
