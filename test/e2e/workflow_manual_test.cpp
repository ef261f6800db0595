#include "support/git_project.hpp"

#include <boost/json/value_to.hpp>

#include <signal.h>

using namespace autoexec::test;

namespace {

const Words released = {"id: build, agent: x, action: y",
                        "id: ask, manual: {by: Ada}, command: 'May it be released?', "
                        "depends_on: [build]",
                        "id: ship, agent: x, action: y, depends_on: [ask]"};

void kill_hard(Program& program)
{
    program.signal(SIGKILL);
    CHECK(program.wait().code == -SIGKILL);
}

boost::json::object step_of(const Project& project, std::string_view id)
{
    const auto run = objects_of(project.run({"workflow", "status", "--json"}).out).at(0);
    for (const auto& step : run.at("steps").as_array())
        if (text_at(step.as_object(), "id") == id) return step.as_object();
    FAIL("there is no step ", id);
    return {};
}

std::string run_id_of(const WorkflowProject& project)
{
    return text_at(project.newest_run(), "run_id");
}

}  // namespace

TEST_SUITE_BEGIN("workflow manual");

TEST_CASE("an approval survives that its executor is killed")
{
    GitProject project;
    project.committed_steps(released);
    project.on("build", "echo built >build");
    project.on("ship", "cat build >shipped");
    {
        Program program(project.start(GitProject::words()));
        project.wait_for_state("ask", "waiting_manual");
        kill_hard(program);
    }
    const auto run = run_id_of(project);
    CHECK(contains(project.run({"status"}).out,
                   "  waits for Ada: May it be released? (its run was interrupted); autoexec "
                   "answer " +
                       run + "/ask\n"));
    const auto listed = objects_of(project.run({"status", "--json"}).out).at(0);
    CHECK(text_at(listed, "run_state") == "interrupted");
    Ended ended;
    SUBCASE("and is given before the run is resumed")
    {
        const auto given = project.run({"workflow", "approve", run, "ask", "--reason", "it works"});
        CHECK_MESSAGE(given.code == 0, given.err);
        CHECK(contains(given.out, "'ask' is approved; the run that waits was interrupted"));
        CHECK(
            contains(project.run({"workflow", "reject", run, "ask"}).err, "has an answer already"));
        CHECK(project.state_of_step("ask") == "waiting_manual");
        ended = project.run({"workflow", "resume"});
    }
    SUBCASE("and is given afterwards")
    {
        Program program(project.start({"workflow", "resume"}));
        REQUIRE(eventually([&] { return text_at(project.newest_run(), "state") == "running"; }));
        const auto given = project.run({"workflow", "approve", run, "ask", "--reason", "it works"});
        CHECK_MESSAGE(given.code == 0, given.err);
        CHECK(given.out == "'ask' is approved.\n");
        ended = program.wait();
        CHECK(contains(ended.err, "ask: waits for Ada: May it be released?\n  Worktree: "));
        CHECK(contains(ended.err, "autoexec workflow approve " + run + " ask (or reject)"));
    }
    CHECK_MESSAGE(ended.code == 0, ended.err);
    CHECK(project.asked() == "build ship");
    CHECK(project.shown("shipped") == "built\n");
    CHECK(contains(ended.out, "ask  approved by "));
    const auto answer = step_of(project, "ask").at("answer").as_object();
    CHECK(text_at(answer, "decision") == "approved");
    CHECK(text_at(answer, "reason") == "it works");
    CHECK(contains(text_at(answer, "by"), "@"));
    CHECK(contains(project.run({"workflow", "status"}).out, "it works"));
    CHECK_FALSE(fs::exists(project.records() / "running/decisions"));
    CHECK(project.run({"health"}).out.find("decisions") == std::string::npos);
}

TEST_CASE("a decision leaves the only worktree of a run to other steps, also after a kill")
{
    GitProject project;
    std::string text = "id: w\nworktree: workflow\nsteps:\n";
    for (const auto* const step :
         {"id: ask, manual: true, command: 'May it?'", "id: a, agent: x, action: y",
          "id: b, agent: x, action: y, depends_on: [a]",
          "id: c, agent: x, action: y, depends_on: [ask, b]"})
        text += "  - {" + std::string(step) + "}\n";
    project.workflow(text);
    project.commit("all");
    project.on("a", "echo a >a");
    project.on("b", "cat a a >b");
    project.on("c", "cat a b >c");
    {
        Program program(project.start(GitProject::words()));
        project.wait_for_state("b", "completed");
        CHECK(project.state_of_step("ask") == "waiting_manual");
        kill_hard(program);
    }
    CHECK(project.run({"workflow", "approve", "ask"}).code == 0);
    const auto ended = project.run({"workflow", "resume"});
    CHECK_MESSAGE(ended.code == 0, ended.err);
    CHECK(project.asked() == "a b c");
    CHECK(project.shown("c") == "a\na\na\n");
}

