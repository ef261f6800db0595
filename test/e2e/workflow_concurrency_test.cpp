#include "support/git_project.hpp"

#include <doctest/doctest.h>
#include <boost/json/array.hpp>

#include <csignal>

using namespace autoexec::test;

namespace {

constexpr char waits_for_go[] = "until [ -e \"$stage/go\" ]; do sleep 0.05; done";

/// Runs of `workflow.yaml` wait in the step `a` until they may go on; those of `newer.yaml`, of the
/// same group, cancel the active run.
struct GroupedProject : GitProject {
    GroupedProject()
    {
        workflow("id: older\nconcurrency: deploy\nsteps:\n  - {id: a, agent: x, action: y}\n");
        write("newer.yaml",
              "id: newer\nconcurrency: {group: deploy, on_busy: cancel_running}\nsteps:\n"
              "  - {id: b, agent: x, action: y}\n");
        commit("Workflows");
        on("a", waits_for_go);
    }

    void go_on() const { write_file(stage() / "go", ""); }

    /// The id of the newest run, once it waits for `holder`.
    [[nodiscard]] std::string id_of_waiting(const std::string& holder) const
    {
        boost::json::object run;
        const auto waits = [&] {
            run = newest_run();
            return !run.empty() && text_at(run, "state") == "waiting";
        };
        REQUIRE(eventually(waits));
        const auto& wait = run.at("waits_for").as_object();
        CHECK(text_at(wait, "group") == "deploy");
        CHECK(text_at(wait, "run_id") == holder);
        return text_at(run, "run_id");
    }

    [[nodiscard]] std::string state_of(const std::string& run_id) const
    {
        return text_at(objects_of(run({"workflow", "status", run_id, "--json"}).out).at(0),
                       "state");
    }
};

}  // namespace

TEST_SUITE_BEGIN("workflow concurrency");

TEST_CASE("a run waits for the active run of its group, and shows that")
{
    GroupedProject project;
    Program first(project.start(GitProject::words()));
    project.wait_until_asked("a");
    const auto holder = text_at(project.newest_run(), "run_id");
    const auto detached = project.run(GitProject::words({"--detach"}));
    REQUIRE_MESSAGE(detached.code == 0, detached.err);
    const auto waiting = project.id_of_waiting(holder);
    CHECK(detached.out == waiting + "\n");
    const auto words = "waits for " + holder + " of group 'deploy'\n";
    CHECK(contains(project.run({"workflow", "list"}).out, waiting + "  " + words));
    CHECK(contains(project.run({"workflow", "status"}).out, words));
    CHECK(project.run({"workflow", "validate", "workflow.yaml"}).code == 0);
    CHECK(project.run(GitProject::words({"--dry-run"})).code == 0);
    const auto cancelled = project.run({"workflow", "cancel", waiting});
    CHECK_MESSAGE(cancelled.code == 0, cancelled.err);
    CHECK(project.state_of(waiting) == "cancelled");

    Program interrupted(project.start({"workflow", "resume", waiting}));
    CHECK(project.id_of_waiting(holder) == waiting);
    interrupted.signal(SIGINT);
    const auto end = interrupted.wait();
    CHECK(end.code == 130);
    CHECK(contains(end.err, "Waits for " + holder + " of group 'deploy'"));

    Program last(project.start(GitProject::words({"--json"})));
    const auto id = project.id_of_waiting(holder);
    project.go_on();
    CHECK(first.wait().code == 0);
    const auto ended = last.wait();
    CHECK_MESSAGE(ended.code == 0, ended.err);
    CHECK(contains(ended.out, "\"run_waiting\""));
    CHECK(project.state_of(id) == "completed");
    CHECK(project.asked() == "a a");
    CHECK(Project::names_in(project.records() / "workflow-state/groups").empty());
}

