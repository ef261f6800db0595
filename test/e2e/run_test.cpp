#include "support/project.hpp"

#include <unistd.h>

#include <iterator>
#include <sstream>

using namespace autoexec::test;

namespace {

constexpr char shell_command[] = "/bin/sh -c {command}";

/// The one line that a run with `--json` prints.
boost::json::object only_object(const Ended& ended)
{
    const auto objects = objects_of(ended.out);
    REQUIRE_MESSAGE(objects.size() == 1, ended.out, ended.err);
    return objects.front();
}

}  // namespace

TEST_CASE("a command runs in the current folder, and its result is printed to standard output")
{
    Project project;
    const auto ended = project.run({"run", "echo done >made"});
    CHECK(ended.code == 0);
    CHECK(read_file(project.root() / "made") == "done\n");
    REQUIRE(lines_of(ended.out).size() == 1);
    CHECK(ended.out.starts_with("completed"));
    CHECK(contains(ended.err, "1 completed"));
    CHECK(contains(ended.err, "commands run with /bin/sh"));
    CHECK(project.metrics().size() == 1);
}

TEST_CASE("a quiet run prints only results")
{
    Project project;
    const auto ended = project.run({"run", "-q", "true"});
    CHECK(ended.code == 0);
    CHECK(lines_of(ended.out).size() == 1);
    CHECK(ended.err.empty());
}

TEST_CASE("a run whose reader has ended continues, and its exit code reports the loss")
{
    Project project;
    const auto shell = [&](const std::string& line) {
        auto start = project.start({});
        start.argv = {"/bin/sh", "-c", line};
        Program program(start);
        return program.wait().code;
    };
    const auto run_to = [&](const std::string& where) {
        return shell(program_path + " run 'sleep 0.2; echo x >>ran' " + where);
    };
    // Descriptor 4 is a pipe without a reader.
    const std::string no_reader = "rm -f pipe; mkfifo pipe; exec 3<>pipe 4>pipe 3>&-; ";
    CHECK(run_to("2>/dev/full") == 0);
    CHECK(run_to("2>&-") == 0);
    CHECK(run_to(">/dev/full") == 4);
    CHECK(shell(no_reader + program_path + " run 'echo x >>ran' >&4") == 4);
    CHECK(read_file(project.root() / "ran") == "x\nx\nx\nx\n");
    CHECK(project.metrics().size() == 4);
    CHECK(shell(no_reader + program_path + " history >&4") == 0);
    CHECK(shell(program_path + " history >/dev/full") == 4);
}

TEST_CASE("no file gets the descriptor of a closed stream")
{
    Project project;
    const auto run_to = [&](const std::string& where) {
        auto start = project.start({});
        start.argv = {"/bin/sh", "-c", program_path + " run 'echo x >>ran' " + where};
        Program program(start);
        return program.wait();
    };
    const auto ended = run_to(">&-");
    CHECK(ended.code == 4);
    CHECK_MESSAGE(contains(ended.err, "standard output: Bad file descriptor"), ended.err);
    CHECK(run_to("<&- >&- 2>&-").code == 4);
    CHECK(run_to("<&- 2>&-").out.starts_with("completed"));
    CHECK(read_file(project.root() / "ran") == "x\nx\nx\n");
}

TEST_CASE("what follows -- is a program with its arguments, which no shell changes")
{
    Project project;
    const auto ended =
        project.run({"run", "--show-output", "--", "printf", "%s|", "$HOME", "a b", "--json", "-"});
    CHECK(ended.code == 0);
    CHECK(contains(ended.out, "$HOME|a b|--json|-|"));
}

TEST_CASE("a command that begins with - is a text, too")
{
    Project project;
    const auto ended = project.run({"run", "--show-output", "--command=-v || echo seen"});
    CHECK(ended.code == 0);
    CHECK(contains(ended.out, "seen"));
}

