#include "support/project.hpp"

#include <doctest/doctest.h>

#include <csignal>

using namespace autoexec::test;

namespace {

constexpr char until_go[] = "until test -e go; do sleep 0.02; done; touch done";

bool is_done(const Project& project)
{
    return eventually([&] { return fs::exists(project.root() / "done"); });
}

}  // namespace

TEST_SUITE_BEGIN("suspend");

TEST_CASE("an executor that was suspended while its command ended accepts the result")
{
    Project project;
    Program run(project.start({"run", "--json", until_go}));
    project.wait_for_running(1);
    run.signal(SIGSTOP);
    project.write("go", "");
    CHECK(is_done(project));
    CHECK(lines_of(project.run({"status"}).out).size() == 1);
    run.signal(SIGCONT);
    const auto ended = run.wait();
    CHECK(ended.code == 0);
    const auto result = objects_of(ended.out).at(0);
    CHECK(text_at(result, "status") == "completed");
    CHECK(result.at("attempts") == 1);
}

TEST_CASE("an agent that was suspended while its program ended reports the result")
{
    Project project;
    project.add_agent("coder", "/bin/sh -c {command}");
    Program agent(project.start({"agent"}));
    Program run(project.start({"run", "--external-agent", "--json", until_go}));
    project.wait_for_running(1);
    agent.signal(SIGSTOP);
    project.write("go", "");
    CHECK(is_done(project));
    // Its claim is locked, so it counts as alive.
    const auto state = text_at(objects_of(project.run({"status", "--json"}).out).at(0), "state");
    CHECK(state == "running");
    agent.signal(SIGCONT);
    const auto ended = run.wait();
    CHECK(ended.code == 0);
    CHECK(objects_of(ended.out).at(0).at("attempts") == 1);
    agent.signal(SIGTERM);
    agent.wait();
}

TEST_CASE("a suspended engine of the queue is not replaced, and continues")
{
    Project project;
    Program engine(project.start({"queue", "run", "--keep", "-j", "1"}));
    REQUIRE(eventually([&] { return fs::exists(project.records() / "queue/engine.lock"); }));
    CHECK(project.run({"run", "--detach", until_go}).code == 0);
    project.wait_for_running(1);
    engine.signal(SIGSTOP);
    project.write("go", "");
    CHECK(is_done(project));
    const auto second = project.run({"run", "--detach", "touch second"});
    REQUIRE(second.code == 0);
    CHECK(project.run({"wait", "--all", "--timeout", "200ms"}).code == 124);
    CHECK(project.run({"stop", "--drain", "--timeout", "200ms"}).code == 124);
    CHECK_FALSE(fs::exists(project.root() / "second"));
    engine.signal(SIGCONT);
    CHECK(engine.wait().code == 0);
    CHECK_FALSE(fs::exists(project.root() / "second"));  // it drained
    const auto ended = project.run({"wait", "--all", "--json"});
    CHECK(ended.code == 0);
    const auto results = objects_of(ended.out);
    REQUIRE(results.size() == 2);
    for (const auto& result : results) CHECK(result.at("attempts") == 1);
    CHECK(eventually([&] { return project.processes().empty(); }));
}

TEST_SUITE_END();
