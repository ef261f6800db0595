#include "support/workflow_project.hpp"

using namespace autoexec::test;

namespace {

/// The last line of a run with `--json`.
boost::json::object result_of(const Ended& ended)
{
    const auto lines = objects_of(ended.out);
    REQUIRE_MESSAGE(!lines.empty(), ended.err);
    CHECK(text_at(lines.back(), "event") == "result");
    return lines.back();
}

boost::json::object step_in(const boost::json::object& result, std::string_view id)
{
    for (const auto& step : result.at("steps").as_array())
        if (text_at(step.get_object(), "id") == id) return step.get_object();
    FAIL("there is no step ", id);
    return {};
}

std::string state_in(const boost::json::object& result, std::string_view id)
{
    return text_at(step_in(result, id), "state");
}

}  // namespace

TEST_CASE("steps run in the order that their artifacts ask for, and the closing one is last")
{
    WorkflowProject project;
    project.steps({"id: finish, agent: orchestrator, action: finalize",
                   "id: test, agent: tester, action: test, requires: [src/], next: finish",
                   "id: code, agent: implementer, action: implement, requires: [plan.md], "
                   "creates: [src/]",
                   "id: plan, agent: planner, action: plan, creates: [plan.md]"});
    project.on("plan", "echo >plan.md");
    project.on("code", "mkdir -p src && echo >src/a");
    const auto ended = project.run_workflow();
    CHECK_MESSAGE(ended.code == 0, ended.err);
    CHECK(project.asked() == "plan code test");
    CHECK(steps_with(ended, "completed") == "plan code test finish");
    CHECK(contains(ended.err, "w completed in"));
    CHECK(contains(ended.err, "4 completed"));
    CHECK(contains(ended.err, "Critical path: plan"));
    CHECK(contains(ended.err, ".tapps-agents/workflow-state/w-"));
    CHECK(contains(project.commands().front(), "@planner plan"));
    CHECK(project.metrics().size() == 3);
}

TEST_CASE("parameters come into commands as what the workflow declares, or as what they look like")
{
    WorkflowProject project;
    project.workflow(R"(
id: w
params: {title: null, name: plain, count: 3, loud: false}
steps:
  - id: a
    agent: writer
    action: write
    params: {title: "{params.title}", twice: "{params.count}", name: "{params.name}"}
  - id: b
    agent: implementer
    action: implement
  - {id: c, agent: writer, action: shout, condition: "params.loud and params.count > 3"}
)");
    auto ended =
        project.run_workflow({"--param", "title=1.10", "--param", "count=4", "--param", "loud=true",
                              "--param=name=true", "-p", "say \"hi\"; $(no)"});
    CHECK_MESSAGE(ended.code == 0, ended.err);
    CHECK(project.asked() == "a b c");
    CHECK(project.commands()[0] ==
          R"(@writer write --title 1.10 --twice 4 --name true --prompt 'say "hi"; $(no)')");
    CHECK(project.commands()[1] == R"(@implementer implement --specification 'say "hi"; $(no)')");

    ended = project.run_workflow({"--param", "title=", "--param", "count=2.5"});
    CHECK_MESSAGE(ended.code == 0, ended.err);
    CHECK(project.commands()[3] == "@writer write --title '' --twice 2.5 --name plain");
    CHECK(steps_with(ended, "skipped") == "c");

    // A prompt is prose, whatever it looks like.
    ended = project.run_workflow({"--param", "title=x", "--prompt", "true"});
    CHECK(contains(project.commands()[6], "--specification true"));
}

TEST_CASE("wrong parameters are reported, and nothing starts")
{
    WorkflowProject project;
    project.workflow(
        "id: w\nparams: {title: null, count: 3}\nsteps:\n"
        "  - {id: a, agent: a, action: a}\n");
    for (const auto& [words, problem] : std::vector<std::pair<Words, std::string>>{
             {{}, "workflow.yaml:2:10: error: The parameter 'title' must be given"},
             {{"--param", "title=a", "--param", "count=many"}, "'count' must be a number"},
             {{"--param", "title=a", "--param", "other=1"}, "no parameter 'other'"}}) {
        const auto ended = project.run_workflow(words);
        CHECK(ended.code == 3);
        CHECK_MESSAGE(contains(ended.err, problem), ended.err);
        CHECK(ended.out.empty());
    }
    for (const auto& words :
         std::vector<Words>{{"--param", "title"},
                            {"--param", "=x"},
                            {"--param", "title=a", "--param", "title=b"},
                            {"--param", "prompt=a", "--param", "title=a", "-p", "b"}})
        CHECK(project.run_workflow(words).code == 2);
    CHECK_FALSE(fs::exists(project.records()));
}