TEST_CASE("one command runs in each worktree that -w names")
{
    Project project;
    const auto a = project.worktree("a");
    const auto b = project.worktree("b");
    const auto ended = project.run({"run", "--json", "-w", a, "--worktree", b, "pwd >here"});
    CHECK(ended.code == 0);
    CHECK(read_file(a / "here") == a.string() + "\n");
    CHECK(read_file(b / "here") == b.string() + "\n");
    CHECK(objects_of(ended.out).size() == 2);
}

TEST_CASE("new worktrees are created at the commits that are given")
{
    Project project;
    const auto ended = project.run(
        {"run", "--json", "--new-worktree", "old@v1", "--new-worktree", "new", "cat file"});
    CHECK(ended.code == 0);
    for (const auto& result : objects_of(ended.out)) {
        const bool old = text_at(result, "worktree").ends_with("/.tapps-agents/worktrees/old");
        CHECK(text_at(result, "output") == (old ? "one\n" : "two\n"));
    }
    CHECK(contains(project.git({"branch"}), "workflow/old"));
    CHECK(project.git({"status", "--short"}).empty());

    const auto again = project.run({"run", "--json", "--new-worktree", "old", "true"});
    CHECK(again.code == 4);
    CHECK(contains(text_at(only_object(again), "error"), "already exists"));
    CHECK(project.run({"run", "--new-worktree", "x@no-such-commit", "true"}).code == 4);
}

TEST_CASE("a list comes from a file or from standard input")
{
    Project project;
    const auto tree = project.worktree("tree");
    const std::string list = R"({"command": "echo from here", "workflow_id": "w", "step_id": "s"})"
                             "\n\n"
                             R"({"argv": ["pwd"], "worktree": ")" +
                             tree.string() + "\"}\n";
    project.write("list.jsonl", list);
    const auto from_file = project.run({"run", "--json", "--list", "list.jsonl"});
    const auto from_input = project.run({"run", "--json", "--list", "-"}, list);
    for (const auto& ended : {from_file, from_input}) {
        CHECK(ended.code == 0);
        const auto results = objects_of(ended.out);
        REQUIRE(results.size() == 2);
        const auto first = text_at(results[0], "command") == "pwd" ? 1U : 0U;
        CHECK(text_at(results[first], "output") == "from here\n");
        CHECK(text_at(results[first], "workflow_id") == "w");
        CHECK(text_at(results[1 - first], "output") == tree.string() + "\n");
    }
}

TEST_CASE("all problems of a list are reported at once, and nothing runs")
{
    Project project;
    const std::string list = R"({"command": "touch ran"}
{"command": 7}
not json
{"comand": "typo"}
{"command": "x", "timeout": "soon", "retry": -1}
[1]
{"command": "x", "worktree": "a", "new_worktree": "b"}
{"argv": ["", "x"]}
)";
    const auto ended = project.run({"run", "--list", "-"}, list);
    CHECK(ended.code == 2);
    CHECK(ended.out.empty());
    for (const auto* problem :
         {"stdin:2: 'command' must be a string", "stdin:3: ", "stdin:4: unknown key 'comand'",
          "stdin:5: 'timeout' must be a duration such as \"90s\"",
          "stdin:5: 'retry' must be a number",
          "stdin:6: ", "stdin:7: 'worktree' and 'new_worktree' cannot be combined",
          "stdin:8: the program name in 'argv' is empty"})
        CHECK_MESSAGE(contains(ended.err, problem), problem, " in: ", ended.err);
    CHECK_FALSE(contains(ended.err, "stdin:1:"));
    CHECK_FALSE(fs::exists(project.root() / "ran"));
    CHECK_FALSE(fs::exists(project.records()));

    CHECK(project.run({"run", "--list", "no-such-file"}).code == 2);
    CHECK(project.run({"run", "--list", "-"}, "\n").code == 2);
}

