#include "support/terminal.hpp"
#include "support/workflow_project.hpp"

using namespace autoexec::test;

namespace {

// Says when it is there, so that an interrupt finds it at work; heeds no signal but KILL.
constexpr char stubborn[] = "trap '' TERM INT; touch there; while :; do sleep 0.05; done";

void wait_until_there(Project& project)
{
    REQUIRE(eventually([&] { return fs::exists(project.root() / "there"); }));
    project.wait_for_running(1);
}

}  // namespace

TEST_CASE("a terminal shows a live table, and in the end only results")
{
    Project project;
    const auto a = project.worktree("a");
    const auto b = project.worktree("b");
    Program program(on_terminal(
        project, {"run", "-w", a, "-w", b, "echo working; until test -e go; do sleep 0.02; done"}));
    CHECK(eventually([&] {
        const auto lines = shown(program.screen());
        return count_of(lines, "running") == 2 && count_of(lines, "0 of 2 finished, 2 active") == 1;
    }));
    write_file(a / "go", "");
    CHECK(eventually([&] {
        const auto lines = shown(program.screen());
        return count_of(lines, "completed") == 1 &&
               count_of(lines, "1 of 2 finished, 1 active") == 1;
    }));
    write_file(b / "go", "");
    CHECK(program.wait().code == 0);
    const auto lines = shown(program.screen());
    CHECK(count_of(lines, "completed") == 3);  // with the summary
    CHECK(count_of(lines, " active") == 0);
    CHECK(count_of(lines, "running") == 0);
    for (const auto& line : lines) CHECK(line.size() <= 200);
}

TEST_CASE("no line of the table is wider than the terminal")
{
    Project project;
    const auto tree = project.worktree("tree-" + std::string(90, 'n'));
    Program program(on_terminal(
        project, {"run", "-w", tree,
                  "i=0; while test $i -lt 99; do printf long; i=$((i+1)); done; echo; touch there;"
                  " until test -e go; do sleep 0.02; done"}));
    REQUIRE(eventually([&] { return fs::exists(tree / "there"); }));
    CHECK(eventually([&] { return count_of(shown(program.screen()), "1 active") == 1; }));
    for (const auto& line : shown(program.screen()))
        if (contains(line, "#1"))
            CHECK(std::count_if(line.begin(), line.end(),
                                [](char c) { return (c & 0xC0) != 0x80; }) <= 100);
    write_file(tree / "go", "");
    CHECK(program.wait().code == 0);
}

TEST_CASE("on a narrow terminal, rows show the command, and no line is wrapped")
{
    Project project;
    Program program(on_terminal(project, {"run", "until test -e go; do sleep 0.02; done"}));
    project.wait_for_running(1);
    program.resize(24, 40);
    CHECK(eventually([&] {
        const auto lines = shown(program.screen());
        return std::any_of(lines.begin(), lines.end(), [](const auto& line) {
            return contains(line, " until test -") && line.ends_with("…") && !contains(line, "#1");
        });
    }));
    CHECK(count_of(shown(program.screen()), "0 of 1 done, 1 active") == 1);
    project.write("go", "");
    CHECK(program.wait().code == 0);
}

TEST_CASE("commands that wait for a slot have their places in the table and in a pipe")
{
    Project project;
    Words words{"run", "-j", "1"};
    std::vector<fs::path> trees;
    for (const auto* name : {"a", "b", "c"}) {
        trees.push_back(project.worktree(name));
        words.insert(words.end(), {"-w", trees.back()});
    }
    words.emplace_back("until test -e go; do sleep 0.02; done");
    Program program(on_terminal(project, words));
    program.resize(24, 40);
    const auto shows = [&](std::string_view last, std::size_t queued, std::string_view summary) {
        return eventually([&] {
            const auto lines = shown(program.screen());
            return count_of(lines, last) == 1 && count_of(lines, "queued") == queued &&
                   count_of(lines, "running") == 1 && count_of(lines, summary) == 1;
        });
    };
    CHECK(shows("queued 2", 2, "0 of 3 done, 1 active, 2 waiting"));
    write_file(trees[0] / "go", "");
    CHECK(shows("queued 1", 1, "1 of 3 done, 1 active, 1 waiting"));
    for (const auto& tree : trees) write_file(tree / "go", "");
    CHECK(program.wait().code == 0);

    const auto piped = project.run(words);
    CHECK(piped.code == 0);
    CHECK(contains(piped.err, " ../b queued 1: until test"));
    CHECK(contains(piped.err, " ../c queued 2: until test"));
}