TEST_CASE("a gate sends back to an earlier step until it passes")
{
    WorkflowProject project;
    project.steps(
        {"id: code, agent: implementer, action: implement, creates: [src/]",
         "id: docs, agent: documenter, action: document, depends_on: [code]",
         "id: review, agent: reviewer, action: review, requires: [src/], results: r.json, "
         "scoring: {thresholds: {overall_min: 70}}, "
         "gate: {condition: scoring.passed, on_pass: finish, on_fail: code}",
         "id: finish, agent: orchestrator, action: finalize"});
    project.on("code", "mkdir -p src && echo $tries >src/a");
    project.on("review",
               "echo \"{\\\"scoring\\\": {\\\"overall\\\": $((tries * 30))}}\" >$results");
    const auto ended = project.run_workflow();
    CHECK_MESSAGE(ended.code == 0, ended.err);
    CHECK(project.asked() == "code docs review code docs review code docs review");
    CHECK(contains(ended.out, "review  (round 3)"));
    CHECK(contains(ended.err, "review: Back to 'code'"));
    CHECK(contains(ended.err, "review: The gate passed"));
    CHECK(steps_with(ended, "completed").ends_with(" finish"));
}

TEST_CASE("a gate that never passes ends after its rounds, and the workflow fails")
{
    WorkflowProject project;
    project.steps({"id: code, agent: implementer, action: implement",
                   "id: review, agent: reviewer, action: review, depends_on: [code], "
                   "results: r.json, gate: {condition: ok, on_fail: code, max_rounds: 2}"});
    project.on("review", "echo '{\"ok\": false}' >$results");
    const auto ended = project.run_workflow();
    CHECK(ended.code == 1);
    CHECK(project.asked() == "code review code review");
    CHECK(steps_with(ended, "failed") == "review");
    CHECK(contains(ended.err, "w failed in"));
    CHECK(contains(ended.err, "review failed: "));
    CHECK(contains(ended.err, "(autoexec logs "));
}

TEST_CASE("a step whose failure is tolerated fails, and the workflow continues")
{
    WorkflowProject project;
    project.steps({"id: a, agent: a, action: a, on_error: continue, metadata: {retry: {}}",
                   "id: b, agent: b, action: b, depends_on: [a]"});
    project.on("a", "exit 3");
    const auto ended = project.run_workflow();
    CHECK_MESSAGE(ended.code == 0, ended.err);
    CHECK(project.asked() == "a b");
    CHECK(steps_with(ended, "failed") == "a");
    CHECK(contains(ended.out, "(the workflow continues)"));
}

TEST_CASE("after a failure what does not build on it runs, unless it is to fail fast")
{
    const Words steps = {"id: a, agent: a, action: a", "id: b, agent: b, action: b",
                         "id: c, agent: c, action: c, depends_on: [a]",
                         "id: d, agent: d, action: d, depends_on: [b]"};
    for (const auto& words : std::vector<Words>{{}, {"--keep-going"}}) {
        WorkflowProject project;
        project.steps(steps);
        project.on("a", "exit 3");
        const auto ended = project.run_workflow(words);
        CHECK(ended.code == 1);
        CHECK(project.asked() == "a b d");
        CHECK(steps_with(ended, "skipped") == "c");
    }
    WorkflowProject project;
    project.steps(steps);
    project.on("a", "exit 3");
    const auto ended = project.run_workflow({"--fail-fast"});
    CHECK(ended.code == 1);
    CHECK(project.asked() == "a");
    CHECK(steps_with(ended, "skipped") == "b c d");
}

TEST_CASE("failing fast cancels what runs elsewhere")
{
    WorkflowProject project;
    const auto a = project.worktree("a").string();
    const auto b = project.worktree("b").string();
    project.steps({"id: fails, agent: a, action: a, worktree: " + a,
                   "id: runs, agent: b, action: b, worktree: " + b});
    project.on("fails", "until test -e " + b + "/there; do sleep 0.02; done; exit 3");
    project.on("runs", "touch there; sleep 1000");
    const auto ended = project.run_workflow({"--fail-fast"});
    CHECK(ended.code == 1);
    CHECK(steps_with(ended, "failed") == "fails");
    CHECK(steps_with(ended, "cancelled") == "runs");
    CHECK(contains(ended.err, "fails failed: "));
}

