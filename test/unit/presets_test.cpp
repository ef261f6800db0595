#include "agent/presets.hpp"
#include "agent/agents_file_reader.hpp"
#include "agent/programs.hpp"
#include "agent/template.hpp"
#include "support/temporary_folder.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <string>
#include <vector>

using namespace autoexec;
using namespace autoexec::agent;
using programs::known_programs;
using programs::KnownProgram;
using test::TemporaryFolder;
namespace fs = std::filesystem;
using Words = std::vector<std::string>;

namespace {

AgentsFile parse(const std::string& text)
{
    auto reading = parse_agents(text, "agents.yaml");
    REQUIRE_MESSAGE(reading.errors.empty(), to_string(reading.errors));
    return std::move(reading.file);
}

std::string text_of(const KnownProgram& program, Comments comments = Comments::none)
{
    const auto* const one = &program;
    return agents_file_text({&one, 1}, comments);
}

AgentDefinition definition_of(const KnownProgram& preset)
{
    return parse(text_of(preset)).agents.at(0);
}

Words call(const KnownProgram& preset, const std::string& command)
{
    TemplateValues values;
    values.command = command;
    values.worktree = "/tree";
    std::string problem;
    return expand(templates_of(definition_of(preset)).at(0), values, problem).value();
}

AgentDefinition agent_with(const std::string& lines)
{
    return parse("agents:\n  - name: a\n    type: background\n" + lines).agents.at(0);
}

void make_program(const fs::path& file)
{
    test::write_file(file, "#!/bin/sh\n");
    fs::permissions(file, fs::perms::owner_all);
}

}  // namespace

TEST_CASE("the file of any preset is valid, accepts commands and causes no warning")
{
    for (const auto& preset : known_programs()) {
        for (const auto comments : {Comments::none, Comments::all}) {
            const auto file = parse(text_of(preset, comments));
            CHECK_MESSAGE(file.warnings.empty(), to_string(file.warnings));
            REQUIRE(file.agents.size() == 1);
            const auto& agent = file.agents.front();
            CHECK(agent.name == preset.name);
            CHECK(agent.outcome == preset.outcome);
            CHECK(agent.accept_argv == preset.accept_argv);
            CHECK(accepts_commands(agent));
        }
        CHECK(programs::find_program(preset.name) == &preset);
    }
    CHECK(programs::find_program("Claude") == nullptr);
}

TEST_CASE("a file of all presets has an agent for each, in that order")
{
    std::vector<const KnownProgram*> all;
    for (const auto& program : known_programs()) all.push_back(&program);
    const auto text = agents_file_text(all, Comments::all);
    const auto file = parse(text);
    REQUIRE(file.agents.size() == known_programs().size());
    for (std::size_t i = 0; i < file.agents.size(); ++i)
        CHECK(file.agents[i].name == known_programs()[i].name);
    CHECK(text.find("Compared with version 2.1.332.") != std::string::npos);
    CHECK(text.find("# With `driver: acp`, its command is: gemini --acp; mode: default\n") !=
          std::string::npos);
    CHECK(text.find("Not tried with the program itself.") != std::string::npos);
}

TEST_CASE("the guide tells each preset's call, and the version with which it was compared")
{
    const auto guide = test::read_file(AUTOEXEC_SOURCE_DIR "/doc/agents.md");
    for (const auto& preset : known_programs()) {
        const auto row =
            "| `" + preset.name + "` | `" + preset.command + "` | " + preset.compared + " |";
        CHECK_MESSAGE(guide.find(row) != std::string::npos, row);
        if (preset.acp.empty()) continue;
        CHECK_MESSAGE(guide.find("| `" + preset.acp + "`") != std::string::npos, preset.acp);
        const auto mode = "| `" + preset.acp_mode + "` |";
        CHECK_MESSAGE((preset.acp_mode.empty() || guide.find(mode) != std::string::npos), mode);
    }
}

TEST_CASE("what a preset starts knows that there is neither a terminal nor a person")
{
    using Variable = std::pair<std::string, std::string>;
    for (const auto& preset : known_programs()) {
        const auto variables = definition_of(preset).environment;
        for (const auto& wanted :
             {Variable("CI", "1"), Variable("NO_COLOR", "1"), Variable("TERM", "dumb")})
            CHECK(std::count(variables.begin(), variables.end(), wanted) == 1);
    }
}

TEST_CASE("a command that looks like an option arrives as a value")
{
    for (const auto& preset : known_programs()) {
        CAPTURE(preset.name);
        for (const std::string command : {"--help", "-v", "--", "a b\n$(c) \"d\" 'e'"}) {
            const auto words = call(preset, command);
            const auto& last = words.back();
            const bool after_dashes = last == command && words.at(words.size() - 2) == "--";
            const bool joined = last.starts_with("--") && last.ends_with("=" + command);
            CHECK((after_dashes || joined || preset.input == "{command}"));
        }
    }
}