TEST_CASE("a step that waits for a slot of another process shows its command and its place")
{
    Project project;
    project.write("w.yaml", "id: w\nsteps:\n  - {id: a, argv: [echo, hello]}\n");
    project.commit("workflow");
    Program other(project.start({"run", "-j", "1", "until test -e go; do sleep 0.02; done"}));
    project.wait_for_running(1);
    Program program(on_terminal(project, {"workflow", "run", "w.yaml", "-j", "1"}));
    CHECK(eventually([&] {
        const auto lines = shown(program.screen());
        return count_of(lines, "queued 1") == 1 && count_of(lines, "echo hello") == 1 &&
               count_of(lines, "0 of 1 step finished, 0 running, 1 waiting") == 1;
    }));
    project.write("go", "");
    CHECK(other.wait().code == 0);
    CHECK(program.wait().code == 0);
}

TEST_CASE(
    "a terminal that cannot move its cursor gets plain lines, and with NO_COLOR none gets colours")
{
    for (const auto* term : {"dumb", ""}) {
        Project project;
        project.set("TERM", term);
        if (*term == '\0') project.unset("TERM");
        Program program(on_terminal(project, {"run", "true"}));
        CHECK(program.wait().code == 0);
        CHECK_FALSE(contains(program.screen(), "\x1b"));
        CHECK(contains(program.screen(), "started"));
    }
    Project project;
    project.set("NO_COLOR", "1");
    Program program(on_terminal(project, {"run", "true"}));
    CHECK(program.wait().code == 0);
    CHECK_FALSE(contains(program.screen(), "m\x1b"));
    CHECK(count_of(shown(program.screen()), "completed") == 2);

    // The agent logs; colours are for terminals that want them.
    project.add_agent("shell", "/bin/sh -c {command}");
    Program agent(on_terminal(project, {"agent"}));
    CHECK(eventually([&] { return contains(agent.screen(), "looking for commands"); }));
    agent.type(ctrl_c);
    CHECK(agent.wait().code == 0);
    CHECK_FALSE(contains(agent.screen(), "\x1b["));
}

TEST_CASE("the first Ctrl-C prints what happens, stops the commands, and exits with 130")
{
    Project project;
    Program program(on_terminal(project, {"run", "--stop-grace", "200ms", stubborn}));
    wait_until_there(project);
    program.type(ctrl_c);
    CHECK(program.wait().code == 130);
    const auto lines = shown(program.screen());
    CHECK(count_of(lines, "Cancelling") == 1);
    CHECK(count_of(lines, "Press Ctrl-C again to kill them.") == 1);
    CHECK(count_of(lines, "cancelled") == 2);
    CHECK(count_of(lines, " active") == 0);
    CHECK(project.metrics().at(0).at("status").as_string() == "cancelled");
}

TEST_CASE("the second Ctrl-C ends at once, and kills what still runs")
{
    Project project;
    Program program(on_terminal(project, {"run", "--stop-grace", "300s", stubborn}));
    wait_until_there(project);
    program.type(ctrl_c);
    REQUIRE(eventually([&] { return contains(program.screen(), "Cancelling"); }));
    program.type(ctrl_c);
    const auto ended = program.wait();
    CHECK(ended.code == 130);
    CHECK(contains(program.screen(), "Killing the running commands."));
    CHECK(project.metrics().at(0).at("status").as_string() == "cancelled");
    CHECK(project.processes().empty());
    CHECK_MESSAGE(project.leftovers().empty(), project.leftovers());
}

TEST_CASE("the second Ctrl-C of a workflow kills its programs, and nothing of them is left")
{
    WorkflowProject project;
    project.steps({"id: a, agent: x, action: a"});
    project.on("a", stubborn);
    Program program(project.start_workflow({"--stop-grace", "300s"}));
    wait_until_there(project);
    program.signal(SIGINT);
    REQUIRE(eventually([&] { return contains(program.err(), "Cancelling"); }));
    program.signal(SIGINT);
    const auto ended = program.wait();
    CHECK(ended.code == 130);
    CHECK(project.processes().empty());
    CHECK_MESSAGE(project.leftovers().empty(), project.leftovers());
}