TEST_CASE("what its condition or a gate leads past is skipped, with the reason")
{
    WorkflowProject project;
    project.steps(
        {"id: a, agent: a, action: a, results: r.json, "
         "gate: {condition: ok, on_pass: c, on_fail: b}",
         "id: b, agent: b, action: b, condition: conditional",
         "id: c, agent: c, action: c, condition: conditional",
         "id: d, agent: d, action: d, condition: 'steps.a.exit_code == 7'"});
    project.on("a", "echo '{\"ok\": true}' >$results");
    const auto ended = project.run_workflow({"--json"});
    CHECK_MESSAGE(ended.code == 0, ended.err);
    const auto result = result_of(ended);
    CHECK(state_in(result, "b") == "skipped");
    CHECK(state_in(result, "c") == "completed");
    CHECK(state_in(result, "d") == "skipped");
    CHECK_FALSE(text_at(step_in(result, "b"), "reason").empty());
    CHECK_FALSE(text_at(step_in(result, "d"), "reason").empty());
}

TEST_CASE(
    "of all places that set the number of attempts, the first in the documented order decides")
{
    const auto tries = [](const Words& agent, const std::string& step, const Words& words,
                          const std::string& configured) {
        WorkflowProject project(agent);
        project.write(".tapps-agents/auto_execution_config.yaml",
                      "auto_execution: {" + configured + "}\n");
        project.steps({"id: a, agent: a, action: a" + step});
        project.on("a", "exit 75");  // worth another try
        CHECK(project.run_workflow(words).code == 1);
        return lines_of(read_file(project.stage() / "asked")).size();
    };
    const std::string three = "retry: {initial_delay_seconds: 0}";
    const std::string five = "retry: {max_attempts: 5, initial_delay_seconds: 0}";
    const std::string twice = ", metadata: {retry: {max_attempts: 2, initial_delay_seconds: 0}}";
    const std::string once = ", metadata: {retry: {initial_delay_seconds: 0}}";
    CHECK(tries({}, "", {}, three) == 3);
    CHECK(tries({}, "", {}, five) == 5);
    CHECK(tries({}, "", {}, "retry: {enabled: false}") == 1);
    CHECK(tries({"retry_count: 3"}, "", {}, five) == 4);
    CHECK(tries({"retry_count: 0"}, "", {}, five) == 1);
    CHECK(tries({"retry_count: 3"}, twice, {}, five) == 2);
    CHECK(tries({"retry_count: 3"}, once, {}, five) == 1);
    CHECK(tries({"retry_count: 0"}, twice, {"--retry", "3"}, five) == 4);
    CHECK(tries({}, twice, {"--retry", "0"}, five) == 1);
    CHECK(tries({"retry_count: 3"}, twice, {"--retry", "3"},
                five + ", features: {error_handling: false}") == 1);
}

TEST_CASE(
    "a step is taken by the agent of its name, else by the one that is named, or the only one")
{
    WorkflowProject project;
    project.steps({"id: a, agent: writer, action: write", "id: b, agent: reader, action: read",
                   "id: c, argv: [echo, by itself]"});
    auto result = result_of(project.run_workflow({"--json"}));
    CHECK(project.asked() == "a b");
    CHECK(text_at(step_in(result, "c"), "output") == "by itself\n");

    project.add_agent("writer", "echo writer {command}");
    project.add_agent("people", "make coffee");
    auto ended = project.run_workflow();
    CHECK(ended.code == 3);
    CHECK(contains(ended.err, "Step 'b': several agents match; choose one with --agent ("));
    CHECK(ended.out.empty());
    ended = project.run_workflow({"--json", "--agent", "scripted"});
    CHECK(ended.code == 0);
    CHECK(text_at(step_in(result_of(ended), "a"), "output") == "writer @writer write\n");
    CHECK(project.asked() == "a b b");
    CHECK(project.run_workflow({"--agent", "nobody"}).code == 3);
    CHECK(project.run_workflow({"--agent", "people"}).code == 3);
}