TEST_CASE("a usage error exits with 2 and prints the correct use")
{
    Project project;
    for (const Words& words : std::vector<Words>{{"run"},
                                                 {"run", "true", "--list", "-"},
                                                 {"run", "true", "--", "true"},
                                                 {"run", "--", ""},
                                                 {"run", "true", "--timeout", "soon"},
                                                 {"run", "true", "--timeout", "0"},
                                                 {"run", "true", "--retry", "-1"},
                                                 {"run", "true", "--retry", "x"},
                                                 {"run", "true", "-j", "-1"},
                                                 {"run", "true", "-j", "100001"},
                                                 {"run", "true", "-j", "x"},
                                                 {"run", "  \t\n"},
                                                 {"run", "true", "-w", ""},
                                                 {"run", "true", "--new-worktree", ""},
                                                 {"run", "true", "--new-worktree=../up"},
                                                 {"run", "true", "--new-worktree", "@v1"},
                                                 {"run", "true", "--expect", ""},
                                                 {"run", "true", "--expect", "../x"},
                                                 {"run", "true", "--notify", "./none"},
                                                 {"run", "true", "--notify", "no-such-hook"},
                                                 {"run", "true", "--notify", "'"},
                                                 {"agent", "-j", "-1"},
                                                 {"agent", "-j", "10001"},
                                                 {"history", "-n", "-1"},
                                                 {"workflow", "run", "flow.yaml", "-j", "-1"},
                                                 {"workflow", "run", "flow.yaml", "--retry", "1.5"},
                                                 {"workflow", "list", "-n", "x"},
                                                 {"worktree", "gc", "--keep", "-1"},
                                                 {"run", "true", "--no-such-option"},
                                                 {"no-such-verb"},
                                                 {"status", "--", "true"}}) {
        const auto ended = project.run(words);
        CHECK(ended.code == 2);
        CHECK(ended.out.empty());
        CHECK_FALSE(ended.err.empty());
    }
    CHECK_FALSE(fs::exists(project.records()));
    CHECK(project.run({"--help"}).code == 0);
    CHECK(contains(project.run({"run", "--help"}).out, "Exit codes"));
    CHECK(project.run({"--version"}).out.starts_with("autoexec "));
}

TEST_CASE("wrong use names the option or argument, and what it may be")
{
    Project project;
    const auto says = [&](const Words& words, const std::string& sentence) {
        const auto ended = project.run(words);
        CHECK(ended.code == 2);
        CHECK_MESSAGE(contains(ended.err, sentence), sentence, " in: ", ended.err);
    };
    says({"run", "true", "-j", "x"},
         "--jobs: invalid number 'x'; use a whole number from 0 to 100000");
    says({"run", "true", "-j", "99999999999999999999"}, "; use a whole number from 0 to 100000");
    says({"agent", "-j", "-1"}, "--jobs: invalid number '-1'; use a whole number from 0 to 10000");
    says({"run", "   "}, "the command is blank");
    says({"run", "--expect", "../x", "-w", "a", "-w", "b", "true"},
         "the expected file '../x' is outside the worktree");
    says({"run", "--new-worktree=../up", "true"}, "invalid worktree name '../up'");
    says({"run", "--env", "A=b", "true"}, "invalid variable 'A'; use its name only");
    says({"run", "--env", "", "true"}, "invalid variable ''; use its name only");
    says({"run", "--notify", "./none", "true"},
         "no executable program './none' in " + project.root().string());
    says({"run", "echo \xFF"}, "autoexec: argument 2 (");
    says({"run", "--", "printf", "\xC3\x28"}, "autoexec: argument 4 (");
    CHECK_FALSE(fs::exists(project.records()));
}

TEST_CASE("a list's lines are held to the rules of the command line")
{
    Project project;
    const auto ended = project.run({"run", "--list", "-"},
                                   R"({"command": "touch ran"}
{"command": " "}
{"command": "true", "expect": ["../x"]}
{"command": "true", "new_worktree": "a/b"}
{"command": "true", "env": ["A", "B=c"]}
)");
    CHECK(ended.code == 2);
    CHECK(contains(ended.err, "stdin:2: 'command' is blank"));
    CHECK(contains(ended.err, "stdin:3: the expected file '../x' is outside"));
    CHECK(contains(ended.err, "stdin:4: invalid worktree name 'a/b'"));
    CHECK(contains(ended.err, "stdin:5: invalid variable 'B'"));
    CHECK_FALSE(fs::exists(project.root() / "ran"));
}