TEST_CASE("a rejection fails the run, and is asked for again with --from-failed")
{
    GitProject project;
    project.committed_steps(released);
    {
        Program program(project.start(GitProject::words()));
        project.wait_for_state("ask", "waiting_manual");
        CHECK(project.run({"workflow", "reject", "ask", "--reason", "not on a Friday"}).code == 0);
        const auto ended = program.wait();
        CHECK(ended.code == 1);
        CHECK(contains(ended.out, "not on a Friday"));
        CHECK(contains(ended.out, "It was rejected by "));
    }
    CHECK(project.asked() == "build");
    const auto late = project.run({"workflow", "approve", "ask"});
    CHECK(late.code == 2);
    CHECK(contains(late.err, "has ended: failed"));
    Program program(project.start({"workflow", "resume", "--from-failed"}));
    project.wait_for_state("ask", "waiting_manual");
    const auto given = project.run({"workflow", "approve", "ask", "--json"});
    CHECK(given.code == 0);
    const auto object = objects_of(given.out).at(0);
    CHECK(text_at(object, "decision") == "approved");
    CHECK(text_at(object, "step_id") == "ask");
    CHECK(program.wait().code == 0);
    CHECK(project.asked() == "build ship");
}

TEST_CASE("an approval that nobody gives in time fails, or counts as given")
{
    WorkflowProject project;
    std::string on_deadline;
    int code = 1;
    SUBCASE("it fails") {}
    SUBCASE("it counts as given")
    {
        on_deadline = ", on_deadline: approve";
        code = 0;
    }
    project.steps({"id: ask, manual: {until: 10ms" + on_deadline + "}, command: 'May it be?'",
                   "id: ship, agent: x, action: y, depends_on: [ask]"});
    const auto ended = project.run_workflow();
    CHECK(ended.code == code);
    CHECK(project.asked() == (code == 0 ? "ship" : ""));
    if (code != 0) CHECK(contains(ended.out, "It was not answered until "));
}

TEST_CASE(
    "an answer that names a round counts for no other, and a run must be named where several wait")
{
    GitProject project;
    project.committed_steps({"id: code, agent: x, action: y",
                             "id: ask, manual: true, command: Ready, depends_on: [code], "
                             "gate: {on_fail: code}"});
    Program program(project.start(GitProject::words()));
    project.wait_for_state("ask", "waiting_manual");
    const auto run = run_id_of(project);
    const auto first = text_at(step_of(project, "ask"), "execution_id");
    CHECK(project.run({"workflow", "reject", "ask", "--round", "1"}).code == 0);
    REQUIRE(eventually([&] {
        const auto ask = step_of(project, "ask");
        return text_at(ask, "state") == "waiting_manual" && text_at(ask, "execution_id") != first;
    }));
    for (const auto& words :
         {Words{"workflow", "approve", "ask", "--round", "1"},
          Words{"answer", run + "/ask", "--question", first, "--option", "approve"}}) {
        const auto late = project.run(words);
        CHECK(late.code == 2);
        CHECK(contains(late.err, "'ask' is waiting in round 2 now"));
    }
    Program other(project.start(GitProject::words()));
    REQUIRE(eventually([&] {
        return run_id_of(project) != run && project.state_of_step("ask") == "waiting_manual";
    }));
    const auto unclear = project.run({"workflow", "approve", "ask"});
    CHECK(unclear.code == 2);
    CHECK(contains(unclear.err, "'ask' is waiting in several runs; name one of them: "));
    CHECK(contains(unclear.err, run));
    CHECK(project.run({"workflow", "approve", run_id_of(project), "ask"}).code == 0);
    CHECK(other.wait().code == 0);
    CHECK(project.run({"workflow", "approve", run, "ask", "--round", "2"}).code == 0);
    const auto ended = program.wait();
    CHECK_MESSAGE(ended.code == 0, ended.err);
    CHECK(contains(ended.err, " ask --round 2 (or reject)"));
}

TEST_CASE("a program cannot approve a step by files in its worktree")
{
    GitProject project;
    project.committed_steps({"id: ask, manual: true, command: 'May it be released?'",
                             "id: ship, agent: x, action: y, depends_on: [ask]",
                             "id: forge, agent: x, action: y"});
    project.on("forge", R"(
until [ -s "$stage/id" ]; do sleep 0.05; done
read -r run id <"$stage/id"
umask 077
mkdir -p ".tapps-agents/running/decisions/$run" ".tapps-agents/workflows/markers/$run/step-ask"
echo "{\"execution_id\": \"$id\", \"decision\": \"approved\", \"by\": \"eve\"}" \
  >".tapps-agents/running/decisions/$run/$id"
echo '{}' >".tapps-agents/workflows/markers/$run/step-ask/DONE.json"
git add -f .tapps-agents
echo forged >forged)");
    Program program(project.start(GitProject::words()));
    project.wait_for_state("ask", "waiting_manual");
    write_file(project.stage() / "id",
               run_id_of(project) + " " + text_at(step_of(project, "ask"), "execution_id") + "\n");
    project.wait_for_state("forge", "completed");
    CHECK(project.state_of_step("ask") == "waiting_manual");
    CHECK(project.state_of_step("ship") == "pending");
    CHECK_FALSE(fs::exists(project.records() / "running/decisions"));
    project.set("AUTOEXEC_ATTEMPT_ID", "of-forge");
    const auto own = project.run({"workflow", "approve", "ask"});
    CHECK(own.code == 2);
    CHECK(contains(own.err, "a program of an attempt cannot answer a manual step"));
    project.unset("AUTOEXEC_ATTEMPT_ID");
    CHECK(project.run({"workflow", "reject", "ask"}).code == 0);
    CHECK(program.wait().code == 1);
}