TEST_CASE("without an agents file /bin/sh runs what names no agent, or 'shell', and nothing else")
{
    WorkflowProject project;
    fs::remove(project.root() / ".cursor/background-agents.yaml");
    project.steps({"id: a, command: 'echo {params.what} >made'",
                   "id: b, argv: [touch, b c], depends_on: [a]",
                   "id: c, agent: shell, command: touch by-shell, depends_on: [b]",
                   "id: d, agent: tester, argv: [touch, by-itself], depends_on: [c]"});
    project.workflow("params: {what: it}\n" + read_file(project.root() / "workflow.yaml"));
    auto ended = project.run_workflow();
    CHECK_MESSAGE(ended.code == 0, ended.err);
    CHECK(read_file(project.root() / "made") == "it\n");
    for (const auto* const made : {"b c", "by-shell", "by-itself"})
        CHECK(fs::exists(project.root() / made));
    CHECK(contains(ended.err, "commands run with /bin/sh"));

    project.steps({"id: a, agent: shell, action: write"});
    CHECK(contains(project.run_workflow().err, "'shell' runs commands, not actions"));
    fs::remove_all(project.records());
    const std::string for_role = "Step 'a': no agent can run this: ";
    const std::string for_name = "Step 'a': unknown agent 'claude': ";
    for (const auto& [step, problem] :
         {std::pair("agent: writer, action: write",
                    std::string("Step 'a': unknown agent 'writer': ")),
          {"agent: claude, command: touch ran", for_name},
          {"agent: reviewer, action: review-code", for_role},
          {"agent: reviewer, command: touch ran", for_role},
          {"agent: claude, argv: [touch, ran]", for_name}}) {
        CAPTURE(step);
        project.steps({std::string("id: a, ") + step, "id: b, command: touch ran"});
        for (const Words& words : {Words{}, Words{"--dry-run"}}) {
            ended = project.run_workflow(words);
            CHECK(ended.code == 3);
            CHECK(contains(ended.err, problem));
            CHECK(contains(ended.err, "the project has no .cursor/background-agents.yaml"));
            CHECK(contains(ended.err, "autoexec agents init"));
            CHECK_FALSE(contains(ended.err, "Step 'b'"));
        }
    }
    CHECK_FALSE(fs::exists(project.root() / "ran"));
    CHECK_FALSE(fs::exists(project.records()));
}

TEST_CASE("a step that names neither an agent nor a role is refused, with what there is")
{
    WorkflowProject project;
    project.add_agent("claude", "echo claude {command}");
    const Words named = {"--agent", "scripted"};
    for (const auto* const what : {"action: write", "command: touch ran", "argv: [touch, ran]"}) {
        CAPTURE(what);
        project.steps({"id: b, argv: [touch, ran]", std::string("id: a, agent: cluade, ") + what});
        for (const Words& words : {Words{}, named, Words{"--dry-run"}}) {
            const auto ended = project.run_workflow(words);
            CHECK(ended.code == 3);
            CHECK(contains(ended.err,
                           "Step 'a': unknown agent or role 'cluade'. Did you mean "
                           "'claude'? Available: 'scripted', 'claude', "));
            CHECK(contains(ended.err,
                           "Declare a role below 'roles:' in "
                           ".cursor/background-agents.yaml, or add an agent"));
        }
    }
    CHECK_FALSE(fs::exists(project.root() / "ran"));
    CHECK_FALSE(fs::exists(project.records()));

    // Known of the original's workflows.
    project.steps({"id: a, agent: Architect, action: design_system"});
    CHECK(project.run_workflow(named).code == 0);
    CHECK(project.asked() == "a");
    CHECK(project.run_workflow({"--agent", "architect"}).code == 3);
}

TEST_CASE("a role is played by the agent that the agents file assigns")
{
    WorkflowProject project;
    project.write(".cursor/background-agents.yaml", R"(roles: {writer: loud, critic: ~}
agents:
  - {name: loud, type: background, commands: ["echo loud {command}"]}
  - {name: quiet, type: background, commands: ["echo quiet {command}"]}
)");
    project.steps({"id: a, agent: writer, command: a", "id: b, agent: critic, command: b",
                   "id: c, agent: quiet, command: c"});
    auto ended = project.run_workflow();
    CHECK(ended.code == 3);
    CHECK(contains(ended.err, "Step 'b': several agents match; choose one with --agent ("));
    const auto result = result_of(project.run_workflow({"--json", "--agent", "quiet"}));
    CHECK(text_at(step_in(result, "a"), "output") == "loud a\n");
    CHECK(text_at(step_in(result, "b"), "output") == "quiet b\n");
    CHECK(text_at(step_in(result, "c"), "output") == "quiet c\n");
    ended = project.run({"run", "--json", "--agent", "writer", "words"});
    CHECK(text_at(objects_of(ended.out).at(0), "output") == "loud words\n");
}