TEST_CASE("a killed run frees its group")
{
    GroupedProject project;
    std::string holder;
    {
        Program killed(project.start(GitProject::words()));
        project.wait_until_asked("a");
        holder = text_at(project.newest_run(), "run_id");
        Program next(project.start(GitProject::words()));
        (void)project.id_of_waiting(holder);
        project.on("a", "true");
        killed.signal(SIGKILL);
        (void)killed.wait();
        const auto ended = next.wait();
        CHECK_MESSAGE(ended.code == 0, ended.err);
    }
    CHECK(project.state_of(holder) == "interrupted");
    CHECK(project.asked() == "a a");
    // An interrupted run does not have the group, and takes it when it is resumed.
    const auto resumed = project.resume({holder, "--from-failed"});
    CHECK_FALSE(contains(resumed.err, "Waits for"));
}

TEST_CASE("a run waits for the programs of a killed run of its group")
{
    GroupedProject project;
    const auto busy = (project.stage() / "busy").string();
    const auto runs = [&](const std::string& script) {
        return "concurrency: deploy\nsteps:\n  - id: a\n    argv: [sh, -c, '" + script + "', '" +
               busy + "']\n";
    };
    // Its executor is dead then, and reads no errors: a message would end the shell.
    project.write("slow.yaml", "id: slow\n" + runs("exec 2>/dev/null; "
                                                   R"(trap "sleep 0.5; rmdir $0; exit" TERM; )"
                                                   R"(mkdir "$0"; while :; do sleep 0.05; done)"));
    project.write("next.yaml", "id: next\n" + runs(R"(! [ -e "$0" ])"));
    project.commit("Slow programs");
    Program killed(project.start({"workflow", "run", "slow.yaml"}));
    REQUIRE(eventually([&] { return fs::exists(busy); }));
    const auto holder = text_at(project.newest_run(), "run_id");
    Program next(project.start({"workflow", "run", "next.yaml"}));
    (void)project.id_of_waiting(holder);
    killed.signal(SIGKILL);
    (void)killed.wait();
    const auto ended = next.wait();
    CHECK_MESSAGE(ended.code == 0, ended.err);
}

TEST_CASE("a run can cancel the active run of its group")
{
    GroupedProject project;
    Program first(project.start(GitProject::words()));
    project.wait_until_asked("a");
    const auto holder = text_at(project.newest_run(), "run_id");
    const auto ended = project.run({"workflow", "run", "newer.yaml"});
    CHECK_MESSAGE(ended.code == 0, ended.err);
    CHECK(contains(ended.err, "Cancels " + holder + " of group 'deploy', and waits for its end"));
    CHECK(first.wait().code == 130);
    CHECK(project.state_of(holder) == "cancelled");
}

TEST_CASE("a step cannot start a run of the group of its own run")
{
    GroupedProject project;
    project.write("outer.yaml", "id: outer\nconcurrency: deploy\nsteps:\n  - {id: in, argv: ['" +
                                    program_path + "', workflow, run, newer.yaml, --in-place]}\n");
    const auto ended = project.run({"workflow", "run", "outer.yaml", "--in-place"});
    CHECK(ended.code == 1);
    CHECK(contains(ended.err, "it would wait for its own end"));
}

TEST_CASE("nor can a run of another group that a step has started")
{
    GroupedProject project;
    const auto starts = [](const std::string& file) {
        return "steps:\n  - {id: in, argv: ['" + program_path + "', workflow, run, " + file +
               "]}\n";
    };
    project.write("outer.yaml", "id: outer\nconcurrency: deploy\n" + starts("middle.yaml"));
    project.write("middle.yaml", "id: middle\nconcurrency: other\n" + starts("newer.yaml"));
    project.commit("Nested runs");
    CHECK(project.run({"workflow", "run", "outer.yaml"}).code == 1);
    const auto newest = project.newest_run();
    CHECK(text_at(newest, "workflow_id") == "newer");
    CHECK(contains(text_at(newest, "error"), "it would wait for its own end"));
}

TEST_SUITE_END();
