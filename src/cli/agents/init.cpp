#include "agent/agents_file_reader.hpp"
#include "agent/presets.hpp"
#include "autoexec/diagnostic.hpp"
#include "cli/agents/new_agents_file.hpp"
#include "cli/subcommand.hpp"

#include <fmt/ranges.h>

namespace autoexec::cli {
namespace {

struct AgentsInitOptions : CommonOptions {
    std::vector<std::string> presets;
    std::string from_template;
    bool detect = false;
    bool minimal = false;
    bool overwrite = false;
    bool to_stdout = false;
};

std::string new_text(const AgentsInitOptions& options)
{
    if (options.detect && !options.presets.empty())
        fail(exit_usage, "--detect cannot be combined with --preset.");
    if (options.from_template.empty())
        return agent::agents_file_text(
            options.detect ? detect_presets(project_root(options))
                           : choose_presets(options.presets),
            options.minimal ? agent::Comments::none : agent::Comments::all);
    if (options.minimal || options.detect || !options.presets.empty())
        fail(exit_usage, "--template cannot be combined with --preset, --detect or --minimal.");
    std::string problem;
    auto text = read_text(options.from_template, problem);
    if (!text) fail(exit_usage, "cannot read {}: {}.", options.from_template, problem);
    return *std::move(text);
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
    write_agents_file(root, text, options.overwrite);
    print_result("Wrote {}.\n", shown_path(agents_file_of(root)));
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
    app.add_flag("--detect", o.detect,
                 "Add an agent for each preset whose program is installed, or else shell");
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
