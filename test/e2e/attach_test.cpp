#include "support/project.hpp"

#include <doctest/doctest.h>

#include <csignal>

using namespace autoexec::test;

namespace {

constexpr char greets_until_go[] = "echo hello; until test -e go; do sleep 0.02; done; echo bye";

}  // namespace

TEST_SUITE_BEGIN("attach");

TEST_CASE("attach prints the output of one command, then its result")
{
    Project project;
    SUBCASE("by file events") {}
    SUBCASE("by polling")
    {
        project.set("AUTOEXEC_POLLING_FILE_EVENTS", "off");
    }
    Program run(project.start({"run", greets_until_go}));
    const auto id = project.wait_for_running(1).front();
    Program attach(project.start({"attach", id.substr(id.size() - 8)}));
    CHECK(eventually([&] { return attach.out() == "hello\n"; }));
    project.write("go", "");
    CHECK(run.wait().code == 0);
    const auto ended = attach.wait();
    CHECK(ended.code == 0);
    CHECK(ended.out.starts_with("hello\nbye\ncompleted"));
    CHECK(contains(ended.err, "running"));
    CHECK(project.run({"attach", id}).out.starts_with("completed"));
    CHECK(project.run({"attach", "none"}).code == 2);
}

TEST_CASE("attach follows all commands, also later ones, until none is left")
{
    Project project;
    CHECK(contains(project.run({"attach"}).err, "No commands are running or queued"));
    Program engine(project.start({"queue", "run", "-j", "1", "--keep"}));
    CHECK(eventually([&] { return fs::exists(project.records() / "queue/engine.lock"); }));
    CHECK(project.run({"run", "--detach", greets_until_go}).code == 0);
    project.wait_for_running(1);
    Program attach(project.start({"attach", "--json"}));
    CHECK(eventually([&] { return contains(attach.err(), "running"); }));
    CHECK(project.run({"run", "--detach", "exit 3", "--retry", "0"}).code == 0);
    CHECK(eventually([&] { return contains(attach.err(), "queued"); }));
    project.write("go", "");
    const auto ended = attach.wait();
    CHECK(ended.code == 1);
    const auto results = objects_of(ended.out);
    REQUIRE(results.size() == 2);
    CHECK(text_at(results[0], "status") == "completed");
    CHECK(text_at(results[1], "error_code") == "exit_3");
    // What attach has shown is still for wait.
    CHECK(objects_of(project.run({"wait", "--all", "--json"}).out).size() == 2);
    engine.signal(SIGTERM);
    engine.wait();
}

TEST_CASE("Ctrl-C leaves attach, and the commands continue")
{
    Project project;
    Program run(project.start({"run", greets_until_go}));
    project.wait_for_running(1);
    auto start = project.start({"attach"});
    start.terminal = true;
    Program attach(start);
    CHECK(eventually([&] { return contains(attach.screen(), "1 in flight, 0 queued"); }));
    attach.type("\x03");
    CHECK(attach.wait().code == 130);
    CHECK(contains(attach.screen(), "The commands continue to run"));
    project.write("go", "");
    CHECK(run.wait().code == 0);
}

TEST_SUITE_END();
