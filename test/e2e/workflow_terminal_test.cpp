#include "support/terminal.hpp"
#include "support/workflow_project.hpp"

using namespace autoexec::test;

namespace {

Start workflow_on_terminal(const WorkflowProject& project, const Words& more = {})
{
    return on_terminal(project, WorkflowProject::run_words(more));
}

constexpr char until_told[] = "echo working; until test -e $stage/go-$step; do sleep 0.02; done\n";

}  // namespace

TEST_CASE("a terminal shows the steps in flight, and in the end only how they ended")
{
    WorkflowProject project;
    const auto tree = project.worktree("tree").string();
    project.steps({"id: plan, agent: a, action: a",
                   "id: elsewhere, agent: b, action: b, worktree: " + tree,
                   "id: build, agent: c, action: c, depends_on: [plan]"});
    for (const auto* step : {"plan", "elsewhere", "build"}) project.on(step, until_told);
    Program program(workflow_on_terminal(project));
    const auto shows = [&](std::initializer_list<std::pair<std::string_view, std::size_t>> parts) {
        return eventually([&] {
            const auto lines = shown(program.screen());
            return std::all_of(parts.begin(), parts.end(), [&](const auto& part) {
                return count_of(lines, part.first) == part.second;
            });
        });
    };
    CHECK(shows({{"working", 2},
                 {"running  plan", 1},
                 {"running  elsewhere", 1},
                 {"0 of 3 steps finished, 2 running, 1 waiting", 1}}));
    write_file(project.stage() / "go-plan", "");
    CHECK(shows({{"running  build", 1},
                 {"completed", 1},
                 {"1 of 3 steps finished, 2 running, 0 waiting", 1}}));
    write_file(project.stage() / "go-build", "");
    write_file(project.stage() / "go-elsewhere", "");
    CHECK(program.wait().code == 0);
    const auto lines = shown(program.screen());
    CHECK(count_of(lines, "completed") == 4);  // with the summary
    CHECK(count_of(lines, " running, ") == 0);
    CHECK(count_of(lines, "started") == 0);
}

TEST_CASE("a terminal shows rounds, attempts and the decisions of gates")
{
    WorkflowProject project;
    project.steps(
        {"id: code, agent: c, action: c, metadata: {retry: {max_attempts: 2, "
         "initial_delay_seconds: 0}}",
         "id: review, agent: r, action: r, depends_on: [code], results: r.json, "
         "gate: {condition: ok, on_fail: code}"});
    project.on("code", "test $tries -eq 1 && exit 75\ntest $tries -eq 2 && exit 0\n" +
                           std::string(until_told));
    project.on("review",
               "test $tries -eq 2 && echo '{\"ok\": true}' >$results\n"
               "test $tries -eq 2 || echo '{\"ok\": false}' >$results");
    Program program(workflow_on_terminal(project));
    CHECK(eventually([&] {
        const auto lines = shown(program.screen());
        return count_of(lines, "review: The gate did not pass") == 1 &&
               count_of(lines, "review: Back to 'code'") == 1 && count_of(lines, " r2 ") == 1 &&
               count_of(lines, "code  (attempt 2)") == 1 &&
               count_of(lines, "0 of 2 steps finished, 1 running, 1 waiting") == 1;
    }));
    write_file(project.stage() / "go-code", "");
    CHECK(program.wait().code == 0);
    CHECK(count_of(shown(program.screen()), "review  (round 2)") == 1);
}

TEST_CASE("no line of the table of steps is wider than the terminal")
{
    WorkflowProject project;
    const std::string name = "step-" + std::string(90, 'n');
    project.steps({"id: " + name + ", agent: a, action: a"});
    project.on(name, "i=0; while test $i -lt 99; do printf long; i=$((i+1)); done; echo\n" +
                         std::string(until_told));
    Program program(workflow_on_terminal(project));
    CHECK(eventually([&] {
        const auto lines = shown(program.screen());
        return count_of(lines, "1 running") == 1 && count_of(lines, "working") == 1;
    }));
    for (const auto& line : shown(program.screen()))
        if (contains(line, "#1"))
            CHECK(std::count_if(line.begin(), line.end(),
                                [](char c) { return (c & 0xC0) != 0x80; }) <= 100);
    write_file(project.stage() / ("go-" + name), "");
    CHECK(program.wait().code == 0);
}

TEST_CASE("a terminal shows what a person has to do")
{
    WorkflowProject project;
    project.steps({"id: a, agent: a, action: a", "id: b, agent: b, action: b, depends_on: [a]"});
    Program program(workflow_on_terminal(project, {"--manual"}));
    CHECK(eventually([&] {
        const auto lines = shown(program.screen());
        return count_of(lines, "a: waiting for you") == 1 &&
               count_of(lines, ".cursor-skill-command-simple.txt") == 1 &&
               count_of(lines, "manual   a") == 1;
    }));
    CHECK(project.run({"workflow", "done", "a"}).code == 0);
    CHECK(eventually([&] { return count_of(shown(program.screen()), "b: waiting for you") == 1; }));
    program.type(ctrl_c);
    CHECK(program.wait().code == 130);
    CHECK(count_of(shown(program.screen()), "Cancelling") == 1);
}

TEST_CASE("the first Ctrl-C cancels the workflow, the second ends it at once")
{
    const char* const stubborn = "trap '' TERM INT; touch there; while :; do sleep 0.05; done";
    WorkflowProject project;
    project.steps({"id: a, agent: a, action: a", "id: b, agent: b, action: b"});
    project.on("a", stubborn);
    const auto there = [&] { return fs::exists(project.root() / "there"); };
    {
        Program program(workflow_on_terminal(project, {"--stop-grace", "200ms"}));
        REQUIRE(eventually(there));
        program.type(ctrl_c);
        CHECK(program.wait().code == 130);
        const auto lines = shown(program.screen());
        CHECK(count_of(lines, "Cancelling") == 1);
        CHECK(count_of(lines, "w was cancelled in") == 1);
        CHECK(count_of(lines, " running, ") == 0);
    }
    fs::remove(project.root() / "there");
    Program program(workflow_on_terminal(project, {"--stop-grace", "300s"}));
    REQUIRE(eventually(there));
    program.type(ctrl_c);
    REQUIRE(eventually([&] { return contains(program.screen(), "Cancelling"); }));
    program.type(ctrl_c);
    CHECK(program.wait().code == 130);
    CHECK(contains(program.screen(), "Killing the running commands."));
    CHECK(eventually([&] { return project.processes().empty(); }));
    CHECK(project.run({"run", "--agent", "scripted", "true"}).code == 0);  // and cleans up
}

TEST_CASE("a terminal that cannot move its cursor gets a line for each transition")
{
    WorkflowProject project;
    project.set("TERM", "dumb");
    project.steps({"id: a, agent: a, action: a"});
    Program program(workflow_on_terminal(project));
    CHECK(program.wait().code == 0);
    CHECK_FALSE(contains(program.screen(), "\x1b"));
    CHECK(contains(program.screen(), "a: started"));
}
