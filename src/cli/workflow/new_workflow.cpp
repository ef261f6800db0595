#include "cli/workflow/new_workflow.hpp"

#include "agent/agents_file_reader.hpp"
#include "cli/session/output.hpp"
#include "cli/session/project.hpp"
#include "files/safe_files.hpp"
#include "text/text.hpp"
#include "yaml/yaml_edit.hpp"

#include <fmt/format.h>

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <utility>

namespace autoexec::cli {
namespace {

namespace fs = std::filesystem;

constexpr unsigned workflow_mode = 0644;

constexpr char agent_step[] = R"(  - id: implement
    agent: {0}
    command: "{{params.prompt}}"
)";

constexpr char program_step[] = R"(  - id: implement
    # With an agent (autoexec agents init): agent: NAME, and command: "{params.prompt}"
    argv: [echo, "{params.prompt}"]
)";

constexpr char head[] = R"(# The steps of a task: doc/workflows.md describes all keys.
#
#   autoexec workflow validate {0}
#   autoexec workflow run {0} --prompt "Add an option --verbose"
#
id: {1}
params:
  prompt: null  # must be given
steps:
)";

constexpr char tail[] = R"(  - id: test
    # A program, in a worktree that has the work of the step before.
    argv: {}
    depends_on: [implement]
)";

constexpr std::array<std::pair<const char*, const char*>, 6> test_programs{{
    {"Cargo.toml", "[cargo, test]"},
    {"go.mod", "[go, test, ./...]"},
    {"package.json", "[npm, test]"},
    {"pyproject.toml", "[python3, -m, pytest]"},
    {"Makefile", "[make, test]"},
    {"CMakeLists.txt",
     "[sh, -c, \"cmake -B build && cmake --build build && ctest --test-dir build\"]"},
}};

// An id may have letters, digits, `-` and `_`.
std::string id_of(const fs::path& file)
{
    auto id = file.stem().string();
    std::replace_if(
        id.begin(), id.end(), [](char c) { return !text::is_letter_or_digit(c) && c != '_'; }, '-');
    return id.empty() || !text::is_letter_or_digit(id.front()) ? "workflow" + id : id;
}

}  // namespace

std::string coding_agent_of(const fs::path& root)
{
    const auto loaded = load_agents(root);
    if (!loaded.errors.empty()) return {};
    for (const auto& definition : loaded.file.agents)
        if (agent::accepts_commands(definition) && definition.name != agent::shell_name)
            return definition.name;
    return {};
}

std::string new_workflow_text(const fs::path& file, std::string_view agent, std::string_view test)
{
    const auto shown = text::quote_words(std::array{file.string()});
    auto text = fmt::format(head, text::printable(shown), id_of(file));
    text += agent.empty() ? std::string(program_step)
                          : fmt::format(agent_step, yaml::quote_yaml(agent));
    return text + fmt::format(tail, test);
}

std::string test_program_of(const fs::path& root)
{
    std::error_code ec;
    for (const auto& [name, program] : test_programs)
        if (fs::exists(root / name, ec)) return program;
    return "[make, test]";
}

void check_workflow_name(const fs::path& file)
{
    const auto name = file.filename();
    if (name.empty() || name == "." || name == "..")
        fail(exit_usage, "'{}' names no file", file.string());
}

void write_workflow(const fs::path& file, std::string_view text, bool overwrite)
{
    const auto shown = shown_path(file);
    const auto name = file.filename().string();
    error_code ec;
    const auto folder = files::make_folders(fs::absolute(file).parent_path(), ec);
    struct stat info {};
    if (!ec && !overwrite && ::fstatat(folder.get(), name.c_str(), &info, AT_SYMLINK_NOFOLLOW) == 0)
        fail(exit_usage, "{} already exists; replace it with --overwrite", shown);
    if (!ec) ec = files::replace_file(folder.get(), name, text, workflow_mode, Durability::process);
    if (ec) fail(exit_internal, "cannot write {}: {}", shown, ec.message());
}

}  // namespace autoexec::cli
