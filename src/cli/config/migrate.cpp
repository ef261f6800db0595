#include "cli/session/configuration.hpp"
#include "cli/subcommand.hpp"
#include "config/migration.hpp"
#include "config/sources.hpp"

#include <unistd.h>

#include <iostream>

namespace autoexec::cli {
namespace {

namespace fs = std::filesystem;

struct ConfigMigrateOptions : CommonOptions {
    fs::path path;  ///< Empty: the project's.
    bool dry_run = false;
    bool yes = false;
};

bool says_yes()
{
    print_message("Write the file? [y/N] ");
    std::string answer;
    std::getline(std::cin, answer);
    return answer == "y" || answer == "Y" || answer == "yes";
}

// The first unused name beside the file.
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

int migrate_config(const ConfigMigrateOptions& options)
{
    // The user's own file may be a link: it stays one.
    const auto file = options.path.empty() ? fs::path() : fs::weakly_canonical(options.path);
    const AutoExecutionConfigManager manager(file, project_root(options));
    const auto& path = manager.config_path();
    const auto found = config::read_config_file(path, false);
    yaml::Report report(path.string(), found.text);
    if (found.state == FoundFile::State::absent) {
        print_result("Nothing to migrate: {} does not exist.\n", shown_path(path));
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
        print_result("{} is up to date.\n", shown_path(path));
        return exit_completed;
    }
    print_result("--- {0}\n+++ {0}\n{1}", shown_path(path), text::printable(changes, true));
    if (options.dry_run) return exit_completed;
    if (!options.yes && ::isatty(STDIN_FILENO) == 0) {
        print_message("Nothing written. Confirm with --yes.\n");
        return exit_usage;
    }
    if (!options.yes && !says_yes()) return exit_completed;
    if (config::read_config_file(path, false).text != found.text)
        fail(exit_internal, "{} has changed meanwhile; try again", shown_path(path));
    const auto backup = backup_of(path);
    write(backup, found.text);
    write(path, *migrated);
    print_result("File written. The old file is {}.\n", shown_path(backup));
    return exit_completed;
}

void define_config_migrate(CLI::App& app, ConfigMigrateOptions& o)
{
    add_project(app, o);
    app.add_option("path", o.path, "Update FILE instead of the project's file")->type_name("FILE");
    app.add_flag("--dry-run", o.dry_run, "Show the changes without writing them");
    app.add_flag("--yes", o.yes, "Write without asking for confirmation");
}

}  // namespace

extern const Subcommand config_migrate_subcommand = subcommand(
    "config migrate", "Update a file of an older version", define_config_migrate, migrate_config);

}  // namespace autoexec::cli