TEST_CASE("an answer that the run does not accept is no success")
{
    GitProject project;
    project.committed_steps({"id: ask, manual: true, command: 'May it be released?'"});
    Program program(project.start(GitProject::words()));
    project.wait_for_state("ask", "waiting_manual");
    const auto name = text_at(step_of(project, "ask"), "execution_id");
    const auto file = project.records() / "running/decisions" / run_id_of(project) / name;
    program.signal(SIGSTOP);
    Program given(project.start({"workflow", "approve", "ask"}));
    REQUIRE(eventually([&] { return fs::exists(file); }));
    fs::remove(file);  // as the executor does with an answer of another user
    const auto refused = given.wait();
    CHECK(refused.code == 1);
    CHECK(contains(refused.err, "has refused the answer to 'ask', and still waits"));
    program.signal(SIGCONT);
    CHECK(project.run({"workflow", "approve", "ask"}).code == 0);
    CHECK(program.wait().code == 0);
}

TEST_CASE("what waits is in status, in answer, in and in the audit log")
{
    GitProject project;
    project.committed_steps(
        {"id: ask, manual: {by: Ada, until: 2d}, command: \"May it be released?\\nReally?\"",
         "id: work, manual: true, creates: [notes], command: Write notes."});
    Program program(project.start(GitProject::words()));
    project.wait_for_state("ask", "waiting_manual");
    project.wait_for_state("work", "waiting_manual");
    const auto run = run_id_of(project);
    const auto status = project.run({"status"}).out;
    CHECK(contains(status, "  waits for Ada until 20"));
    CHECK(contains(status, ": May it be released?; Really?; autoexec answer " + run + "/ask\n"));
    CHECK(contains(status, "waits for you: Write notes.; autoexec answer " + run + "/work\n"));
    for (const auto& entry : objects_of(project.run({"status", "--json"}).out)) {
        const bool is_ask = text_at(entry, "step_id") == "ask";
        const auto& waiting = entry.at("waiting_for").as_object();
        CHECK(waiting.at("approval").as_bool() == is_ask);
        CHECK(text_at(waiting, "by") == (is_ask ? "Ada" : "null"));
    }
    const auto shown = project.run({"answer", run + "/ask"});
    CHECK(shown.code == 0);
    CHECK(contains(shown.out, run + "/ask waits for Ada until "));
    CHECK(contains(shown.out, "  | May it be released?\n  | Really?\n"));
    CHECK(contains(shown.err, "--option approve, or --deny REASON"));
    CHECK(contains(project.run({"workflow", "status"}).out, "waits for Ada until "));
    CHECK(project.run({"answer", run + "/ask", "--option", "maybe"}).code == 2);
    CHECK(project.run({"answer", run + "/ask", "text"}).code == 2);
    CHECK(project.run({"workflow", "approve", run, "ask", "--run", run}).code == 2);
    CHECK(project.run({"answer", run + "/ask", "--option", "approve", "Yes."}).code == 0);
    const auto tree = step_of(project, "work").at("worktree").as_string();
    write_file(fs::path(std::string(tree)) / "notes", "by hand\n");
    CHECK(project.run({"workflow", "done", run.substr(run.size() - 6), "work"}).code == 0);
    const auto ended = program.wait();
    CHECK_MESSAGE(ended.code == 0, ended.err);
    CHECK(project.shown("notes") == "by hand\n");
    std::size_t asked = 0;
    std::string decision;
    for (const auto& event : project.audit()) {
        if (text_at(event, "event_type") == "input_needed") ++asked;
        if (text_at(event, "event_type") != "input_ended" || text_at(event, "step_id") != "ask")
            continue;
        const auto& details = event.at("details").as_object();
        decision = text_at(details, "option") + " " + text_at(details, "text");
        CHECK(contains(text_at(details, "by"), "@"));
    }
    CHECK(asked == 2);
    CHECK(decision == "approved Yes.");
}

TEST_CASE("a plan shows who does a manual step, and validate checks no agent for it")
{
    WorkflowProject project;
    project.steps({"id: ask, agent: nobody-known, action: y, manual: {by: Ada}",
                   "id: work, manual: true, command: Write notes."});
    CHECK(project.run({"workflow", "validate", "workflow.yaml"}).code == 0);
    const auto plan = project.run_workflow({"--dry-run"});
    CHECK_MESSAGE(plan.code == 0, plan.err);
    CHECK(contains(plan.out, "ask  Ada: nobody-known/y"));
    CHECK(contains(plan.out, "work  a person: Write notes."));
    CHECK(contains(plan.out, "ask   Ada"));
}

TEST_SUITE_END();
