#include "support/project.hpp"
#include "support/terminal.hpp"

#include <doctest/doctest.h>

#include <algorithm>

using namespace autoexec::test;

namespace {

/// The words of each command, as the table of the document lists them.
std::vector<Words> all_commands(const Project& project)
{
    std::vector<Words> commands;
    for (const auto& line : lines_of(project.run({"command-table"}).out)) {
        const auto begin = line.find("[`");
        if (begin == line.npos) continue;
        Words words{""};
        for (const char c : line.substr(begin + 2, line.find("`]") - begin - 2))
            if (c == ' ')
                words.emplace_back();
            else
                words.back() += c;
        commands.push_back(std::move(words));
    }
    REQUIRE(commands.size() > 40);
    return commands;
}

Words with(Words words, const Words& more)
{
    words.insert(words.end(), more.begin(), more.end());
    return words;
}

}  // namespace

TEST_CASE("an unknown command is answered with a guess and the usage")
{
    const Project project;
    const auto ended = project.run({"stauts"});
    CHECK(ended.code == 2);
    CHECK(ended.out.empty());
    CHECK(lines_of(ended.err) == Words{"autoexec: unknown command 'stauts'. Did you mean 'status'?",
                                       "Usage: autoexec [OPTIONS] [COMMAND]",
                                       "Run 'autoexec help' for the commands."});
    const auto of_group = lines_of(project.run({"workflow", "rnu"}).err);
    REQUIRE(of_group.size() == 3);
    CHECK(of_group[0] == "autoexec: unknown command 'rnu'. Did you mean 'run'?");
    CHECK(of_group[2] == "Run 'autoexec help workflow' for the commands.");

    CHECK(contains(project.run({"ps"}).err, "Did you mean 'status'?"));
    CHECK(contains(project.run({"kill"}).err, "Did you mean 'cancel'?"));
    CHECK(
        contains(project.run({"fix the bug"}).err, "To run this text: autoexec run 'fix the bug'"));
    CHECK(contains(project.run({"xyzzy"}).err, "unknown command 'xyzzy'\n"));
    CHECK(contains(project.run({"workflow"}).err, "autoexec workflow: missing command\nUsage: "));
}

TEST_CASE("an unknown option is answered with a guess and the usage")
{
    const Project project;
    const auto unknown = project.run({"run", "--woktree", "../a", "make"});
    CHECK(unknown.code == 2);
    CHECK(lines_of(unknown.err) ==
          Words{"autoexec run: unknown option '--woktree'. Did you mean '--worktree'?",
                "Usage: autoexec run [OPTIONS] [COMMAND...]",
                "Run 'autoexec help run' for all options and examples."});
    CHECK(contains(project.run({"workflow", "list", "--limti=3"}).err,
                   "autoexec workflow list: unknown option '--limti'. Did you mean '--limit'?"));
    CHECK(contains(project.run({"status", "more"}).err, "unexpected argument 'more'"));
    CHECK(contains(project.run({"rerun"}).err,
                   "missing argument: ID\nUsage: autoexec rerun [OPTIONS] ID\n"));
    CHECK(contains(project.run({"help", "workflow", "approve"}).out,
                   "Usage: autoexec workflow approve [OPTIONS] [RUN] STEP\n"));
    CHECK(
        contains(project.run({"history", "--status", "done"}).err,
                 "--status: invalid value 'done'; use completed, failed, timeout or cancelled\n"));
    CHECK(contains(project.run({"debug", "maybe"}).err, "use on, off or status\n"));
    CHECK(contains(project.run({"run", "--timeout", "0", "x"}).err, "'0' is not longer than 0\n"));
    CHECK(contains(project.run({"run", "--timeout", "soon", "x"}).err,
                   "autoexec run: --timeout: invalid duration 'soon'; use 90s, 15m, 2h or 3d\n"));
}