TEST_CASE("a result as JSON has the documented keys")
{
    Project project;
    const auto ended = project.run({"run", "--json", "--workflow-id", "w", "exit 3"});
    CHECK(ended.code == 1);
    const auto result = only_object(ended);
    for (const auto* key :
         {"status", "command", "worktree", "artifacts", "error", "duration_seconds", "execution_id",
          "attempt_id", "workflow_id", "step_id", "attempts", "completion_method", "verified",
          "missing_artifacts", "error_code", "exit_code", "signal", "output", "warnings"})
        CHECK_MESSAGE(result.contains(key), key);
    CHECK(text_at(result, "status") == "failed");
    CHECK(text_at(result, "error_code") == "exit_3");
    CHECK(text_at(result, "exit_code") == "3");
    CHECK(text_at(result, "step_id") == "null");
}

TEST_CASE("a time-out ends the command with all that it started")
{
    Project project;
    const auto ended = project.run({"run", "--json", "--timeout", "300ms", "--stop-grace", "100ms",
                                    "trap '' TERM; setsid sleep 1000 & sleep 1000 & wait; wait"});
    CHECK(ended.code == 1);
    const auto result = only_object(ended);
    CHECK(text_at(result, "status") == "timeout");
    CHECK(project.metrics().at(0).at("status").as_string() == "timeout");
}

TEST_CASE("an agent's own time-out ends the command as a time-out")
{
    Project project;
    project.add_agent("quick", "/bin/sh -c -- {command}", {"timeout_seconds: 1"});
    const auto ended = project.run({"run", "--json", "sleep 1000"});
    CHECK(ended.code == 1);
    const auto result = only_object(ended);
    CHECK(text_at(result, "status") == "timeout");
    CHECK(text_at(result, "error_code") == "timeout");
    const auto metrics = project.metrics();
    REQUIRE(metrics.size() == 1);
    CHECK(text_at(metrics.front(), "status") == "timeout");
}

TEST_CASE("what fails for a while is tried again; what fails is not, unless it is idempotent")
{
    Project project;
    const std::string count = "echo x >>tries; test $(wc -l <tries) -ge 2 || exit ";
    auto result = only_object(project.run({"run", "--json", "--retry", "1", count + "75"}));
    CHECK(text_at(result, "status") == "completed");
    CHECK(text_at(result, "attempts") == "2");

    fs::remove(project.root() / "tries");
    result = only_object(project.run({"run", "--json", "--retry", "1", count + "1"}));
    CHECK(text_at(result, "status") == "failed");
    CHECK(text_at(result, "attempts") == "1");

    fs::remove(project.root() / "tries");
    result =
        only_object(project.run({"run", "--json", "--retry", "1", "--idempotent", count + "1"}));
    CHECK(text_at(result, "status") == "completed");
    CHECK(text_at(result, "attempts") == "2");
    CHECK(project.run({"run", "--retry", "0", "exit 75"}).code == 1);
    CHECK(project.metrics().size() == 6);
}

TEST_CASE("a line's number of attempts wins over that of the call, and that over the agent's")
{
    Project project;
    project.add_agent("scripted", "/bin/sh -c {command}", {"retry_count: 0"});
    project.write(".tapps-agents/auto_execution_config.yaml",
                  "auto_execution: {retry: {max_attempts: 4, initial_delay_seconds: 0}}\n");
    project.write("list.jsonl", R"({"command": "exit 75", "retry": 2})");
    const auto attempts = [&project](const Words& words) {
        return text_at(only_object(project.run(words)), "attempts");
    };
    CHECK(attempts({"run", "--json", "--list", "list.jsonl", "--retry", "1"}) == "3");
    CHECK(attempts({"run", "--json", "--retry", "1", "exit 75"}) == "2");
    CHECK(attempts({"run", "--json", "exit 75"}) == "1");
    CHECK(attempts({"run", "--json", "--", "/bin/sh", "-c", "exit 75"}) == "4");
}