TEST_CASE("an agent runs no more steps at once than the agents file allows")
{
    for (const bool limited : {true, false}) {
        WorkflowProject project(limited ? Words{"max_parallel: 1"} : Words{});
        Words steps;
        for (const auto* name : {"a", "b"}) {
            const auto tree = project.worktree(name).string();
            steps.push_back(std::string("id: ") + name +
                            ", agent: x, action: x, worktree: " + tree);
            // Each waits a moment for the other one.
            project.on(name,
                       "touch $stage/at-$step; for i in 1 2 3 4 5 6 7 8 9 10; do\n"
                       "test $(ls $stage | grep -c at-) -eq 2 && touch $stage/met\n"
                       "sleep 0.02; done; rm $stage/at-$step");
        }
        project.steps(steps);
        CHECK(project.run_workflow().code == 0);
        CHECK(fs::exists(project.stage() / "met") == !limited);
        CHECK(project.run_workflow({"-j", "1"}).code == 0);
    }
}

TEST_CASE("an agent in another process takes the steps")
{
    WorkflowProject project;
    project.add_agent("writer", "echo writer {command}");
    project.steps({"id: a, agent: writer, action: write",
                   "id: b, agent: scripted, action: read, depends_on: [a]"});
    Program agent(project.start({"agent"}));
    const auto ended =
        project.run_workflow({"--json", "--external-agent", "--polling-interval", "50ms"});
    CHECK_MESSAGE(ended.code == 0, ended.err);
    CHECK(text_at(step_in(result_of(ended), "a"), "output") == "writer @writer write\n");
    CHECK(project.asked() == "b");
    agent.signal(SIGTERM);
    CHECK(agent.wait().code == 0);
}

TEST_CASE("in place steps work in the current worktree, unless -w names another one")
{
    WorkflowProject project;
    const auto tree = project.worktree("tree");
    const auto other = project.worktree("other");
    fs::create_directories(tree / "deep");
    project.steps({"id: a, command: pwd >here"});
    const auto path = (project.root() / "workflow.yaml").string();
    const auto run_from = [&](const fs::path& folder, Words more) {
        Words words = {"workflow", "run", path, "--agent", "shell"};
        words.insert(words.end(), more.begin(), more.end());
        auto start = project.start(words);
        start.folder = folder;
        Program program(start);
        CHECK(program.wait().code == 0);
    };
    project.add_agent("shell", "/bin/sh -c {command}");
    run_from(tree / "deep", {"--in-place"});
    CHECK(read_file(tree / "here") == tree.string() + "\n");
    run_from(tree, {"-w", "../other"});
    CHECK(read_file(other / "here") == other.string() + "\n");
    run_from(tree, {"--project", project.root(), "--in-place"});
    CHECK(read_file(project.root() / "here") == project.root().string() + "\n");
}

TEST_CASE("people carry out the steps of a manual run, and say how they ended")
{
    WorkflowProject project;
    project.steps({"id: a, agent: writer, action: write, creates: [made]",
                   "id: b, command: make b, depends_on: [a], optional: true",
                   "id: c, argv: [make, c], depends_on: [b]"});
    Program program(project.start_workflow({"--manual", "--json"}));
    project.wait_for_state("a", "waiting_manual");
    CHECK(read_file(project.root() / ".cursor-skill-command-simple.txt") == "@writer write");
    project.write("made", "");
    CHECK(project.run({"workflow", "done", "a"}).code == 0);
    project.wait_for_state("b", "waiting_manual");
    CHECK(read_file(project.root() / ".cursor-skill-command-simple.txt") == "make b");
    CHECK(project.run({"workflow", "fail", "b", "--reason", "no time"}).code == 0);
    project.wait_for_state("c", "waiting_manual");
    const auto marked = project.run({"workflow", "done", "c", "--json"});
    CHECK(text_at(objects_of(marked.out).at(0), "step_id") == "c");
    const auto ended = program.wait();
    CHECK_MESSAGE(ended.code == 0, ended.err);
    const auto result = result_of(ended);
    CHECK(state_in(result, "a") == "completed");
    CHECK(state_in(result, "b") == "failed");
    CHECK(text_at(step_in(result, "b"), "reason") == "no time");
    CHECK(state_in(result, "c") == "completed");
    CHECK(contains(ended.err, "When done: autoexec workflow done a\n"));
    CHECK(project.asked().empty());
}

