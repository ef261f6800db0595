#include "cli/agents/new_agents_file.hpp"

#include "agent/agents_file_reader.hpp"
#include "agent/programs.hpp"
#include "cli/session/output.hpp"
#include "cli/session/project.hpp"
#include "files/safe_files.hpp"
#include "yaml/report.hpp"

#include <fmt/ranges.h>

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>

namespace autoexec::cli {
namespace {

namespace fs = std::filesystem;

constexpr auto folder_name = ".cursor";
constexpr auto base_name = "background-agents.yaml";
// `environment:` may contain a key. Git does not store this mode, so a clone has the default one.
constexpr unsigned file_mode = 0600;

}  // namespace

std::vector<std::string_view> preset_names()
{
    std::vector<std::string_view> names;
    for (const auto& program : programs::known_programs()) names.push_back(program.name);
    return names;
}

Programs choose_presets(const std::vector<std::string>& wanted)
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

Programs detect_presets(const fs::path& root)
{
    Programs found;
    for (const auto& program : programs::known_programs()) {
        const auto name = program.command.substr(0, program.command.find(' '));
        if (!agent::find_program(name, AgentDefinition{}, root).found.empty())
            found.push_back(&program);
    }
    // With two agents, each command would have to name one.
    if (found.size() > 1) std::erase(found, programs::find_program(agent::shell_name));
    return found;
}

fs::path agents_file_of(const fs::path& root)
{
    return root / folder_name / base_name;
}

void write_agents_file(const fs::path& root, const std::string& text, bool overwrite)
{
    const auto shown = shown_path(agents_file_of(root));
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

}  // namespace autoexec::cli