TEST_CASE("an expected file that is missing or unchanged makes success a failure")
{
    Project project;
    CHECK(project.run({"run", "--expect", "made", "touch made"}).code == 0);
    const auto ended = project.run({"run", "--json", "--expect", "file", "--expect", "no", "true"});
    CHECK(ended.code == 1);
    const auto result = only_object(ended);
    CHECK(text_at(result, "error_code") == "artifact_missing");
    CHECK(text_at(result, "missing_artifacts") == R"(["file","no"])");
    CHECK(project.run({"run", "--expect", "../outside", "true"}).code == 2);
}

TEST_CASE("a repository of another owner is refused in one sentence, before anything starts")
{
    if (::geteuid() != 0) return;
    Project project;
    for (const auto& path : {project.root(), project.root() / ".git"})
        REQUIRE(::chown(path.c_str(), 12345, 12345) == 0);
    const auto ended = project.run({"run", "--json", "--new-worktree", "n", "touch made"});
    CHECK(ended.code != 0);
    const auto error = text_at(only_object(ended), "error");
    CHECK(contains(error, "dubious ownership"));
    CHECK(contains(error, "safe.directory"));
    CHECK(error.find_first_of("\n\\") == std::string::npos);
}

TEST_CASE("the project's agents run command texts, by the name that is given")
{
    Project project;
    project.add_agent("loud", "echo loud {command}");
    project.add_agent("quiet", "echo quiet {command}");
    project.add_agent("other", "make");
    auto ended = project.run({"run", "--json", "--agent", "loud", "a prompt; $(no shell)"});
    CHECK(ended.code == 0);
    CHECK(text_at(only_object(ended), "output") == "loud a prompt; $(no shell)\n");

    ended = project.run({"run", "a prompt"});
    CHECK(ended.code == 3);
    CHECK(contains(ended.err, "'loud', 'quiet'"));
    CHECK(project.run({"run", "--agent", "laud", "--", "touch", "ran"}).code == 3);
    CHECK_FALSE(fs::exists(project.root() / "ran"));
    ended = project.run({"run", "--agent", "laud", "a prompt"});
    CHECK(ended.code == 3);
    CHECK(contains(ended.err, "loud"));
    CHECK(project.run({"run", "--agent", "other", "a prompt"}).code == 3);
    CHECK(project.run({"run", "--", "true"}).code == 0);  // needs none of them
}

TEST_CASE("an invalid agents file is reported with line and column, and nothing runs")
{
    Project project;
    project.write(".cursor/background-agents.yaml",
                  "agents:\n  - name: broken\n    commands: 7\n    timeout_seconds: soon\n");
    const auto ended = project.run({"run", "touch ran"});
    CHECK(ended.code == 3);
    CHECK(contains(ended.err, "background-agents.yaml:3:"));
    CHECK(contains(ended.err, "background-agents.yaml:4:"));
    CHECK_FALSE(fs::exists(project.root() / "ran"));
    CHECK(project.run({"agent"}).code == 3);
}

TEST_CASE("a prompt that begins with - stays one argument of its agent")
{
    Project project;
    project.add_agent("printer", "printf '<%s>' -- {command}");
    const auto ended = project.run({"run", "--json", "--command=-rf /; --all"});
    CHECK(text_at(only_object(ended), "output") == "<--><-rf /; --all>");
}