TEST_CASE("a termination signal cancels like Ctrl-C")
{
    Project project;
    Program program(project.start({"run", "--json", "--stop-grace", "200ms", stubborn}));
    wait_until_there(project);
    program.signal(SIGTERM);
    const auto ended = program.wait();
    CHECK(ended.code == 130);
    CHECK(contains(ended.err, "Cancelling"));
    CHECK(text_at(objects_of(ended.out).at(0), "status") == "cancelled");
}

TEST_CASE("commands that had not begun are cancelled with those that run")
{
    Project project;
    Words words = {"run", "--json", "-j", "1", "--stop-grace", "200ms"};
    for (const auto* name : {"a", "b", "c"}) {
        words.emplace_back("-w");
        words.push_back(project.worktree(name));
    }
    words.emplace_back("touch begun; exec sleep 1000");
    Program program(project.start(words));
    project.wait_for_running(1);
    program.signal(SIGINT);
    const auto ended = program.wait();
    CHECK(ended.code == 130);
    const auto results = objects_of(ended.out);
    CHECK(results.size() == 3);
    for (const auto& result : results) CHECK(text_at(result, "status") == "cancelled");
    CHECK(project.metrics().size() == 1);
}

TEST_CASE("a terminal that is closed cancels what runs in it")
{
    Project project;
    Program program(on_terminal(project, {"run", "--stop-grace", "200ms", stubborn}));
    wait_until_there(project);
    program.hang_up();
    CHECK(program.wait().code == 130);
    CHECK(project.metrics().at(0).at("status").as_string() == "cancelled");
}

TEST_CASE("logs prints no escape sequence on a terminal, except with --raw")
{
    Project project;
    project.run({"run", R"(printf '\033]0;title\007one\r\ntwo \033[31mred\033[0m\n')"});
    const auto id = text_at(project.metrics().at(0), "execution_id");
    Program safe(on_terminal(project, {"logs", id}));
    CHECK(safe.wait().code == 0);
    CHECK(contains(safe.screen(), R"(\x1b]0;title\x07one)"));
    CHECK(contains(safe.screen(), "two red"));
    CHECK_FALSE(contains(safe.screen(), "\x1b"));
    Program raw(on_terminal(project, {"logs", "--raw", id}));
    CHECK(raw.wait().code == 0);
    CHECK(contains(raw.screen(), "\x1b]0;title\x07one"));
    CHECK(project.run({"logs", id}).out == "\x1b]0;title\x07one\r\ntwo \x1b[31mred\x1b[0m\n");
}

TEST_CASE("no path passes an escape sequence to a terminal or forges a line")
{
    Project project;
    const auto tree = project.root().parent_path() / "t\x1b[2J\rforged";
    project.git({"worktree", "add", "-q", "-b", "tree", tree.string()});
    Program engine(project.start({"run", "-w", tree, "until test -e go; do sleep 0.02; done"}));
    const auto id = project.wait_for_running(1).front();
    const auto status = project.run({"status"});
    write_file(tree / "go", "");
    const auto run = engine.wait();
    CHECK(run.code == 0);
    CHECK(contains(status.out, R"(t\x1b[2J\rforged)"));
    const auto file = "f\x1b[2J\rforged.yaml";
    project.write(file, "agents: []\n");
    project.write(".tapps-agents/auto_execution_config.yaml", "nonsense\n");
    project.git({"worktree", "add", "-q", "-b", "other",
                 (project.records() / "worktrees" / "w\x1b[2J\rforged").string()});
    for (const auto& ended :
         {status, run, project.run({"worktree", "list"}), project.run({"history"}),
          project.run({"agents", "validate", file}), project.run({"workflow", "validate", file}),
          project.run({"config", "validate", file}), project.run({"logs", "\x1b[2J\rforged"}),
          project.run({"run", "-w", "no\x1b[2J\rforged", "true"}), project.run({"health"})}) {
        const auto text = ended.out + ended.err;
        CAPTURE(text);
        CHECK_FALSE(text.empty());
        CHECK_FALSE(contains(text, "\x1b"));
        CHECK_FALSE(contains(text, "\rforged"));
    }
}
