#include "support/project.hpp"

#include <doctest/doctest.h>

using namespace autoexec::test;

// No poll and no scan comes within the limit of a test: only events can end these commands.
TEST_CASE("an agent in another process is answered by file events")
{
    Project project;
    project.set("AUTOEXEC_POLLING_INTERVAL_SECONDS", "3600");
    project.set("AUTOEXEC_POLLING_MAX_INTERVAL_SECONDS", "3600");
    project.set("AUTOEXEC_POLLING_TIMEOUT_SECONDS", "7200");
    project.set("AUTOEXEC_AGENT_WATCH_PATHS_INTERVAL_SECONDS", "3600");
    project.add_agent("shell", "/bin/sh -c {command}",
                      {"watch_paths: ['new/**/.cursor-skill-command.txt']"});
    const auto tree = project.worktree("tree");

    Program agent(project.start({"agent", "-v"}));
    REQUIRE(eventually([&] { return contains(agent.err(), "looking for commands"); }));
    for (const auto* const command : {"touch first", "touch second"}) {
        CAPTURE(command);
        CHECK(project.run({"run", "--external-agent", "-w", tree, command}).code == 0);
    }
    CHECK(fs::exists(tree / "first"));
    CHECK(fs::exists(tree / "second"));

    // A folder that a glob matches is made while the agent runs.
    const auto folder = project.root() / "new" / "folder";
    fs::create_directories(folder);
    CHECK(project.run({"run", "--external-agent", "-w", folder, "touch third"}).code == 0);
    CHECK(fs::exists(folder / "third"));

    // A worktree of a step is made while the agent runs.
    project.write("workflow.yaml",
                  "id: w\nsteps:\n  - {id: one, agent: shell, command: touch made}\n");
    const auto ended = project.run({"workflow", "run", "workflow.yaml", "--external-agent"});
    CHECK_MESSAGE(ended.code == 0, ended.err);
    agent.signal(SIGTERM);
    CHECK(agent.wait().code == 0);
}
