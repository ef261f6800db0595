#include "support/project.hpp"
#include "support/terminal.hpp"

#include <doctest/doctest.h>

using namespace autoexec::test;

namespace {

constexpr auto agents_file = ".cursor/background-agents.yaml";
constexpr auto first_workflow = "workflows/first.yaml";

// A program that a preset calls.
void install_program(Project& project, const std::string& name)
{
    const auto program = project.root() / "bin" / name;
    write_file(program, "#!/bin/sh\ncat >/dev/null\n");
    fs::permissions(program, fs::perms::owner_all);
    project.set("PATH", program.parent_path().string() + ":/usr/bin:/bin");
}

}  // namespace

TEST_CASE("init writes the agents file, the ignore rules and a workflow, and keeps what exists")
{
    Project project;
    install_program(project, "claude");
    project.write(".gitignore", "build/");
    const auto first = project.run({"init"});
    CHECK(first.code == 0);
    CHECK(first.out ==
          "Wrote .cursor/background-agents.yaml.\nWrote .gitignore.\n"
          "Wrote workflows/first.yaml.\n");
    CHECK(contains(first.err, "(installed: claude"));
    const auto agents = read_file(project.root() / agents_file);
    CHECK(contains(agents, "claude"));
    const auto ignored = read_file(project.root() / ".gitignore");
    CHECK(ignored.starts_with("build/\n\n# Files of autoexec"));
    CHECK(contains(ignored, "\n.tapps-agents/metrics/\n"));
    CHECK(project.run({"agents", "validate"}).code == 0);
    CHECK(project.run({"workflow", "validate", "--strict", first_workflow}).code == 0);
    CHECK(contains(read_file(project.root() / first_workflow), "agent: \"claude\""));

    const auto again = project.run({"init", "--preset", "shell"});
    CHECK(again.code == 0);
    CHECK(again.out == "Kept .cursor/background-agents.yaml.\nKept workflows/first.yaml.\n");
    CHECK(read_file(project.root() / agents_file) == agents);
    CHECK(read_file(project.root() / ".gitignore") == ignored);
}

TEST_CASE("init writes only what its options choose")
{
    Project project;
    const auto ended = project.run({"init", "--preset", "shell", "--no-ignore", "--no-workflow"});
    CHECK(ended.out == "Wrote .cursor/background-agents.yaml.\n");
    CHECK_FALSE(fs::exists(project.root() / ".gitignore"));
    CHECK(project.run({"init", "--preset", "sehll"}).code == 0);  // the agents file is kept
    fs::remove(project.root() / agents_file);
    CHECK(contains(project.run({"init", "--preset", "sehll"}).err, "Did you mean 'shell'?"));
    CHECK_FALSE(fs::exists(project.root() / agents_file));
}

TEST_CASE("on a terminal, init asks before it writes anything")
{
    Project project;
    Program init(on_terminal(project, {"init"}));
    const auto asks = [&](std::string_view question) {
        return eventually([&] { return contains(init.screen(), question); });
    };
    REQUIRE(asks("Which agents?"));
    init.type("shell\n");
    REQUIRE(asks("Add the files of autoexec to .gitignore?"));
    init.type("n\n");
    REQUIRE(asks("Create a first workflow, workflows/first.yaml?"));
    CHECK_FALSE(fs::exists(project.root() / agents_file));
    init.type("\n");
    CHECK(init.wait().code == 0);
    CHECK(fs::exists(project.root() / agents_file));
    CHECK(fs::exists(project.root() / first_workflow));
    CHECK_FALSE(fs::exists(project.root() / ".gitignore"));
}

TEST_CASE("workflow new creates a workflow that runs")
{
    Project project;
    project.write("Makefile", "test:\n\ttrue\n");
    project.commit("makefile");
    CHECK(project.run({"workflow", "new", "flows/add it.yaml"}).code == 0);
    const auto path = project.root() / "flows/add it.yaml";
    CHECK(contains(read_file(path), "\nid: add-it\n"));
    CHECK(contains(read_file(path), "argv: [make, test]"));
    CHECK(project.run({"workflow", "run", path.string(), "--prompt", "it", "--in-place"}).code ==
          0);
    const auto again = project.run({"workflow", "new", path.string()});
    CHECK(again.code == 2);
    CHECK(contains(again.err, "already exists; replace it with --overwrite"));
    CHECK(project.run({"workflow", "new", path.string(), "--overwrite"}).code == 0);
    const auto printed =
        project.run({"workflow", "new", "x.yaml", "--agent", "co: der", "--stdout"});
    CHECK(contains(printed.out, "agent: \"co: der\"\n"));
    CHECK_FALSE(fs::exists(project.root() / "x.yaml"));
}
