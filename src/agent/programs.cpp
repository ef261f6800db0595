#include "agent/programs.hpp"

#include "agent/environment.hpp"
#include "agent/template.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <string_view>

namespace autoexec::agent {
namespace {

constexpr std::size_t max_shown_folders = 3;

namespace fs = std::filesystem;

bool can_run(const fs::path& file)
{
    std::error_code ec;
    return fs::is_regular_file(file, ec) && ::access(file.c_str(), X_OK) == 0;
}

std::string path_of(const AgentDefinition& definition)
{
    for (const auto& [name, value] : definition.environment)
        if (name == "PATH") return value;
    const char* const ours = std::getenv("PATH");
    return ours == nullptr ? "/bin:/usr/bin" : ours;  // the C library's own choice
}

std::string_view remedy_for(const std::string& program, const AgentDefinition& definition)
{
    const bool is_relative = !program.starts_with('/');
    if (program.find('/') != std::string::npos) {
        if (is_relative && !definition.working_directory.empty())
            return "Check the agent's working_directory.";
        return is_relative ? "Check the path: it is relative to the worktree." : "Check the path.";
    }
    const auto& variables = definition.environment;
    const bool has_own_path = std::any_of(variables.begin(), variables.end(),
                                          [](const auto& v) { return v.first == "PATH"; });
    return has_own_path ? "Install it, or add its folder to PATH in the agent's environment."
                        : "Install it, or add its folder to PATH.";
}

}  // namespace

std::vector<std::string> programs_of(const AgentDefinition& definition)
{
    std::vector<std::string> programs;
    for (const auto& command : templates_of(definition)) {
        if (command.words.empty() || command.words.front().size() != 1) continue;
        const auto* const name = std::get_if<std::string>(&command.words.front().front());
        if (name && std::find(programs.begin(), programs.end(), *name) == programs.end())
            programs.push_back(*name);
    }
    return programs;
}

ProgramSearch find_program(const std::string& program, std::string_view path,
                           const fs::path& directory)
{
    ProgramSearch search;
    if (program.find('/') != std::string::npos) path = {};
    for (;;) {
        // An empty entry means the current directory.
        const auto entry = path.substr(0, path.find(':'));
        const auto file = directory / entry / program;
        const auto place = file.lexically_normal().parent_path().string();
        if (std::find(search.searched.begin(), search.searched.end(), place) ==
            search.searched.end())
            search.searched.push_back(place);
        if (can_run(file)) {
            search.found = file.lexically_normal();
            return search;
        }
        if (entry.size() == path.size()) return search;
        path.remove_prefix(entry.size() + 1);
    }
}

ProgramSearch find_program(const std::string& program, const AgentDefinition& definition,
                           const fs::path& worktree)
{
    return find_program(program, path_of(definition), working_directory(definition, worktree));
}

std::string explain_missing(const std::string& program, const ProgramSearch& search,
                            const AgentDefinition& definition)
{
    if (!search.found.empty()) return {};
    const auto count = search.searched.size();
    const auto places = count <= max_shown_folders
                            ? fmt::format("{}", fmt::join(search.searched, ", "))
                            : fmt::format("the {} folders of PATH", count);
    return fmt::format("'{}' was not found; looked in {}. {}", program, places,
                       remedy_for(program, definition));
}

}  // namespace autoexec::agent