TEST_CASE("whether people or agents carry out the steps is configured, and the call wins")
{
    WorkflowProject project;
    const auto waits = [&](const Words& words) {
        fs::remove(project.stage() / "asked");
        Program program(project.start_workflow(words));
        REQUIRE(eventually([&] {
            return contains(program.err(), "a: waiting for you") || !project.asked().empty();
        }));
        const bool manual = project.asked().empty();
        if (manual) CHECK(project.run({"workflow", "done", "a"}).code == 0);
        CHECK(program.wait().code == 0);
        return manual;
    };
    project.steps({"id: a, agent: a, action: a"});
    CHECK_FALSE(waits({}));
    CHECK(waits({"--manual"}));
    project.workflow("metadata: {auto_execution: false}\n" +
                     read_file(project.root() / "workflow.yaml"));
    CHECK(waits({}));
    CHECK_FALSE(waits({"--auto"}));
    project.steps({"id: a, agent: a, action: a"});
    project.write(".tapps-agents/auto_execution_config.yaml", "auto_execution: {enabled: false}\n");
    CHECK(waits({}));
    project.workflow("metadata: {auto_execution: true}\n" +
                     read_file(project.root() / "workflow.yaml"));
    CHECK_FALSE(waits({}));
    project.write(".tapps-agents/auto_execution_config.yaml", "auto_execution: {enabled: 7}\n");
    CHECK(project.run_workflow().code == 3);
}

TEST_CASE("another process cancels a run")
{
    WorkflowProject project;
    project.steps({"id: a, agent: a, action: a", "id: b, agent: b, action: b"});
    project.on("a", "touch there; sleep 1000");
    Program program(project.start_workflow({"--json"}));
    project.wait_until_asked("a");
    const auto cancel = project.run({"workflow", "cancel"});
    CHECK_MESSAGE(cancel.code == 0, cancel.err);
    CHECK(contains(cancel.out, "has ended"));
    const auto ended = program.wait();
    CHECK(ended.code == 130);
    const auto result = result_of(ended);
    CHECK(text_at(result, "status") == "cancelled");
    CHECK(state_in(result, "a") == "cancelled");
    CHECK(state_in(result, "b") == "skipped");
}

TEST_CASE("a signal cancels the steps that run, and a second one ends at once")
{
    const char* const stubborn = "trap '' TERM INT; touch there; while :; do sleep 0.05; done";
    WorkflowProject project;
    project.steps({"id: a, agent: a, action: a", "id: b, agent: b, action: b"});
    project.on("a", stubborn);
    const auto there = [&] { return fs::exists(project.root() / "there"); };
    {
        Program program(project.start_workflow({"--stop-grace", "200ms"}));
        REQUIRE(eventually(there));
        program.signal(SIGINT);
        const auto ended = program.wait();
        CHECK(ended.code == 130);
        CHECK(contains(ended.err, "Cancelling"));
        CHECK(contains(ended.err, "w was cancelled in"));
        CHECK(steps_with(ended, "cancelled") == "a");
        CHECK(project.asked() == "a");
    }
    fs::remove(project.root() / "there");
    Program program(project.start_workflow({"--stop-grace", "300s"}));
    REQUIRE(eventually(there));
    program.signal(SIGINT);
    REQUIRE(eventually([&] { return contains(program.err(), "Cancelling"); }));
    program.signal(SIGTERM);
    const auto ended = program.wait();
    CHECK(ended.code == 130);
    CHECK(contains(ended.err, "Killing the running commands."));
    CHECK(text_at(project.newest_run(), "state") == "cancelled");
    CHECK(eventually([&] { return project.processes().empty(); }));
    CHECK(project.run({"run", "--agent", "scripted", "true"}).code == 0);  // and cleans up
}

TEST_CASE("a signal ends a manual run, too, and what was published is taken back")
{
    WorkflowProject project;
    project.steps({"id: a, agent: a, action: a"});
    Program program(project.start_workflow({"--manual"}));
    project.wait_for_state("a", "waiting_manual");
    program.signal(SIGINT);
    CHECK(program.wait().code == 130);
    CHECK(project.run({"workflow", "done", "a"}).code == 2);
}

TEST_CASE("a dry run prints the agent of each command, and leaves nothing")
{
    WorkflowProject project;
    project.workflow(R"(
id: w
params: {what: it}
steps:
  - {id: a, agent: writer, action: write, params: {text: "{params.what}"}}
  - {id: b, argv: [make, "{params.what}"], depends_on: [a]}
  - {id: c, agent: orchestrator, action: finalize}
)");
    project.commit("all");
    auto ended = project.run_workflow({"--dry-run"});
    CHECK_MESSAGE(ended.code == 0, ended.err);
    CHECK(contains(ended.out, "Longest chain: a → b"));
    CHECK(contains(ended.out, "a  scripted   @writer write --text it\n"));
    CHECK(contains(ended.out, "b  a program  make it\n"));

    const auto lines = objects_of(project.run_workflow({"--dry-run", "--json"}).out);
    REQUIRE(lines.size() == 3);
    CHECK(text_at(lines[0], "step_id") == "a");
    CHECK(text_at(lines[0], "taken_by") == "scripted");
    CHECK(text_at(lines[0], "command") == "@writer write --text it");
    CHECK(text_at(lines[1], "after") == R"(["a"])");
    CHECK(text_at(lines[2], "command") == "null");

    CHECK(contains(project.run_workflow({"--dry-run", "--manual"}).out, "a person"));
    project.steps({"id: a, agent: orchestrator, action: finalize"});
    CHECK(project.run_workflow({"--dry-run"}).code == 0);
    project.steps({"id: a, agent: x, action: y"});
    fs::remove(project.root() / ".cursor/background-agents.yaml");
    ended = project.run_workflow({"--dry-run"});
    CHECK(ended.code == 3);
    CHECK(contains(ended.err, "autoexec agents init"));
    CHECK(project.asked().empty());
    CHECK_FALSE(fs::exists(project.records()));
}