TEST_CASE("help shows what --help shows")
{
    const Project project;
    const auto all = project.run({"help"});
    CHECK(all.code == 0);
    CHECK(contains(all.out, "\n  workflow "));
    CHECK(all.out == project.run({"--help"}).out);
    for (const auto& command : {Words{"run"}, Words{"workflow"}, Words{"workflow", "run"}}) {
        const auto shown = project.run(with({"help"}, command));
        CHECK(shown.code == 0);
        CHECK(contains(shown.out, "Usage: autoexec " + command.front()));
        CHECK(shown.out == project.run(with(command, {"--help"})).out);
    }
    CHECK(contains(project.run({"help", "wrokflow"}).err, "Did you mean 'workflow'?"));
    CHECK(project.run({"help", "run", "fast"}).code == 2);
}

TEST_CASE("options that many commands have can precede the command")
{
    Project project;
    CHECK(project.run({"run", "-q", "true"}).code == 0);
    CHECK(objects_of(project.run({"--json", "history"}).out).size() == 1);
    CHECK(project.run({"--project", "no-such-folder", "status"}).code == 2);
    CHECK(objects_of(project.run({"--json", "--project=.", "history", "-n", "1"}).out).size() == 1);
    CHECK(project.run({"workflow", "--json", "list"}).code == 0);
    CHECK(contains(project.run({"--jsno", "status"}).err, "Did you mean '--json'?"));
    CHECK(contains(project.run({"--json", "config", "schema"}).err, "unknown option '--json'"));
}

TEST_CASE("without a command, the program shows its help and what runs")
{
    Project project;
    const auto idle = project.run({});
    CHECK(idle.code == 0);
    CHECK(idle.out == project.run({"help"}).out);
    CHECK_FALSE(fs::exists(project.records()));
    Program run(project.start({"run", "until test -e go; do sleep 0.02; done"}));
    project.wait_for_running(1);
    const auto busy = project.run({}).out;
    CHECK(busy.starts_with(idle.out));
    CHECK(contains(busy, "\nrunning "));
    CHECK(contains(busy, "until test -e go"));
    const auto running = objects_of(project.run({"--json"}).out);
    REQUIRE(running.size() == 1);
    CHECK(text_at(running[0], "state") == "running");
    CHECK(project.run({"--format", "{state}"}).out == "running\n");
    project.write("go", "");
    CHECK(run.wait().code == 0);
}

TEST_CASE("an error of any command is one JSON object with a code")
{
    const Project project;
    const auto refuses_option = [](const Project& p, const Words& command) {
        const auto ended = p.run(with(command, {"--json", "--no-such-option"}));
        CAPTURE(ended.out);
        CHECK(ended.code == 2);
        const auto objects = objects_of(ended.out);
        return objects.size() == 1 && text_at(objects[0], "error_code") == "usage" &&
               text_at(objects[0], "exit_code") == "2" && !text_at(objects[0], "error").empty();
    };
    for (const auto& command : all_commands(project)) {
        CAPTURE(command.front());
        CAPTURE(command.back());
        CHECK(refuses_option(project, command));
    }
    CHECK(refuses_option(project, {"no-such-command"}));

    const auto absent = objects_of(project.run({"cancel", "--json", "0000aaaa"}).out).at(0);
    CHECK(contains(text_at(absent, "error"), "no execution matches '0000aaaa'"));
    project.write(".tapps-agents/auto_execution_config.yaml", "auto_execution: {retry: 3}\n");
    const auto invalid = project.run({"run", "--json", "true"});
    CHECK(invalid.code == 3);
    CHECK(text_at(objects_of(invalid.out).at(0), "error_code") == "invalid_file");
}

TEST_CASE("colours are shown on request, and never change the words")
{
    Project project;
    CHECK(project.run({"run", "-q", "exit 3"}).code == 1);
    const auto plain = project.run({"history"}).out;
    CHECK_FALSE(contains(plain, "\x1b"));
    const auto colored = project.run({"--color", "always", "history"}).out;
    CHECK(contains(colored, "\x1b[31mfailed\x1b[m   "));
    auto stripped = colored;
    for (const std::string sequence : {"\x1b[31m", "\x1b[m"})
        while (contains(stripped, sequence))
            stripped.erase(stripped.find(sequence), sequence.size());
    CHECK(stripped == plain);
    project.set("NO_COLOR", "1");
    CHECK(project.run({"history", "--color=always"}).out == colored);
    CHECK(project.run({"history", "--color=never"}).out == plain);
    const auto wrong = project.run({"history", "--color", "red"});
    CHECK(wrong.code == 2);
    CHECK(contains(wrong.err, "--color: invalid value 'red'; use auto, always or never"));
    CHECK(project.run({"history", "--color"}).code == 2);
}