TEST_CASE("the program at --notify gets each result as JSON on its standard input")
{
    Project project;
    project.write("hook", "#!/bin/sh\ncat >\"$1\"\n");
    fs::permissions(project.root() / "hook", fs::perms::owner_all);
    const auto told = project.root() / "told";
    auto ended =
        project.run({"run", "--json", "--notify",
                     (project.root() / "hook").string() + " '" + told.string() + "'", "exit 4"});
    CHECK(ended.code == 1);
    CHECK(read_file(told) == ended.out);

    ended = project.run({"run", "--notify", "/bin/sh -c 'exit 3'", "true"});
    CHECK(ended.code == 0);
    CHECK(contains(ended.err, "--notify: /bin/sh: it exited with code 3"));
}

TEST_CASE("at most four programs at --notify run at the same time")
{
    Project project;
    project.write("hook", R"(#!/bin/sh
cd "$1"
mkdir "running/$$"
ls running | wc -l >>seen
until [ -e go ]; do sleep 0.01; done
rmdir "running/$$"
)");
    fs::permissions(project.root() / "hook", fs::perms::owner_all);
    const auto hook = "./hook '" + project.root().string() + "'";
    fs::create_directory(project.root() / "running");
    auto start = project.start({"run", "--notify", hook, "--list", "-"});
    for (int i = 0; i < 8; ++i) start.input += "{\"command\": \"true\"}\n";
    Program run(start);
    CHECK(eventually([&] {
        return std::distance(fs::directory_iterator(project.root() / "running"),
                             fs::directory_iterator()) == 4;
    }));
    project.write("go", "");
    CHECK(run.wait().code == 0);
    std::istringstream seen(read_file(project.root() / "seen"));
    int calls = 0;
    for (int running = 0; seen >> running; ++calls) CHECK(running <= 4);
    CHECK(calls == 8);
}

TEST_CASE("a program at --notify counts from the folder of the call, and is looked for before all")
{
    Project project;
    project.write("hooks/hook", "#!/bin/sh\ncat >\"$1\"\n");
    const auto told = project.root() / "told";
    auto start = project.start(
        {"run", "-w", "..", "--json", "--notify", "./hook '" + told.string() + "'", "touch ran"});
    start.folder = project.root() / "hooks";
    const auto refused = Program(start).wait();
    CHECK(refused.code == 2);  // it is not executable yet
    CHECK_FALSE(fs::exists(project.root() / "ran"));

    fs::permissions(start.folder / "hook", fs::perms::owner_all);
    const auto ended = Program(start).wait();
    CHECK_MESSAGE(ended.code == 0, ended.err);
    CHECK(read_file(told) == ended.out);
    CHECK(ended.err.find("--notify") == std::string::npos);
}

TEST_CASE("an agent in another process takes the commands")
{
    Project project;
    project.add_agent("shell", shell_command);
    const auto tree = project.worktree("tree");
    Program agent(project.start({"agent"}));
    auto ended = project.run({"run", "--external-agent", "--polling-interval", "50ms", "--json",
                              "-w", tree, "echo by $PPID >made; echo said", "--expect", "made"});
    CHECK(ended.code == 0);
    const auto result = only_object(ended);
    CHECK(text_at(result, "output") == "said\n");
    CHECK(text_at(result, "artifacts") == R"(["made"])");
    CHECK(project.metrics().size() == 1);

    // Its supervisor asks the program to stop, and an agent that is told to end waits for that.
    Program engine(project.start({"run", "--external-agent", "--polling-interval", "50ms", "--json",
                                  "-w", tree, "sleep 1000"}));
    project.wait_for_running(1);
    agent.signal(SIGTERM);
    CHECK(agent.wait().code == 0);
    ended = engine.wait();
    CHECK(ended.code == 1);
    CHECK(text_at(only_object(ended), "error_code") == "agent_stopped");
}

TEST_CASE("a worktree that cannot be used is an error of the executor with a reason")
{
    Project project;
    project.write("plain", "");
    const auto missing = project.run({"run", "-w", "no-such", "true"});
    CHECK(missing.code == 4);
    CHECK(contains(missing.out, "does not exist"));
    const auto file = project.run({"run", "-w", "plain", "true"});
    CHECK(file.code == 4);
    CHECK(contains(file.out, "is not a directory"));
    // The others run nevertheless.
    const auto both = project.run({"run", "--json", "-w", "no-such", "-w", ".", "touch ran"});
    CHECK(both.code == 4);
    CHECK(objects_of(both.out).size() == 2);
    CHECK(fs::exists(project.root() / "ran"));
}

