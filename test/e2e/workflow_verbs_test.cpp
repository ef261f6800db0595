#include "support/workflow_project.hpp"

using namespace autoexec::test;

namespace {

constexpr char three_steps[] = R"(id: three
name: Three steps
steps:
  - {id: a, agent: tester, action: y}
  - {id: b, agent: tester, action: y, depends_on: [a]}
  - id: c
    agent: tester
    action: y
    depends_on: [b]
    results: r.json
    gate: {condition: ok, on_fail: a}
)";
constexpr char odd[] = "id: odd\nname:\nsteps:\n  - {id: a, agent: tester, action: y}\n";
constexpr char broken[] =
    "id: broken\nsteps:\n  - {id: a, agent: x, action: y, next: nowhere}\n"
    "  - {id: b, agent: x, timeout: soon}\n";

/// Kills the executor of a run without a chance to say so.
void kill(Program& program)
{
    program.signal(SIGKILL);
    CHECK(program.wait().code == -SIGKILL);
}

}  // namespace

TEST_CASE("all problems of all files are reported, and valid files are counted")
{
    Project project;
    project.write("three.yaml", three_steps);
    project.write("odd.yaml", odd);
    project.write("broken.yaml", broken);
    auto ended = project.run({"workflow", "validate", "three.yaml"});
    CHECK(ended.code == 0);
    CHECK(ended.out == "three.yaml is valid: 3 steps, 1 gate.\n");
    CHECK(ended.err.empty());

    ended = project.run({"workflow", "validate", "three.yaml", "odd.yaml", "broken.yaml"});
    CHECK(ended.code == 3);
    CHECK(ended.out ==
          "three.yaml is valid: 3 steps, 1 gate.\nodd.yaml is valid: 1 step, 0 gates.\n");
    CHECK(contains(ended.err, "odd.yaml:2:1: warning: "));
    CHECK(contains(ended.err, "broken.yaml:3:"));
    CHECK(contains(ended.err, "broken.yaml:4:"));

    CHECK(project.run({"workflow", "validate", "odd.yaml"}).code == 0);
    ended = project.run({"workflow", "validate", "odd.yaml", "--strict"});
    CHECK(ended.code == 3);
    CHECK(contains(ended.err, "odd.yaml:2:1: error: "));
    CHECK(project.run({"workflow", "validate", "--lenient", "--strict", "odd.yaml"}).code == 2);
    CHECK(project.run({"workflow", "validate"}).code == 2);
    CHECK(project.run({"workflow", "validate", "no-such-file"}).code == 3);
    CHECK(project.run({"workflow", "validate", "."}).code == 3);
}

TEST_CASE("validation checks the settings of a workflow")
{
    WorkflowProject project;
    const auto validate = [&](const std::string& settings, const Words& more = {}) {
        project.write("w.yaml", "id: w\nmetadata: {auto_execution: " + settings +
                                    "}\nsteps: [{id: a, agent: x, action: a}]\n");
        Words words = {"workflow", "validate", "w.yaml"};
        words.insert(words.end(), more.begin(), more.end());
        return project.run(words);
    };
    CHECK(validate("{retry: {max_attempts: 2}}", {"--strict"}).code == 0);
    auto ended = validate("{retry: {max_attempts: many}}");
    CHECK(ended.code == 3);
    CHECK(contains(ended.err, "max_attempts"));
    ended = validate("{retyr: {}}");
    CHECK(ended.code == 0);
    CHECK(contains(ended.err, "Did you mean 'retry'?"));
    CHECK(validate("{retyr: {}}", {"--strict"}).code == 3);
}