TEST_CASE("an invalid workflow file is reported with line and column, and nothing starts")
{
    WorkflowProject project;
    const auto refusal = [&](const std::string& text, const Words& words = {}) {
        project.workflow(text);
        const auto ended = project.run_workflow(words);
        CHECK(ended.code == 3);
        CHECK(ended.out.empty());
        return ended.err;
    };
    CHECK(contains(refusal("id: w\nsteps:\n  - {id: a, agent: x, action: y, depends_on: [b]}\n"),
                   "workflow.yaml:3:"));
    CHECK(contains(refusal("id: w\nsteps: [\n"), "workflow.yaml:"));
    CHECK(contains(refusal(""), "workflow.yaml"));
    CHECK(contains(refusal("id: w\nsteps:\n"
                           "  - {id: a, agent: x, action: y, depends_on: [b]}\n"
                           "  - {id: b, agent: x, action: y, depends_on: [a]}\n"),
                   "workflow.yaml:"));
    CHECK(contains(refusal("id: w\nsteps:\n  - {id: a, agent: x, action: y, requires: [no.md]}\n"),
                   "workflow.yaml:3:"));
    const std::string odd = "id: w\ntypo: 1\nsteps:\n  - {id: a, agent: x, action: y}\n";
    CHECK(contains(refusal(odd), "workflow.yaml:2:1: error: Unknown field 'typo'"));
    CHECK(contains(refusal(odd, {"--dry-run"}), "workflow.yaml:2:1: error:"));
    CHECK_FALSE(fs::exists(project.records()));
    CHECK(contains(project.run_workflow({"--lenient"}).err, "workflow.yaml:2:1: warning:"));
    CHECK_FALSE(contains(project.run_workflow({"--lenient", "-q"}).err, "warning:"));
    CHECK(project.run_workflow({"--lenient", "--strict"}).code == 2);
    const std::string forgotten = "id: w\nname:\nsteps:\n  - {id: a, agent: x, action: y}\n";
    CHECK(contains(refusal(forgotten, {"--strict"}), "workflow.yaml:2:1: error:"));
    CHECK(project.run({"workflow", "run", "no-such-file"}).code == 3);

    project.steps({"id: a, agent: x, action: y"});
    project.write(".cursor/background-agents.yaml", "agents: 7\n");
    const auto ended = project.run_workflow();
    CHECK(ended.code == 3);
    CHECK(contains(ended.err, "background-agents.yaml:1:"));
}

TEST_CASE("usage errors and failures of the executor have different exit codes")
{
    WorkflowProject project;
    project.steps({"id: a, agent: x, action: y"});
    for (const Words& words :
         std::vector<Words>{{"workflow"},
                            {"workflow", "run"},
                            {"workflow", "no-such-verb"},
                            {"workflow", "run", "workflow.yaml", "--auto", "--manual"},
                            {"workflow", "run", "workflow.yaml", "--fail-fast", "--keep-going"},
                            {"workflow", "run", "workflow.yaml", "--retry", "-1"},
                            {"workflow", "run", "workflow.yaml", "--timeout", "soon"}})
        CHECK(project.run(words).code == 2);
    CHECK(contains(project.run({"workflow", "run", "--help"}).out, "Exit codes"));
    auto ended = project.run_workflow({"-w", "no-such-folder"});
    CHECK(ended.code == 4);
    CHECK(contains(ended.err, "no-such-folder"));
    project.write(".tapps-agents/workflow-state", "a file");
    ended = project.run_workflow();
    CHECK(ended.code == 4);
    CHECK(contains(ended.err, "cannot be recorded"));
    CHECK(project.asked().empty());
}

