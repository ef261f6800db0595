#include "support/project.hpp"

#include <doctest/doctest.h>

using namespace autoexec::test;

TEST_SUITE_BEGIN("pause");

TEST_CASE("a paused command of the foreground waits visibly until it is resumed")
{
    Project project;
    SUBCASE("by file events") {}
    SUBCASE("by polling")
    {
        project.set("AUTOEXEC_POLLING_FILE_EVENTS", "off");
    }
    const auto paused = project.run({"pause"});
    CHECK(paused.code == 0);
    CHECK(paused.out.starts_with("Starts are paused since 20"));
    CHECK(contains(paused.out, "@"));
    CHECK(project.run({"pause"}).out == paused.out);

    Program run(project.start({"run", "touch done"}));
    CHECK(eventually([&] { return contains(run.err(), "paused: starts are paused since"); }));
    CHECK(contains(project.run({"status"}).err, "Starts are paused since"));
    const auto lines = objects_of(project.run({"status", "--json"}).out);
    REQUIRE(lines.size() == 2);
    CHECK(text_at(lines[0], "state") == "queued");
    CHECK(text_at(lines[1], "state") == "starts_paused");
    CHECK(lines[1].at("agent").is_null());
    CHECK_FALSE(fs::exists(project.root() / "done"));

    bool resumes = true;
    SUBCASE("resumed") {}
    SUBCASE("cancelled by another process")
    {
        resumes = false;
        CHECK(project.run({"cancel", text_at(lines[0], "execution_id")}).code == 0);
        CHECK(run.wait().code == 130);
    }
    CHECK(project.run({"resume"}).out == "Starts are resumed\n");
    CHECK(run.wait().code == (resumes ? 0 : 130));
    CHECK(fs::exists(project.root() / "done") == resumes);
    CHECK(project.run({"resume"}).out == "Starts were not paused\n");
    CHECK_FALSE(fs::exists(project.records() / "running/paused"));
}

TEST_CASE("a paused workflow waits, and its run can be cancelled")
{
    Project project;
    project.write("w.yaml",
                  "workflow:\n  id: w\n  name: W\n  version: 1.0.0\n  steps:\n"
                  "    - {id: a, command: touch done}\n");
    CHECK(project.run({"pause", "--workflow", "w"}).code == 0);
    Program run(project.start({"workflow", "run", "w.yaml", "--in-place"}));
    CHECK(eventually([&] { return contains(run.err(), "starts of workflow w are paused"); }));
    // Other commands start.
    const auto tree = project.worktree("other");
    CHECK(project.run({"run", "-q", "-w", tree.string(), "true"}).code == 0);
    bool resumes = true;
    SUBCASE("resumed") {}
    SUBCASE("cancelled")
    {
        resumes = false;
    }
    if (!resumes) CHECK(project.run({"workflow", "cancel"}).code == 0);
    if (!resumes) CHECK(run.wait().code == 130);
    CHECK(project.run({"resume", "--workflow", "w"}).code == 0);
    CHECK(run.wait().code == (resumes ? 0 : 130));
    CHECK(fs::exists(project.root() / "done") == resumes);
}

TEST_CASE("the engine of the queue starts other commands than those of a paused agent")
{
    Project project;
    project.add_agent("coder", "/bin/sh -c {command}");
    project.add_agent("tester", "/bin/sh -c {command}");
    CHECK(project.run({"pause", "--agent", "coder"}).code == 0);
    CHECK(project.run({"pause", "--agent", "nobody"}).code == 2);
    const auto first = project.run({"run", "--detach", "--agent", "coder", "echo coder >> order"});
    const auto second =
        project.run({"run", "--detach", "--agent", "tester", "echo tester >> order"});
    REQUIRE_MESSAGE(second.code == 0, second.err);
    CHECK(project.run({"wait", lines_of(second.out).at(0)}).code == 0);
    const auto wait = project.run({"wait", "--all", "--timeout", "50ms"});
    CHECK(wait.code == 124);
    CHECK(contains(wait.err, "Paused: starts of agent coder are paused"));
    const auto status = project.run({"status"});
    CHECK(contains(status.out, "queued"));
    CHECK(contains(status.err, "Starts of agent coder are paused since"));
    const auto all = project.run({"resume"});
    CHECK(all.out == "Starts were not paused\n");
    CHECK(contains(all.err, "Still: starts of agent coder are paused"));
    CHECK(project.run({"resume", "--agent", "coder"}).code == 0);
    CHECK(project.run({"wait", lines_of(first.out).at(0)}).code == 0);
    CHECK(lines_of(read_file(project.root() / "order")) == Words{"tester", "coder"});
    CHECK(eventually([&] { return project.processes().empty(); }));
}

TEST_SUITE_END();
