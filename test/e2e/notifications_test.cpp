#include "support/terminal.hpp"
#include "support/workflow_project.hpp"
#include "text/text.hpp"

#include <csignal>
#include <set>
#include <string>
#include <utility>

using namespace autoexec::test;
using autoexec::text::quote_words;

namespace {

/// A project whose user has a program for notifications, which keeps them.
struct NotifiedProject : Project {
    NotifiedProject()
    {
        const auto hook = root().parent_path() / "hook";
        write_file(hook, "#!/bin/sh\ncat >>\"$1\"\n");
        fs::permissions(hook, fs::perms::owner_all);
        set("AUTOEXEC_NOTIFY_PROGRAM", quote_words(Words{hook, told}));
    }

    void configure(const std::string& events, const std::string& more = {}) const
    {
        write(".tapps-agents/auto_execution_config.yaml",
              "auto_execution:\n  notify: {" + events + "}\n" + more);
    }
    [[nodiscard]] std::vector<boost::json::object> messages() const
    {
        return objects_of(fs::exists(told) ? read_file(told) : "");
    }

    const fs::path told = root().parent_path() / "told";
};

}  // namespace

TEST_CASE("the end of a run with several commands, and the first failure, are notified")
{
    NotifiedProject project;
    project.configure("failed: true, run_ended: true",
                      "  retry: {enabled: false}\n  breaker: {max_failures: 0}\n");
    const auto ended = project.run({"run", "--list", "-"},
                                   "{\"command\": \"true\"}\n{\"command\": \"exit 3\"}\n"
                                   "{\"command\": \"true\"}\n");
    CHECK_MESSAGE(ended.code == 1, ended.err);
    auto messages = project.messages();
    REQUIRE(messages.size() == 2);
    // Two programs at once: either may write first.
    if (text_at(messages[0], "kind") == "run_ended") std::swap(messages[0], messages[1]);
    CHECK(text_at(messages[0], "kind") == "failed");
    CHECK(text_at(messages[0], "command") == "exit 3");
    CHECK(text_at(messages[0], "error_code") == "exit_3");
    CHECK(text_at(messages[0], "project") == fs::canonical(project.root()).string());
    CHECK(text_at(messages[1], "kind") == "run_ended");
    CHECK(messages[1].at("completed") == 2);
    CHECK(messages[1].at("failed") == 1);
    CHECK(contains(text_at(messages[1], "text"), "3 commands in "));
}

TEST_CASE("a run of one command is notified once, and only of what is configured")
{
    NotifiedProject project;
    project.configure("completed: true, run_ended: true");
    CHECK(project.run({"run", "true"}).code == 0);
    CHECK(project.messages().size() == 1);
    project.configure("run_ended: true");
    CHECK(project.run({"run", "true"}).code == 0);
    REQUIRE(project.messages().size() == 2);
    CHECK(text_at(project.messages()[1], "kind") == "run_ended");
    project.configure("failed: true");
    CHECK(project.run({"run", "true"}).code == 0);
    CHECK(project.messages().size() == 2);
}

TEST_CASE("a workflow notifies of steps that fail or wait for a person, and of its end")
{
    NotifiedProject project;
    project.configure("needs_input: true, failed: true, run_ended: true");
    project.write("one.yaml", "id: one\nsteps:\n  - {id: a, command: Sign the tag.}\n");
    project.commit("all");
    Program run(project.start({"workflow", "run", "--manual", "one.yaml"}));
    REQUIRE(eventually([&] { return !project.messages().empty(); }));
    const auto waits = project.messages()[0];
    CHECK(text_at(waits, "kind") == "needs_input");
    CHECK(text_at(waits, "event") == "step_waiting");
    CHECK(text_at(waits, "step_id") == "a");
    CHECK(project.run({"workflow", "fail", "a", "--reason", "no key"}).code == 0);
    CHECK(run.wait().code == 1);
    const auto messages = project.messages();
    REQUIRE(messages.size() == 2);
    CHECK(text_at(messages[1], "kind") == "run_ended");
    CHECK(text_at(messages[1], "status") == "failed");
    CHECK(text_at(messages[1], "workflow_id") == "one");
    CHECK_FALSE(messages[1].contains("steps"));
}

TEST_CASE("a manual step notifies of who is asked, and what")
{
    NotifiedProject project;
    project.configure("needs_input: true");
    project.write(
        "one.yaml",
        "id: one\nsteps:\n  - {id: a, manual: {by: Ada}, command: 'May it be released?'}\n");
    project.commit("all");
    Program run(project.start({"workflow", "run", "one.yaml"}));
    REQUIRE(eventually([&] { return !project.messages().empty(); }));
    const auto waits = project.messages()[0];
    CHECK(text_at(waits, "kind") == "needs_input");
    CHECK(contains(text_at(waits, "text"), "): waits for Ada: May it be released?"));
    CHECK(text_at(waits.at("waiting_for").as_object(), "by") == "Ada");
    CHECK(project.run({"workflow", "approve", "a"}).code == 0);
    CHECK(run.wait().code == 0);
    CHECK(project.messages().size() == 1);
}