TEST_CASE("with --json all that happens is one object a line, the result last")
{
    WorkflowProject project;
    project.steps(
        {"id: a, agent: a, action: a, results: r.json, "
         "gate: {condition: ok, on_fail: retry}",
         "id: b, agent: b, action: b, condition: 'false', depends_on: [a]"});
    project.on("a", "test $tries -eq 2 && ok=true || ok=false; echo \"{\\\"ok\\\": $ok}\" >r.json");
    const auto ended = project.run_workflow({"--json"});
    CHECK_MESSAGE(ended.code == 0, ended.err);
    const auto lines = objects_of(ended.out);
    Words events;
    for (const auto& line : lines) {
        events.push_back(text_at(line, "event"));
        CHECK(text_at(line, "run_id").starts_with("w-"));
        CHECK(text_at(line, "workflow_id") == "w");
    }
    CHECK(joined(events) ==
          "run_started step_started step_ended gate_judged sent_back step_started step_ended "
          "gate_judged step_skipped run_ended result");
    CHECK(text_at(lines[1], "step_id") == "a");
    CHECK(text_at(lines[4], "steps") == R"(["a","b"])");
    CHECK(text_at(lines[5], "round") == "2");
    CHECK(text_at(lines[6], "state") == "completed");
    CHECK(text_at(lines[6].at("result").as_object(), "attempts") == "1");
    const auto result = result_of(ended);
    CHECK(text_at(result, "status") == "completed");
    CHECK(text_at(result, "critical_path") == R"(["a"])");
    CHECK(state_in(result, "b") == "skipped");
    CHECK(text_at(result, "run_id") == text_at(project.newest_run(), "run_id"));
}

TEST_CASE("a quiet workflow run prints only the outcomes of steps")
{
    WorkflowProject project;
    project.steps({"id: a, agent: a, action: a"});
    const auto ended = project.run_workflow({"-q"});
    CHECK(ended.code == 0);
    CHECK(lines_of(ended.out).size() == 1);
    CHECK(ended.err.empty());
}

TEST_CASE("runs that begin in the same moment have ids of their own")
{
    WorkflowProject project;
    Words ids;
    {
        std::vector<std::unique_ptr<Program>> programs;
        const Words trees = {project.worktree("a"), project.worktree("b"), project.worktree("c")};
        project.steps({"id: s, argv: ['true']"});
        for (const auto& tree : trees)
            programs.push_back(
                std::make_unique<Program>(project.start_workflow({"--json", "-w", tree})));
        for (auto& program : programs) ids.push_back(text_at(result_of(program->wait()), "run_id"));
    }
    std::sort(ids.begin(), ids.end());
    CHECK(std::unique(ids.begin(), ids.end()) == ids.end());
    CHECK(objects_of(project.run({"workflow", "list", "--json"}).out).size() == 3);
}

TEST_CASE("what a file calls its steps does no harm to a terminal")
{
    WorkflowProject project;
    project.workflow(
        "id: \"w\\e[31m\"\nname: \"n\\e[2J\"\nsteps:\n"
        "  - {id: \"a\\e[31m\\nb\", argv: ['false'], name: \"\\e]0;t\\a\"}\n");
    for (const auto& ended :
         {project.run_workflow(), project.run_workflow({"--dry-run"}),
          project.run({"workflow", "status"}), project.run({"workflow", "list"}),
          project.run({"workflow", "validate", "workflow.yaml"}),
          project.run({"workflow", "graph", "workflow.yaml"}),
          project.run({"workflow", "done", "a\x1b[31m\nb"})}) {
        CHECK_FALSE(contains(ended.out, "\x1b"));
        CHECK_FALSE(contains(ended.err, "\x1b"));
        CHECK_FALSE(contains(ended.out, "\nb"));
    }
}

TEST_CASE("a workflow as in guides: named steps, a tolerated error, a prerequisite")
{
    WorkflowProject project;
    project.workflow(R"(
id: guided
name: Steps with names instead of ids
metadata: {auto_execution: true}
steps:
  - step: Look for the tools
    agent: analyst
    action: check-prerequisites
    params: {list: tools.txt}
  - step: Read the code
    agent: reviewer
    action: review-code
    params: {target_file: src/main.c}
    on_error: continue
  - step: Make it faster
    agent: implementer
    action: make-faster
    condition: prerequisites_met
    params: {target_file: src/main.c}
)");
    project.on("read-the-code", "exit 3");
    const auto ended = project.run_workflow();
    CHECK_MESSAGE(ended.code == 0, ended.err);
    CHECK(project.asked() == "look-for-the-tools read-the-code make-it-faster");
    CHECK(contains(project.commands()[1], "--target-file src/main.c"));
}