TEST_CASE("a failed command shows its last lines, and how to see all")
{
    Project project;
    const auto failed = project.run({"run", "seq 1 30; echo '\033[31mred\033[m'; exit 3"});
    CHECK(failed.code == 1);
    CHECK_FALSE(contains(failed.err, "  | 21\n"));
    CHECK(contains(failed.err, "  | 22\n"));
    CHECK(contains(failed.err, "  | 30\n  | red\n  All output: autoexec logs "));
    CHECK(lines_of(failed.out).size() == 1);
    for (const auto* option : {"--quiet", "--show-output", "--json"})
        CHECK_FALSE(contains(project.run({"run", option, "echo out; exit 3"}).err, "  | out"));
    CHECK_FALSE(contains(project.run({"run", "echo out"}).err, "  | out"));

    project.write("w.yaml", "id: w\nsteps:\n  - {id: a, argv: [sh, -c, 'echo why; exit 3']}\n");
    const auto step = project.run({"workflow", "run", "w.yaml", "--in-place"});
    CHECK(step.code == 1);
    CHECK(contains(step.err, "  | why\n"));
    CHECK(contains(step.err, "autoexec logs "));
}

TEST_CASE("status lists the commands that its filters choose")
{
    Project project;
    const auto a = project.worktree("a");
    const auto b = project.worktree("b");
    Program run(project.start({"run", "-w", a, "-w", b, "--workflow-id", "run-1234", "--step-id",
                               "s", "until test -e go; do sleep 0.02; done"}));
    project.wait_for_running(2);
    const auto count = [&](const Words& filter) {
        return objects_of(project.run(with({"status", "--json"}, filter)).out).size();
    };
    CHECK(count({}) == 2);
    CHECK(count({"--worktree", "../a"}) == 1);
    CHECK(count({"--worktree", a}) == 1);
    CHECK(count({"--run", "1234"}) == 2);
    CHECK(count({"--run", "other"}) == 0);
    CHECK(count({"--step", "s", "--state", "running"}) == 2);
    CHECK(count({"--state", "queued"}) == 0);
    CHECK(count({"--agent", "autoexec run"}) == 2);
    CHECK(count({"--agent", "coder"}) == 0);
    CHECK(
        contains(project.run({"status", "--agent", "coder"}).err, "No running or queued command"));
    CHECK(project.run({"status", "--state", "happy"}).code == 2);
    write_file(a / "go", "");
    write_file(b / "go", "");
    CHECK(run.wait().code == 0);
}

TEST_CASE("times on the screen are local, with their zone")
{
    Project project;
    project.set("TZ", "XYZ-5:30");
    project.write(".tapps-agents/metrics/attempts_2026-01-20.jsonl",
                  R"({"execution_id": "e", "command": "make", "status": "completed", )"
                  R"("duration_ms": 1500.0, "started_at": "2026-01-20T21:00:36+00:00", )"
                  R"("completed_at": "2026-01-20T21:00:37+00:00", "attempt_id": "a"})"
                  "\n");
    const auto shown = project.run({"history"}).out;
    CHECK(shown.starts_with("2026-01-21 02:30:36 +0530  completed "));
    CHECK(project.run({"history", "--since", "2026-01-21T02:30"}).out == shown);
    CHECK(project.run({"history", "--since", "2026-01-21 02:31"}).out.empty());
    CHECK(contains(project.run({"history", "--json"}).out, "2026-01-20T21:00:36+00:00"));
}

TEST_CASE("results are printed by a template of their keys")
{
    const Project project;
    CHECK(project.run({"run", "--format", "{status}: {command}", "-q", "true"}).out ==
          "completed: true\n");
    CHECK(project.run({"--format", "{status}\\t{usage.cost_usd}", "history"}).out ==
          "completed\t\n");
    const auto wrong = project.run({"history", "--format", "{stauts}"});
    CHECK(wrong.code == 2);
    CHECK(contains(wrong.err, "--format: no result has 'stauts'; the keys are agent, "));
    CHECK(contains(project.run({"history", "--format", "{status"}).err, "a brace is not closed"));
    CHECK(project.run({"history", "--format", "{status}", "--json"}).code == 2);
    CHECK(project.run({"history", "--format", "{status}", "--csv"}).code == 2);
}