TEST_CASE("a spent budget is notified once")
{
    NotifiedProject project;
    project.configure("budget: true", "  budget: {max_cost_per_run: 0.1}\n");
    project.write("paid",
                  "echo '{\"type\":\"result\",\"subtype\":\"success\",\"is_error\":false,"
                  "\"total_cost_usd\":0.42}'\n");
    project.add_agent("paid", "/bin/sh '" + (project.root() / "paid").string() + "' {command}",
                      {"outcome: claude"});
    const auto ended = project.run({"run", "-j", "1", "--list", "-"},
                                   "{\"command\": \"a\"}\n{\"command\": \"b\"}\n"
                                   "{\"command\": \"c\"}\n");
    CHECK(ended.code == 1);
    const auto messages = project.messages();
    REQUIRE(messages.size() == 1);
    CHECK(text_at(messages[0], "kind") == "budget");
    CHECK(contains(text_at(messages[0], "reason"), "this run"));
}

TEST_CASE("a terminal rings and gets the text, a pipe gets nothing")
{
    Project project;
    project.set("AUTOEXEC_NOTIFY_BELL", "true");
    project.set("AUTOEXEC_NOTIFY_COMPLETED", "true");
    project.set("TERM", "xterm");
    Program program(on_terminal(project, {"run", "echo \x01; true"}));
    CHECK(program.wait().code == 0);
    CHECK(
        contains(program.screen(), "\a\x1b]9;autoexec: completed in project: echo \\x01; true\a"));
    CHECK_FALSE(contains(project.run({"run", "true"}).err, "\a"));
}

TEST_CASE("a program for notifications that is missing or fails changes no result")
{
    Project project;
    project.set("AUTOEXEC_NOTIFY_COMPLETED", "true");
    project.set("AUTOEXEC_NOTIFY_PROGRAM", "no-such-hook");
    auto ended = project.run({"run", "true"});
    CHECK(ended.code == 0);
    CHECK(contains(ended.err,
                   "warning: notify.program: no executable program 'no-such-hook' in PATH"));
    project.set("AUTOEXEC_NOTIFY_PROGRAM", "/bin/sh -c 'echo broken >&2; exit 3'");
    ended = project.run({"run", "true"});
    CHECK(ended.code == 0);
    CHECK(contains(ended.err, "notify.program: /bin/sh: it exited with code 3: broken"));
}

TEST_CASE("an interrupt ends the wait for a program that hangs, after the results")
{
    Project project;
    project.set("AUTOEXEC_NOTIFY_COMPLETED", "true");
    project.set("AUTOEXEC_NOTIFY_PROGRAM", "/bin/sh -c 'touch called; sleep 1000'");
    Program run(project.start({"run", "true"}));
    REQUIRE(eventually([&] { return fs::exists(project.root() / "called"); }));
    run.signal(SIGINT);
    // The first one counts as an interrupt of the run if the agent is still being stopped.
    if (!run.ends_within(std::chrono::seconds{5})) run.signal(SIGINT);
    const auto ended = run.wait();
    CHECK((ended.code == 0 || ended.code == 130));
    CHECK(contains(ended.out, "completed"));
}

TEST_CASE("the project's own configuration names no program for notifications")
{
    Project project;
    project.write("evil", "#!/bin/sh\ntouch ran\n");
    fs::permissions(project.root() / "evil", fs::perms::owner_all);
    project.write(".tapps-agents/auto_execution_config.yaml",
                  "auto_execution:\n  notify: {completed: true, program: ./evil}\n");
    const auto ended = project.run({"run", "true"});
    CHECK(ended.code == 0);
    CHECK(contains(ended.err, "A project cannot set notify.program"));
    CHECK_FALSE(fs::exists(project.root() / "ran"));
}

TEST_CASE("the engine of the queue notifies of ends, and that the queue is empty")
{
    NotifiedProject project;
    project.configure("failed: true, run_ended: true",
                      "  retry: {enabled: false}\n  breaker: {max_failures: 0}\n");
    project.write("jobs", "{\"command\": \"true\"}\n{\"command\": \"exit 3\"}\n");
    CHECK(project.run({"run", "--detach", "--list", "jobs"}).code == 0);
    CHECK(project.run({"wait", "--all"}).code == 1);
    CHECK(eventually([&] { return project.processes().empty(); }));
    std::set<std::string> kinds;
    for (const auto& message : project.messages()) kinds.insert(text_at(message, "kind"));
    CHECK(kinds == std::set<std::string>{"failed", "run_ended"});
}