TEST_CASE("a worktree that cannot be written to is an error of the executor with a reason")
{
    Project project;
    const auto tree = project.root() / "read-only";
    fs::create_directory(tree);
    const auto start = project.start_unprivileged({"run", "-w", tree, "true"});
    fs::permissions(tree, fs::perms::owner_read | fs::perms::owner_exec);
    Program program(start);
    const auto ended = program.wait();
    CHECK(ended.code == 4);
    CHECK_MESSAGE(contains(ended.out, "is not writable"), ended.out, ended.err);
    fs::permissions(tree, fs::perms::owner_all);
}

TEST_CASE("the result of a command that makes its worktree read-only names the cause")
{
    Project project;
    const auto tree = project.worktree("tree");
    auto start =
        project.start_unprivileged({"run", "--json", "--retry", "0", "-w", tree, "chmod 555 ."});
    const auto ended = Program(start).wait();
    fs::permissions(tree, fs::perms::owner_all);
    CHECK(ended.code == 1);
    const auto result = only_object(ended);
    CHECK(text_at(result, "error_code") == "agent_lost");
    const auto error = text_at(result, "error");
    CHECK_MESSAGE(contains(error, "The worktree '" + tree.string() + "' is not writable: "), error);
    CHECK(contains(text_at(result, "warnings"), "could not be removed from the worktree"));
    start.argv.back() = "true";
    CHECK(Program(start).wait().code == 0);
}

TEST_CASE("a program reads nothing of the processes above it")
{
    Project project;
    std::string script = "for secret in /proc/$PPID/environ /proc/$PPID/fd/3";
#ifndef __SANITIZE_ADDRESS__  // there the executor can be traced: see main.cpp
    script += " /proc/$(cut -d ' ' -f 4 /proc/$PPID/stat)/environ";
#endif
    script += "; do ls -l $secret && cat $secret && exit 1; done; exit 0";
    Program program(project.start_unprivileged({"run", "--show-output", script}));
    const auto ended = program.wait();
    CHECK_MESSAGE(ended.code == 0, ended.out, ended.err);
}

TEST_CASE("a worktree that another executor holds is an error, or is waited for")
{
    Project project;
    Program first(project.start({"run", "until test -e go; do sleep 0.02; done"}));
    project.wait_for_running(1);
    const auto refused = project.run({"run", "true"});
    CHECK(refused.code == 4);
    CHECK(contains(refused.out, "Another executor is running a command"));
    Program waiting(project.start({"run", "--wait", "true"}));
    CHECK_FALSE(waiting.ends_within(std::chrono::milliseconds(400)));
    project.write("go", "");
    CHECK(first.wait().code == 0);
    CHECK(waiting.wait().code == 0);
}

TEST_CASE("a line of a list that cannot be taken exactly as it is written is refused")
{
    Project project;
    const auto bytes = project.run({"run", "--list", "-"}, "{\"command\": \"echo \xFF\"}\n");
    CHECK(bytes.code == 2);
    CHECK_MESSAGE(contains(bytes.err, "stdin:1: the line is not UTF-8"), bytes.err);
    const auto number =
        project.run({"run", "--list", "-"}, R"({"command": "true", "retry": 1e999})");
    CHECK(number.code == 2);
    CHECK_MESSAGE(contains(number.err, "stdin:1: "), number.err);
}

TEST_CASE("a command that removes the folder that the program was started in harms no other")
{
    Project project;
    const auto folder = project.root() / "folder";
    fs::create_directory(folder);
    auto start = project.start({"run", "-w", "..", "rmdir folder"});
    start.folder = folder;
    Program program(start);
    const auto ended = program.wait();
    CHECK(ended.code == 0);
    CHECK_MESSAGE(contains(ended.out, "completed"), ended.out, ended.err);
}