TEST_CASE("the calls that are judged by their output ask for that output")
{
    const auto has = [](const Words& words, const std::string& wanted) {
        return std::find(words.begin(), words.end(), wanted) != words.end();
    };
    const auto claude = call(*programs::find_program("claude"), "x");
    CHECK(has(claude, "stream-json"));
    CHECK(has(claude, "--verbose"));
    const auto codex = call(*programs::find_program("codex"), "x");
    CHECK(has(codex, "--json"));
    CHECK(has(codex, "/tree"));
}

TEST_CASE("the programs of an agent are those its commands begin with, none twice")
{
    CHECK(programs_of(agent_with("    commands: [\"make {command}\", \"git diff\", \"make\"]\n")) ==
          Words{"make", "git"});
    CHECK(programs_of(agent_with("    commands: [\"{worktree}/run {command}\"]\n")).empty());
    CHECK(
        programs_of(agent_with("    shell: true\n    commands: [\"make {command} | tee x\"]\n")) ==
        Words{"/bin/sh"});
    CHECK(programs_of(definition_of(*programs::find_program("cursor"))) == Words{"cursor-agent"});
}

TEST_CASE("a program is found where the system would start it from")
{
    const TemporaryFolder folder;
    make_program(folder / "first/tool");
    make_program(folder / "second/tool");
    make_program(folder / "second/other");
    test::write_file(folder / "first/other", "no program");
    fs::create_directory(folder / "first/folder");
    const auto path = (folder / "none").string() + ":" + (folder / "first").string() +
                      "::" + (folder / "second").string();
    const auto in = folder / "first";

    CHECK(find_program("tool", path, "/").found == folder / "first/tool");
    CHECK(find_program("other", path, "/").found == folder / "second/other");
    CHECK(find_program("tool", "", in).found == folder / "first/tool");
    CHECK(find_program("tool", "/none:", in).found == folder / "first/tool");
    CHECK(find_program("./tool", "", in).found == folder / "first/tool");
    CHECK(find_program("../second/tool", path, in).found == folder / "second/tool");
    CHECK(find_program("folder", path, "/").found.empty());

    const auto missing = find_program("claude", "/a:/b:/a", "/");
    CHECK(missing.found.empty());
    CHECK(explain_missing("tool", find_program("tool", path, "/"), AgentDefinition{}).empty());
}

TEST_CASE("the remedy for a missing program depends on its agent's folders")
{
    const AgentDefinition plain;
    const auto remedy = [](const std::string& program, const AgentDefinition& definition) {
        const auto text =
            explain_missing(program, find_program(program, "/a:/b:/a", "/c"), definition);
        const auto end = text.find(". ");
        REQUIRE(end != std::string::npos);
        return text.substr(end + 2);
    };
    CHECK(explain_missing("claude", find_program("claude", "/a:/b:/a", "/"), plain)
              .starts_with("'claude' was not found; looked in /a, /b. Install"));
    CHECK(explain_missing("claude", find_program("claude", "/a:/b:/c:/d", "/"), plain)
              .starts_with("'claude' was not found; looked in the 4 folders of PATH. Install"));
    CHECK(remedy("claude", plain) == "Install it, or add its folder to PATH.");
    CHECK(remedy("./x", plain) == "Check the path: it is relative to the worktree.");
    CHECK(remedy("/no/x", plain) == "Check the path.");

    AgentDefinition particular;
    particular.working_directory = "sub";
    particular.environment.emplace_back("PATH", "/a");
    CHECK(remedy("claude", particular) ==
          "Install it, or add its folder to PATH in the agent's environment.");
    CHECK(remedy("./x", particular) == "Check the agent's working_directory.");
    CHECK(remedy("/no/x", particular) == "Check the path.");
}

TEST_CASE("the programs of an agent are searched for in its own PATH and folder")
{
    const TemporaryFolder folder;
    make_program(folder / "bin/tool");
    make_program(folder / "tree/sub/run");
    const auto agent = agent_with(
        "    commands: [\"tool {command}\"]\n    working_directory: sub\n"
        "    environment: {PATH: " +
        (folder / "bin").string() + "}\n");
    const auto tree = folder / "tree";
    CHECK(find_program("tool", agent, tree).found == folder / "bin/tool");
    CHECK(find_program("./run", agent, tree).found == folder / "tree/sub/run");
    CHECK(find_program("sh", agent, tree).found.empty());
    CHECK_FALSE(find_program("sh", AgentDefinition{}, tree).found.empty());
}