TEST_CASE("an unknown key is an error wherever a workflow is read, except with --lenient")
{
    Project project;
    project.write("deploy.yaml",
                  "id: deploy\nsteps:\n  - {id: a, argv: [touch, ran], if: false, manuel: true}\n");
    for (const auto* const verb : {"validate", "graph", "run"}) {
        CAPTURE(verb);
        auto ended = project.run({"workflow", verb, "deploy.yaml"});
        CHECK(ended.code == 3);
        CHECK(contains(ended.err, "deploy.yaml:3:33: error: Step 'a': Unknown field 'if'"));
        CHECK(contains(ended.err, "Did you mean 'condition'?"));
        CHECK(contains(ended.err, "deploy.yaml:3:44: error: Step 'a': Unknown field 'manuel'"));
        CHECK_FALSE(fs::exists(project.root() / "ran"));
        ended = project.run({"workflow", verb, "deploy.yaml", "--lenient"});
        CHECK(ended.code == 0);
        CHECK(contains(ended.err, "error:") == false);
    }
}

TEST_CASE("an unknown agent is an error with its place, and a warning without an agents file")
{
    Project project;
    project.write("w.yaml",
                  "id: w\nsteps:\n  - {id: a, agent: cluade, action: y}\n"
                  "  - {id: b, agent: reviewer, action: y}\n");
    auto ended = project.run({"workflow", "validate", "w.yaml"});
    CHECK(ended.code == 0);
    CHECK(contains(ended.err, "w.yaml:3:20: warning: Step 'a': unknown agent 'cluade'"));
    CHECK_FALSE(contains(ended.err, "Step 'b'"));
    project.add_agent("claude", "echo {command}");
    ended = project.run({"workflow", "validate", "w.yaml"});
    CHECK(ended.code == 3);
    CHECK(contains(ended.err,
                   "w.yaml:3:20: error: Step 'a': unknown agent or role 'cluade'. "
                   "Did you mean 'claude'?"));
    CHECK_FALSE(contains(ended.err, "Step 'b'"));
}

TEST_CASE("without an id only a run whose workflow file is in the project is resumed")
{
    Project project;
    const std::string failing =
        "id: w\nsteps:\n  - {id: a, argv: [sh, -c, 'echo x >>tries; false']}\n";
    const auto outside = project.root().parent_path() / "outside.yaml";
    write_file(outside, failing);
    project.write("inside.yaml", failing);
    fs::create_symlink(outside, project.root() / "link.yaml");
    const auto tries = [&] { return lines_of(read_file(project.root() / "tries")).size(); };
    const auto resume = [&project](Words more) {
        more.insert(more.begin(), {"workflow", "resume", "--from-failed"});
        return project.run(more);
    };
    CHECK(project.run({"workflow", "run", "--in-place", "inside.yaml"}).code == 1);
    for (const auto& file : {outside.string(), std::string("link.yaml")})
        CHECK(project.run({"workflow", "run", "--in-place", file}).code == 1);
    const auto runs = objects_of(project.run({"workflow", "list", "--json"}).out);
    REQUIRE(runs.size() == 3);
    CHECK(tries() == 3);

    auto ended = resume({});
    CHECK(ended.code == 1);
    CHECK(tries() == 4);
    CHECK(contains(ended.err, "Run " + text_at(runs[2], "run_id")));
    for (const auto i : {0, 1}) {
        const auto id = text_at(runs[static_cast<std::size_t>(i)], "run_id");
        CHECK(contains(ended.err, "skipped " + id + ": its workflow file "));
        const auto refused = resume({id});
        CHECK(refused.code == 3);
        CHECK(contains(refused.err, "outside the project"));
        CHECK(contains(refused.err, "--allow-outside"));
        CHECK(tries() == 4);
    }
    CHECK(resume({text_at(runs[1], "run_id"), "--allow-outside"}).code == 1);
    CHECK(tries() == 5);
}

