#include "agent/agents_file_reader.hpp"
#include "agent/presets.hpp"
#include "agent/programs.hpp"
#include "autoexec/diagnostic.hpp"
#include "cli/subcommand.hpp"
#include "files/safe_files.hpp"
#include "programs/known_programs.hpp"
#include "yaml/report.hpp"

#include <fmt/ranges.h>

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>

namespace autoexec::cli {
namespace {

namespace fs = std::filesystem;

struct AgentsInitOptions : CommonOptions {
    std::vector<std::string> presets;
    std::string from_template;
    bool detect = false;
    bool minimal = false;
    bool overwrite = false;
    bool to_stdout = false;
};

using Programs = std::vector<const programs::KnownProgram*>;

constexpr auto folder_name = ".cursor";
constexpr auto base_name = "background-agents.yaml";
// `environment:` may contain a key. Git does not store this mode, so a clone has the default one.
constexpr unsigned file_mode = 0600;

std::vector<std::string_view> preset_names()
{
    std::vector<std::string_view> names;
    for (const auto& program : programs::known_programs()) names.push_back(program.name);
    return names;
}

/// The presets of these names without repetitions; `shell` if there are none.
Programs choose(const std::vector<std::string>& wanted)
{
    Programs chosen;
    for (const auto& name : wanted) {
        const auto* const preset = programs::find_program(name);
        if (preset == nullptr) {
            const auto names = preset_names();
            const auto guess = yaml::did_you_mean(name, names);
            fail(exit_usage, "unknown preset '{}'. {}{}Available presets: {}.", name, guess,
                 guess.empty() ? "" : " ", fmt::join(names, ", "));
        }
        if (std::find(chosen.begin(), chosen.end(), preset) == chosen.end())
            chosen.push_back(preset);
    }
    if (chosen.empty()) chosen.push_back(programs::find_program(agent::shell_name));
    return chosen;
}

/// The presets whose programs are installed; the shell is.
Programs detect(const fs::path& root)
{
    Programs found;
    for (const auto& program : programs::known_programs()) {
        const auto name = program.command.substr(0, program.command.find(' '));
        if (!agent::find_program(name, AgentDefinition{}, root).found.empty())
            found.push_back(&program);
    }
    return found;
}

std::string new_text(const AgentsInitOptions& options)
{
    if (options.detect && !options.presets.empty())
        fail(exit_usage, "--detect cannot be combined with --preset.");
    if (options.from_template.empty())
        return agent::agents_file_text(
            options.detect ? detect(project_root(options)) : choose(options.presets),
            options.minimal ? agent::Comments::none : agent::Comments::all);
    if (options.minimal || options.detect || !options.presets.empty())
        fail(exit_usage, "--template cannot be combined with --preset, --detect or --minimal.");
    std::string problem;
    auto text = read_text(options.from_template, problem);
    if (!text) fail(exit_usage, "cannot read {}: {}.", options.from_template, problem);
    return *std::move(text);
}

void write(const fs::path& root, const std::string& text, bool overwrite)
{
    const auto shown = shown_path(root / folder_name / base_name);
    error_code ec;
    const files::UniqueFd project(::open(root.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!project) ec = files::last_error();
    files::UniqueFd folder;
    if (!ec) folder = files::make_folders(project.get(), folder_name, ec);
    struct stat info {};
    if (!ec && !overwrite && ::fstatat(folder.get(), base_name, &info, AT_SYMLINK_NOFOLLOW) == 0)
        fail(exit_usage,
             "{} already exists; replace it with --overwrite, or print the new file with --stdout.",
             shown);
    if (!ec)
        ec = files::replace_file(folder.get(), base_name, text, file_mode, Durability::process);
    if (ec) fail(exit_internal, "cannot write {}: {}.", shown, ec.message());
}

void warn_of_missing_programs(const AgentsFile& file, const fs::path& root)
{
    for (const auto& definition : file.agents)
        for (const auto& program : agent::programs_of(definition)) {
            const auto search = agent::find_program(program, definition, root);
            const auto problem = agent::explain_missing(program, search, definition);
            if (!problem.empty()) print_message("warning: {}\n", problem);
        }
}

int init_agents(const AgentsInitOptions& options)
{
    const auto text = new_text(options);
    const auto reading = parse_agents(text, options.from_template);
    print_message("{}{}", to_string(reading.errors), to_string(reading.file.warnings));
    if (!reading.errors.empty()) return exit_invalid;
    if (options.to_stdout) {
        print_result(text);
        return exit_completed;
    }
    const auto root = project_root(options);
    write(root, text, options.overwrite);
    print_result("Wrote {}.\n", shown_path(root / folder_name / base_name));
    warn_of_missing_programs(reading.file, root);
    return exit_completed;
}

void define_agents_init(CLI::App& app, AgentsInitOptions& o)
{
    add_project(app, o);
    app.add_option("--preset", o.presets,
                   fmt::format("Add an agent for NAME: {}; may be repeated (default shell)",
                               fmt::join(preset_names(), ", ")))
        ->type_name("NAME")
        ->allow_extra_args(false);
    app.add_flag("--detect", o.detect, "Add an agent for each preset whose program is installed");
    app.add_option("--template", o.from_template, "Copy FILE, which must be valid")
        ->type_name("FILE");
    app.add_flag("--minimal", o.minimal, "Write no comments");
    app.add_flag("--overwrite", o.overwrite, "Replace an existing file");
    app.add_flag("--stdout", o.to_stdout, "Print the file instead of writing it");
    app.footer(fmt::format("Example:\n  autoexec agents init --preset {} --preset {}",
                           programs::known_programs().front().name, agent::shell_name));
}

}  // namespace

extern const Subcommand agents_init_subcommand =
    subcommand("agents init", "Create the agents file", define_agents_init, init_agents);

}  // namespace autoexec::cli
