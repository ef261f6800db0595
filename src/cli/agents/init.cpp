#include "agent/agents_file_reader.hpp"
#include "agent/presets.hpp"
#include "agent/programs.hpp"
#include "autoexec/diagnostic.hpp"
#include "cli/cli.hpp"
#include "cli/session/output.hpp"
#include "cli/session/project.hpp"
#include "files/safe_files.hpp"
#include "yaml/report.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <cstdio>

namespace autoexec::cli {
namespace {

namespace fs = std::filesystem;

constexpr auto folder_name = ".cursor";
constexpr auto base_name = "background-agents.yaml";
// `environment:` may come to hold a key. Git keeps no such modes: who clones the file gets their
// own.
constexpr unsigned file_mode = 0600;

int refuse(const std::string& sentence)
{
    print_text(stderr, "autoexec agents init: {}\n", sentence);
    return exit_usage;
}

/// Those that are asked for, none twice; the shell if none is. A sentence if there is no such one.
std::string choose(const std::vector<std::string>& wanted, std::vector<agent::Preset>& chosen)
{
    for (const auto& name : wanted) {
        const auto* const preset = agent::find_preset(name);
        if (preset == nullptr) {
            std::vector<std::string_view> names;
            for (const auto& known : agent::presets()) names.push_back(known.name);
            const auto guess = yaml::did_you_mean(name, names);
            return fmt::format("unknown preset '{}'. {}{}Available presets: {}.", name, guess,
                               guess.empty() ? "" : " ", fmt::join(names, ", "));
        }
        if (std::none_of(chosen.begin(), chosen.end(),
                         [&](const auto& one) { return one.name == preset->name; }))
            chosen.push_back(*preset);
    }
    if (chosen.empty()) chosen.push_back(*agent::find_preset("shell"));
    return {};
}

std::string write(const fs::path& root, const std::string& text, bool overwrite, ExitCode& code)
{
    const auto shown = shown_path(root / folder_name / base_name);
    error_code ec;
    const files::UniqueFd project(::open(root.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!project) ec = files::last_error();
    files::UniqueFd folder;
    if (!ec) folder = files::make_folders(project.get(), folder_name, ec);
    struct stat info {};
    if (!ec && !overwrite && ::fstatat(folder.get(), base_name, &info, AT_SYMLINK_NOFOLLOW) == 0) {
        code = exit_usage;
        return fmt::format(
            "{} already exists; replace it with --overwrite, or print the new file with "
            "--stdout.",
            shown);
    }
    if (!ec)
        ec = files::replace_file(folder.get(), base_name, text, file_mode, Durability::process);
    if (!ec) return {};
    code = exit_engine;
    return fmt::format("cannot write {}: {}.", shown, ec.message());
}

void warn_of_missing_programs(const AgentsFile& file, const fs::path& root)
{
    for (const auto& definition : file.agents)
        for (const auto& program : agent::programs_of(definition)) {
            const auto search = agent::find_program(program, definition, root);
            const auto problem = agent::explain_missing(program, search, definition);
            if (!problem.empty()) print_text(stderr, "warning: {}\n", problem);
        }
}

}  // namespace

int agents_init(const AgentsInitOptions& options)
{
    const bool from_template = !options.from_template.empty();
    if (from_template && (options.minimal || !options.presets.empty()))
        return refuse("--template cannot be combined with --preset or --minimal.");
    std::vector<agent::Preset> chosen;
    std::string text;
    if (from_template) {
        std::string problem;
        auto given = read_text(options.from_template, problem);
        if (!given) return refuse(problem + ".");
        text = *std::move(given);
    } else {
        const auto problem = choose(options.presets, chosen);
        if (!problem.empty()) return refuse(problem);
        text = agent::agents_file_text(
            chosen, options.minimal ? agent::Comments::none : agent::Comments::all);
    }

    const auto reading = agent::parse_agents_file(text, options.from_template);
    print_text(stderr, "{}{}", to_string(reading.errors), to_string(reading.warnings));
    if (!reading.file) return exit_invalid;
    if (options.to_stdout) {
        print_text(stdout, "{}", text);
        return exit_completed;
    }
    const auto root = project_root(options.common);
    auto code = exit_completed;
    const auto problem = write(root, text, options.overwrite, code);
    if (!problem.empty()) {
        print_text(stderr, "autoexec agents init: {}\n", problem);
        return code;
    }
    print_text(stdout, "Wrote {}.\n", shown_path(root / folder_name / base_name));
    warn_of_missing_programs(*reading.file, root);
    return exit_completed;
}

}  // namespace autoexec::cli