TEST_CASE("without an id a run of a file in another worktree is resumed from there")
{
    Project project;
    project.write("w.yaml", "id: w\nsteps:\n  - {id: a, argv: [\"false\"]}\n");
    project.commit("workflow");
    const auto tree = project.worktree("other");
    const auto in_tree = [&](const Words& words) {
        auto start = project.start(words);
        start.folder = tree;
        Program program(start);
        return program.wait();
    };
    CHECK(in_tree({"workflow", "run", "w.yaml"}).code == 1);
    CHECK(contains(project.run({"workflow", "resume", "--from-failed"}).err, "skipped w-"));
    const auto ended = in_tree({"workflow", "resume", "--from-failed"});
    CHECK(ended.code == 1);
    CHECK(contains(ended.err, "Run w-"));
}

TEST_CASE("what is wrong with files can be read by programs, too")
{
    Project project;
    project.write("three.yaml", three_steps);
    project.write("broken.yaml", broken);
    const auto ended = project.run({"workflow", "validate", "--json", "three.yaml", "broken.yaml"});
    CHECK(ended.code == 3);
    const auto files = objects_of(ended.out);
    REQUIRE(files.size() == 2);
    CHECK(text_at(files[0], "path") == "three.yaml");
    CHECK(text_at(files[0], "valid") == "true");
    CHECK(text_at(files[0], "id") == "three");
    CHECK(text_at(files[0], "steps") == "3");
    CHECK(text_at(files[0], "gates") == "1");
    CHECK(text_at(files[0], "diagnostics") == "[]");
    CHECK(text_at(files[1], "valid") == "false");
    CHECK(text_at(files[1], "steps") == "null");
    for (const auto& item : files[1].at("diagnostics").as_array()) {
        const auto& diagnostic = item.as_object();
        for (const auto* key : {"severity", "path", "line", "column", "message", "hint"})
            CHECK(diagnostic.contains(key));
    }
}

TEST_CASE("a graph is shown as text, for Graphviz and for Mermaid")
{
    Project project;
    project.write("three.yaml", three_steps);
    project.write("broken.yaml", broken);
    const auto graph = [&](const Words& more) {
        Words words = {"workflow", "graph", "three.yaml"};
        words.insert(words.end(), more.begin(), more.end());
        return project.run(words);
    };
    CHECK(contains(graph({}).out, "Longest chain: a → b → c"));
    CHECK(graph({"--dot"}).out.starts_with("digraph"));
    CHECK(graph({"--mermaid"}).out.starts_with("flowchart"));
    CHECK(graph({"--dot", "--mermaid"}).code == 2);
    const auto ended = project.run({"workflow", "graph", "broken.yaml"});
    CHECK(ended.code == 3);
    CHECK(ended.out.empty());
    CHECK(contains(ended.err, "broken.yaml:3:"));
}

TEST_CASE("where no workflow has been run, the verbs say so")
{
    Project project;
    CHECK(project.run({"workflow", "list"}).code == 0);
    CHECK(contains(project.run({"workflow", "list"}).err, "No workflow runs found"));
    CHECK(project.run({"workflow", "list", "--json"}).out.empty());
    for (const Words& words : std::vector<Words>{{"workflow", "status"},
                                                 {"workflow", "status", "three"},
                                                 {"workflow", "cancel"},
                                                 {"workflow", "cancel", "three"},
                                                 {"workflow", "done", "a"},
                                                 {"workflow", "fail", "a", "--run", "three"}}) {
        const auto ended = project.run(words);
        CHECK(ended.code == 2);
        CHECK(ended.out.empty());
        CHECK(ended.err.starts_with("autoexec workflow " + words[1] + ": "));
    }
    CHECK_FALSE(fs::exists(project.records()));
}

