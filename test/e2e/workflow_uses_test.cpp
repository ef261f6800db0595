#include "support/git_project.hpp"
#include "support/sweep.hpp"

using namespace autoexec::test;

/// Steps that use other workflows, with agents and git.

namespace {

constexpr auto task_file = R"(id: task
params: {task: null}
env: {TASK: '{params.task}'}
steps:
  - {id: code, agent: x, action: y, idempotent: true}
  - {id: review, agent: x, action: y, idempotent: true, depends_on: [code], results: review.json,
     gate: {condition: ok, on_fail: code}}
  - {id: file, agent: x, action: y, idempotent: true, depends_on: [review]}
)";

// A plan names tasks, each is written and reviewed, and a step uses the work of all.
const Words steps = {
    "id: plan, agent: x, action: y, idempotent: true, results: reports/plan.json",
    "id: do, for_each: plan.results.tasks, uses: flows/task.yaml, params: {task: '{item}'}, "
    "results: 'reports/{item}.json'",
    "id: sum, agent: x, action: y, idempotent: true, depends_on: [do], "
    "params: {ok: '{steps.do.results.ok}'}"};

void prepare(GitProject& project)
{
    project.write("flows/task.yaml", task_file);
    project.committed_steps(steps);
    project.on("plan", "echo '{\"tasks\": [\"tea\", \"water\"]}' >$results");
    project.on("code", "echo \"$TASK $AUTOEXEC_ROUND\" >\"$TASK.txt\"");
    project.on("review",
               "[ \"$AUTOEXEC_ROUND\" -ge 2 ] && ok=true || ok=false; echo \"{\\\"ok\\\": $ok}\" "
               ">$results");
    project.on("file", "mkdir -p reports; mv -f review.json \"reports/$TASK.json\"");
    project.on("sum", "cat tea.txt water.txt >all.txt");
}

std::string child_of(const GitProject& project, std::string_view id)
{
    const auto run = project.newest_run();
    if (run.empty()) return {};
    for (const auto& step : run.at("steps").as_array())
        if (text_at(step.get_object(), "id") == id && step.get_object().contains("child_run"))
            return text_at(step.get_object(), "child_run");
    return {};
}

}  // namespace

TEST_SUITE_BEGIN("workflow uses");

TEST_CASE("each task of a plan runs a workflow of its own, and the work of all is merged")
{
    GitProject project;
    prepare(project);
    const auto ended = project.go();
    CHECK_MESSAGE(ended.code == 0, ended.err);
    CHECK(project.shown("all.txt") == "tea 2\nwater 2\n");
    CHECK(project.listed() ==
          "all.txt file flows/task.yaml reports/plan.json reports/tea.json reports/water.json "
          "tea.txt water.txt workflow.yaml");
    CHECK(contains(read_file(project.stage() / "commands"), "@x y --ok '[true, true]'"));
    CHECK(project.is_untouched());
    CHECK(contains(ended.err, "do.2/review: Back to 'code'; running again: do.2/code, "));
    CHECK(contains(steps_with(ended, "completed"), "do.1/file"));

    const auto run_id = text_at(project.newest_run(), "run_id");
    const auto child = child_of(project, "do.1");
    const auto other = child_of(project, "do.2");
    REQUIRE(child.starts_with("task-"));
    CHECK(contains(project.run({"workflow", "status"}).out, child));
    CHECK(contains(project.run({"workflow", "status", child}).out,
                   "Child run of the step do.1 of " + run_id));
    const auto listed = lines_of(project.run({"workflow", "list", "--limit", "1"}).out);
    REQUIRE(listed.size() == 3);
    CHECK(contains(listed[0], run_id));
    CHECK(contains(listed[1] + listed[2], "  " + child));
    CHECK(contains(listed[1] + listed[2], "  " + other));
    const auto refused = project.run({"workflow", "resume", child});
    CHECK(refused.code == 2);
    CHECK(contains(refused.err, "autoexec workflow resume " + run_id));

    const auto gc = project.run({"worktree", "gc", "--delete-branches"});
    CHECK_MESSAGE(gc.code == 0, gc.err);
    CHECK(project.git({"branch", "--list", "workflow/*"}) == "  " + project.branch() + "\n");
    CHECK(project.shown("all.txt") == "tea 2\nwater 2\n");
}

TEST_CASE("a run with child runs is resumed wherever it was killed, with the same result" *
          doctest::test_suite("sweep"))
{
    std::string expected;
    std::size_t all = 0;
    const std::size_t stride = is_long_form() ? 1 : 13;
    for (std::size_t moment = 0; moment == 0 || moment <= all; moment += stride) {
        CAPTURE(moment);
        GitProject project;
        prepare(project);
        if (moment == 0) {
            REQUIRE(project.go().code == 0);
            expected = project.listed() + project.shown("all.txt");
            all = project.lines_in_journals();
            CHECK(all >= 50);
            continue;
        }
        project.go_with_kill_at(moment);
        CHECK(project.listed() + project.shown("all.txt") == expected);
        CHECK(project.is_untouched());
    }
}

TEST_CASE("a person answers a step of a child run, and a cancellation ends it with its parent run")
{
    GitProject project;
    project.write("ask.yaml", "id: ask\nsteps: [{id: fine, manual: true, command: 'Fine?'}]\n");
    project.committed_steps(
        {"id: do, uses: ask.yaml", "id: more, uses: ask.yaml, depends_on: [do]"});
    Program program(project.start(GitProject::words()));
    const auto is_waiting = [&](std::string_view step) {
        const auto child = child_of(project, step);
        return !child.empty() &&
               contains(project.run({"workflow", "status", child}).out, "waits for you");
    };
    REQUIRE(eventually([&] { return is_waiting("do"); }));
    const auto answered = project.run({"workflow", "approve", child_of(project, "do"), "fine"});
    CHECK_MESSAGE(answered.code == 0, answered.err);
    REQUIRE(eventually([&] { return is_waiting("more"); }));
    CHECK(project.run({"workflow", "cancel"}).code == 0);
    const auto ended = program.wait();
    CHECK(ended.code == 130);
    CHECK(contains(ended.err, "do/fine: waits for you"));
    CHECK(contains(project.run({"workflow", "status", child_of(project, "more")}).out,
                   "cancelled, "));
}

TEST_SUITE_END();