TEST_CASE("two commands for one worktree run one after the other")
{
    Project project;
    const auto ended =
        project.run({"run", "-w", ".", "-w", ".", "mkdir busy || exit 1; sleep 0.1; rmdir busy"});
    CHECK(ended.code == 0);
}

TEST_CASE("a command text too long for an argument is refused with the way out, which works")
{
    Project project;
    const std::string text = "echo begin #" + std::string(140 * 1024, 'x');
    const std::string list = R"({"command": ")" + text + "\"}";
    auto ended = project.run({"run", "--json", "--list", "-"}, list);
    CHECK(ended.code == 1);
    CHECK(contains(text_at(only_object(ended), "error"), "{command_file_path}"));

    project.add_agent("reader", "wc -c {command_file_path}");
    ended = project.run({"run", "--json", "--list", "-"}, list);
    CHECK(ended.code == 0);
    CHECK(std::stoul(text_at(only_object(ended), "output")) > text.size());

    // What no agent would read is not even published.
    ended = project.run({"run", "--json", "--list", "-"},
                        R"({"command": ")" + std::string(1024 * 1024 - 100, 'x') + "\"}");
    CHECK(ended.code == 4);
}

TEST_CASE("a secret in the command is warned of, and runs as it is")
{
    Project project;
    const std::string secret = std::string("gh") + "p_" + std::string(36, 'Q');
    const auto ended = project.run({"run", "echo " + secret + " | wc -c >length"});
    CHECK(ended.code == 0);
    CHECK(std::stoul(read_file(project.root() / "length")) == secret.size() + 1);
    CHECK(contains(ended.err, "secret"));
    CHECK_FALSE(contains(ended.err + ended.out, secret));
}

TEST_CASE("variables that --env names reach a command whose agent has a clean environment")
{
    Project project;
    project.add_agent("shell", shell_command, {"clean_environment: true"});
    project.set("WANTED", "it is here");
    project.set("UNWANTED", "it is here, too");
    auto ended = project.run({"run", "--json", "--env", "WANTED", "echo $WANTED, $UNWANTED."});
    CHECK(text_at(only_object(ended), "output") == "it is here, .\n");
    ended = project.run({"run", "--json", "--env", "NO_SUCH", "true"});
    CHECK(ended.code == 1);
    CHECK(text_at(only_object(ended), "error_code") == "env_ref_missing");
}

TEST_CASE("of much output the log keeps the beginning and the result the end")
{
    Project project;
    const auto ended =
        project.run({"run", "--json", "seq 1 2000000; printf 'the end\\n\\033[31m'"});
    CHECK(ended.code == 0);
    const auto output = text_at(only_object(ended), "output");
    CHECK(output.size() <= 8 * 1024);
    CHECK(contains(output, "2000000\nthe end"));
    const auto logs = Project::files_in(project.records() / "output");
    REQUIRE(logs.size() == 1);
    const auto kept = read_file(logs.front());
    CHECK(kept.starts_with("1\n2\n3\n"));
    CHECK(kept.size() < 11 * 1024 * 1024);
    CHECK(contains(kept.substr(kept.size() - 100), "not kept"));
}

TEST_CASE("the output of a command cannot control the terminal that shows it")
{
    Project project;
    const auto ended = project.run({"run", "--show-output", "printf '\\033]0;title\\007'; exit 1"});
    CHECK(ended.code == 1);
    CHECK_FALSE(contains(ended.out + ended.err, "\033"));
}

TEST_CASE("a project without git works, too")
{
    Project project;
    const TemporaryFolder folder;
    auto start = project.start({"run", "--json", "pwd"});
    start.folder = folder.path();
    Program program(start);
    const auto ended = program.wait();
    CHECK(ended.code == 0);
    CHECK(text_at(only_object(ended), "output") == folder.path().string() + "\n");
    CHECK(Project::names_in(folder.path()) == Words{".tapps-agents"});
}