TEST_CASE("logs prints the newest command, or those of a step, a run or a time")
{
    Project project;
    CHECK(contains(project.run({"logs"}).err, "autoexec logs: no command was run"));
    project.run({"run", "echo first"});
    project.run({"run", "--retry", "1",
                 "echo try $AUTOEXEC_ATTEMPT; test $AUTOEXEC_ATTEMPT = 2 || exit 75"});
    CHECK(project.run({"logs"}).out == "try 1\ntry 2\n");
    const auto all = project.run({"logs", "--all"});
    CHECK(all.out == "first\ntry 1\ntry 2\n");
    CHECK(contains(all.err, " attempt 1: echo first ---\n"));
    CHECK(project.run({"logs", "--since", "1h"}).out == all.out);
    CHECK(project.run({"logs", "--since", "2100-01-01"}).code == 2);

    project.write("w.yaml",
                  "id: w\nsteps:\n  - {id: a, argv: [echo, of a]}\n  - {id: b, argv: [echo, of b], "
                  "depends_on: [a]}\n");
    CHECK(project.run({"workflow", "run", "w.yaml", "--in-place"}).code == 0);
    CHECK(project.run({"logs", "--step", "a"}).out == "of a\n");
    const auto run =
        text_at(objects_of(project.run({"workflow", "list", "--json"}).out).at(0), "run_id");
    CHECK(project.run({"logs", "--run", run}).out == "of a\nof b\n");
    CHECK(project.run({"logs", "--run", run, "--step", "b"}).out == "of b\n");
    CHECK(contains(project.run({"logs", "--step", "c"}).err, "no command that matches was run"));
    CHECK(project.run({"logs", "--step", "a", "0000aaaa"}).code == 2);
}

TEST_CASE("logs --run -f follows a run to its end, also between its steps")
{
    Project project;
    project.write("w.yaml",
                  "id: w\nsteps:\n  - {id: a, argv: [echo, of a]}\n"
                  "  - {id: m, manual: true, command: Look., depends_on: [a]}\n"
                  "  - {id: b, argv: [echo, of b], depends_on: [m]}\n");
    Program run(project.start({"workflow", "run", "w.yaml", "--in-place"}));
    REQUIRE(eventually([&] { return contains(run.err(), "To answer"); }));
    Program logs(project.start({"logs", "--run", "w-20", "-f"}));
    CHECK(eventually([&] { return logs.out() == "a | of a\n"; }));
    CHECK_FALSE(logs.ends_within(std::chrono::milliseconds(500)));
    CHECK(project.run({"workflow", "approve", "m"}).code == 0);
    CHECK(logs.wait().code == 0);
    CHECK(logs.out() == "a | of a\nb | of b\n");
    CHECK(run.wait().code == 0);
}

TEST_CASE("logs that cannot be written are an error, but not that their reader has ended")
{
    Project project;
    project.run({"run", "seq 1 100000"});
    const auto logs = [&project](const std::string& to) {
        auto start = project.start({});
        start.argv = {"/bin/bash", "-c", program_path + " logs " + to + "; exit ${PIPESTATUS[0]}"};
        return Program(start).wait();
    };
    CHECK(logs("| true").code == 0);
    for (const auto* to : {">/dev/full", ">&-"}) {
        const auto ended = logs(to);
        CHECK(ended.code == 4);
        CHECK(contains(ended.err, "cannot write all results to standard output"));
    }
}

TEST_CASE("a folder that was removed is named as the problem")
{
    Project project;
    auto start = project.start({});
    for (const auto* words : {"status --json", "run true --json"}) {
        start.argv = {"/bin/bash", "-c",
                      "mkdir gone; cd gone; rmdir ../gone; " + program_path + " " + words};
        const auto ended = Program(start).wait();
        CHECK(ended.code == 2);
        CHECK(contains(ended.err, "cannot use the current folder"));
        CHECK(text_at(objects_of(ended.out).at(0), "error_code") == "usage");
    }
}