TEST_CASE("list and status tell how runs went, the newest first")
{
    WorkflowProject project;
    project.workflow(three_steps);
    project.on("c", "echo '{\"ok\": true}' >$results");
    CHECK(project.run_workflow().code == 0);
    project.on("b", "exit 3");
    CHECK(project.run_workflow().code == 1);

    const auto runs = objects_of(project.run({"workflow", "list", "--json"}).out);
    REQUIRE(runs.size() == 2);
    CHECK(text_at(runs[0], "state") == "failed");
    CHECK(text_at(runs[1], "state") == "completed");
    CHECK(text_at(runs[1], "workflow_id") == "three");
    CHECK(text_at(runs[1], "name") == "Three steps");
    CHECK(text_at(runs[1], "steps_total") == "3");
    CHECK(text_at(runs[1], "steps_ended") == "3");
    CHECK(runs[1].at("duration_seconds").to_number<double>() >= 0);
    const auto lines = lines_of(project.run({"workflow", "list"}).out);
    REQUIRE(lines.size() == 2);
    CHECK(contains(lines[0], "failed"));
    CHECK(contains(lines[1], "3/3  " + text_at(runs[1], "run_id") + "  Three steps"));
    CHECK(lines_of(project.run({"workflow", "list", "-n", "1"}).out).size() == 1);
    CHECK(lines_of(project.run({"workflow", "list", "-n", "0"}).out).size() == 2);

    auto status = project.run({"workflow", "status"});
    CHECK(status.out.starts_with(text_at(runs[0], "run_id") + "  failed, 3 of 3 steps ended"));
    CHECK(lines_of(status.out).size() == 5);  // with the reason
    CHECK(contains(status.out, "skipped"));
    status = project.run({"workflow", "status", text_at(runs[1], "run_id")});
    CHECK(status.out.starts_with(text_at(runs[1], "run_id") + "  completed, 3 of 3 steps ended"));
}

TEST_CASE("a run is called by its id, or by an end of it that no other run has")
{
    WorkflowProject project;
    project.steps({"id: a, argv: ['true']"});
    CHECK(project.run_workflow().code == 0);
    CHECK(project.run_workflow().code == 0);
    const auto runs = objects_of(project.run({"workflow", "list", "--json"}).out);
    const auto id = text_at(runs.at(1), "run_id");
    const auto found = [&](const std::string& name) {
        const auto ended = project.run({"workflow", "status", "--json", name});
        return ended.code == 0 ? text_at(objects_of(ended.out).at(0), "run_id") : ended.err;
    };
    CHECK(found(id) == id);
    CHECK(found(id.substr(id.size() - 6)) == id);
    CHECK(found(id.substr(0, id.size() - 1)) == id);
    CHECK(contains(found("w-20"), "several runs match 'w-20'"));
    CHECK(contains(found(id.substr(id.size() - 3)), "no run matches"));
    CHECK(contains(found("no-such-run"), "no run matches"));
    CHECK(contains(found("../../etc"), "no run matches"));
}

TEST_CASE("an active run is visible to others, and one that has ended cannot be cancelled")
{
    WorkflowProject project;
    project.steps({"id: a, agent: a, action: a", "id: b, agent: b, action: b, depends_on: [a]"});
    project.on("a", "until test -e go; do sleep 0.02; done");
    Program program(project.start_workflow());
    project.wait_until_asked("a");
    auto run = project.newest_run();
    CHECK(text_at(run, "state") == "running");
    CHECK(text_at(run, "pid") == std::to_string(program.pid()));
    CHECK(text_at(run, "steps_ended") == "0");
    CHECK(project.state_of_step("a") == "running");
    CHECK(project.state_of_step("b") == "pending");
    CHECK(contains(project.run({"workflow", "status"}).out, "running"));
    project.write("go", "");
    CHECK(program.wait().code == 0);

    const auto id = text_at(run, "run_id");
    auto ended = project.run({"workflow", "cancel", id});
    CHECK(ended.code == 2);
    CHECK(contains(ended.err, id + " is not running: completed"));
    ended = project.run({"workflow", "cancel"});
    CHECK(ended.code == 2);
    CHECK(contains(ended.err, "no workflow is running"));
}