TEST_CASE("logs --tail begins with the last lines")
{
    Project project;
    project.run({"run", "seq 1 20000; printf end"});
    CHECK(project.run({"logs", "--tail", "2"}).out == "20000\nend");
    CHECK(project.run({"logs", "--tail", "0"}).out.empty());
    const auto whole = project.run({"logs"}).out;
    CHECK(project.run({"logs", "--tail", "20001"}).out == whole);
    CHECK(project.run({"logs", "--tail", "20000"}).out == whole.substr(2));
    CHECK(project.run({"logs", "--tail", "99999"}).out == whole);
    CHECK(project.run({"logs", "--tail", "-1"}).code == 2);
}

TEST_CASE("logs --all -f names the command before each line, also of commands that start later")
{
    Project project;
    const auto a = project.worktree("a");
    const auto b = project.worktree("b");
    const std::string waiting = "echo begin; until test -e go; do sleep 0.02; done; printf end";
    Program first(project.start({"run", "-w", a, waiting}));
    const auto id = project.wait_for_running(1).front();
    Program logs(project.start({"logs", "--all", "-f"}));
    const auto prefix = [](const std::string& whole) {
        return whole.substr(whole.size() - 8) + " | ";
    };
    CHECK(eventually([&] { return logs.out() == prefix(id) + "begin\n"; }));
    Program second(project.start({"run", "-w", b, "--step-id", "later", waiting}));
    CHECK(eventually([&] { return contains(logs.out(), "later | begin\n"); }));
    write_file(a / "go", "");
    CHECK(first.wait().code == 0);
    CHECK(eventually([&] { return contains(logs.out(), prefix(id) + "end\n"); }));
    write_file(b / "go", "");
    CHECK(second.wait().code == 0);
    CHECK(eventually([&] { return contains(logs.out(), "later | end\n"); }));
    logs.signal(SIGTERM);
    logs.wait();
}

TEST_CASE("run takes all worktrees that match a pattern")
{
    Project project;
    for (const auto* name : {"wt-1", "wt-2", "wt-3"}) project.worktree(name);
    fs::create_directory(project.root() / "build");
    const auto trees = [&](const Words& words) {
        std::vector<std::string> names;
        for (const auto& result : objects_of(project.run(with({"run", "--json"}, words)).out))
            names.push_back(fs::path(text_at(result, "worktree")).filename());
        std::sort(names.begin(), names.end());
        return names;
    };
    const Words all{"wt-1", "wt-2", "wt-3"};
    CHECK(trees({"true", "-w", "../wt-1", "../wt-2", "../wt-3"}) == all);
    CHECK(trees({"-w", "../wt-1", "../wt-2", "../wt-3", "true"}) == all);
    CHECK(trees({"-w", "../wt-1", "../wt-2", "-w", "../wt-3", "--", "true"}) == all);
    CHECK(trees({"-w", "../wt-*", "true"}) == all);
    CHECK(trees({"-w", "../wt-1", "--command", "true", "../wt-2"}) == Words{"wt-1", "wt-2"});
    CHECK(contains(project.run({"run", "-w", "../wt-1", "../wt-2", "build"}).err,
                   "give the command with --command"));
    CHECK(contains(project.run({"run", "-w", "../none-*", "true"}).err,
                   "no worktree matches '../none-*'"));
    project.write("file", "");
    fs::create_symlink(project.root() / "file", project.root().parent_path() / "link-1");
    const auto no_folder = project.run({"run", "-w", "../link-*", "touch here"});
    CHECK(no_folder.code == 2);
    CHECK(contains(no_folder.err, "no worktree matches '../link-*'"));
    CHECK_FALSE(fs::exists(project.root() / "here"));
    CHECK(contains(project.run({"run", "make", "test"}).err,
                   "unexpected argument 'test'; quote a command of several words"));
    CHECK(project.run({"run", "true", "../wt-1"}).code == 2);
    CHECK(contains(project.run({"run", "x", "--command", "y"}).err, "given twice"));
}