TEST_CASE("cancel takes a run's id or the newest active run, and need not wait")
{
    WorkflowProject project;
    project.steps({"id: a, agent: a, action: a"});
    project.on("a", "touch there; sleep 1000");
    for (const bool wait : {true, false}) {
        Program program(project.start_workflow({"--stop-grace", "200ms"}));
        REQUIRE(eventually([&] { return fs::exists(project.root() / "there"); }));
        const auto id = text_at(project.newest_run(), "run_id");
        const auto ended = wait ? project.run({"workflow", "cancel", "--json", id})
                                : project.run({"workflow", "cancel", "--no-wait"});
        CHECK(ended.code == 0);
        if (wait) {
            CHECK(text_at(objects_of(ended.out).at(0), "run_id") == id);
            CHECK(text_at(objects_of(ended.out).at(0), "state") == "cancelled");
        }
        CHECK(program.wait().code == 130);
        fs::remove(project.root() / "there");
    }
}

TEST_CASE("only a step that waits for a person can be marked; otherwise the reason is printed")
{
    WorkflowProject project;
    project.steps({"id: a, agent: a, action: a", "id: b, agent: b, action: b, depends_on: [a]"});
    Program program(project.start_workflow({"--manual"}));
    project.wait_for_state("a", "waiting_manual");
    const auto id = text_at(project.newest_run(), "run_id");
    const auto why = [&](const Words& words) {
        const auto ended = project.run(words);
        CHECK(ended.code == 2);
        return ended.err;
    };
    CHECK(contains(why({"workflow", "done", "b"}), "'b' is not waiting for a person: pending"));
    CHECK(contains(why({"workflow", "done", "c"}), id + " has no step 'c'"));
    CHECK(contains(why({"workflow", "fail", "a", "--run", "elsewhere"}),
                   "no run matches 'elsewhere'"));
    CHECK(why({"workflow", "done"}).size() > 0);
    CHECK(project.run({"workflow", "fail", "a", "--run", id}).code == 0);
    CHECK(program.wait().code == 1);
    CHECK(contains(why({"workflow", "done", "a"}), id + " has ended: failed"));
}

TEST_CASE("a step of an older run can be marked while a newer one is active")
{
    WorkflowProject project;
    const auto tree = project.worktree("tree");
    project.steps({"id: a, agent: a, action: a"});
    Program older(project.start_workflow({"--manual"}));
    project.wait_for_state("a", "waiting_manual");
    const auto id = text_at(project.newest_run(), "run_id");
    project.steps({"id: b, agent: b, action: b"});
    Program newer(project.start_workflow({"--manual", "-w", tree}));
    project.wait_for_state("b", "waiting_manual");
    const auto marked = project.run({"workflow", "done", "a", "--json"});
    CHECK(text_at(objects_of(marked.out).at(0), "run_id") == id);
    CHECK(older.wait().code == 0);
    CHECK(project.run({"workflow", "done", "b"}).code == 0);
    CHECK(newer.wait().code == 0);
}

TEST_CASE("a run whose executor was killed is interrupted, and what it left is found")
{
    WorkflowProject project;
    project.steps({"id: a, agent: a, action: a", "id: b, agent: b, action: b, depends_on: [a]"});
    project.on("a", "touch there; sleep 1000");
    {
        Program program(project.start_workflow());
        REQUIRE(eventually([&] { return fs::exists(project.root() / "there"); }));
        kill(program);
    }
    const auto run = project.newest_run();
    CHECK(text_at(run, "state") == "interrupted");
    CHECK(text_at(run, "duration_seconds") == "null");
    const auto status = project.run({"workflow", "status"});
    CHECK(contains(status.out, "  interrupted, 0 of 2 steps ended\n"));
    CHECK(lines_of(status.out).at(1).starts_with("interrupted"));
    CHECK(contains(project.run({"workflow", "list"}).out, "interrupted"));
    CHECK(project.run({"workflow", "cancel"}).code == 2);
    CHECK(project.run({"workflow", "done", "a"}).code == 2);

    // The next executor cleans up.
    project.on("a", "");
    const auto ended = project.run_workflow();
    CHECK(ended.code == 0);
    CHECK(contains(ended.err, "interrupted: "));
}
