#include "queue/queue_folder.hpp"
#include "support/project.hpp"
#include "text/text.hpp"

#include <doctest/doctest.h>
#include <fmt/format.h>
#include <boost/json/serialize.hpp>

#include <sys/stat.h>
#include <unistd.h>

#include <fstream>

using namespace autoexec::test;

namespace {

std::string short_id(const std::string& id)
{
    return id.substr(id.size() - 8);
}

}  // namespace

TEST_CASE("status shows what is in flight, for people and for programs")
{
    Project project;
    const auto tree = project.worktree("tree");
    Program engine(project.start({"run", "-w", tree, "--workflow-id", "w",
                                  "echo half way; until test -e go; do sleep 0.02; done"}));
    const auto id = project.wait_for_running(1).front();

    const auto plain = project.run({"status"});
    CHECK(plain.code == 0);
    CHECK(plain.out.starts_with("running"));
    CHECK(contains(plain.out, short_id(id)));
    CHECK(contains(plain.out, "../tree"));

    const auto entries = objects_of(project.run({"status", "--json"}).out);
    REQUIRE(entries.size() == 1);
    CHECK(text_at(entries[0], "worktree") == tree.string());
    CHECK(text_at(entries[0], "workflow_id") == "w");
    CHECK(text_at(entries[0], "pid") == std::to_string(engine.pid()));
    CHECK(entries[0].at("age_seconds").to_number<double>() >= 0);

    write_file(tree / "go", "");
    CHECK(engine.wait().code == 0);
    const auto after = project.run({"status"});
    CHECK(after.code == 0);
    CHECK(after.out.empty());
    CHECK(contains(after.err, "No commands are running or queued"));
    CHECK(project.run({"status", "--json"}).out.empty());
}

TEST_CASE("status lists queued commands in the order in which they start")
{
    const Project project;
    autoexec::queue::QueueFolder queue(project.root());
    for (const int priority : {0, 5}) {
        autoexec::CommandRequest request("task of priority " + std::to_string(priority),
                                         project.root());
        request.execution_id = autoexec::text::new_uuid();
        autoexec::protocol::QueuedRequest queued(std::move(request));
        queued.request.priority = priority;
        REQUIRE_FALSE(queue.submit(queued, autoexec::Durability::none));
    }
    const auto printed = project.run({"status"}).out;
    const auto first = printed.find("place 1");
    REQUIRE(first != printed.npos);
    CHECK(printed.find("task of priority 5") > first);
    CHECK(printed.find("task of priority 5") < printed.find("place 2"));
    CHECK(printed.find("task of priority 0") > printed.find("place 2"));
    const auto objects = objects_of(project.run({"status", "--json"}).out);
    REQUIRE(objects.size() == 2);
    CHECK(text_at(objects[0], "state") == "queued");
    CHECK(text_at(objects[0], "command") == "task of priority 5");
}

TEST_CASE("any folder of the repository finds its project")
{
    Project project;
    const auto tree = project.worktree("tree");
    CHECK(project.run({"run", "true"}).code == 0);
    fs::create_directories(tree / "deep/down");
    auto start = project.start({"history", "--json"});
    start.folder = tree / "deep/down";
    Program program(start);
    CHECK(objects_of(program.wait().out).size() == 1);
    CHECK(objects_of(project.run({"history", "--json", "--project", "../tree"}).out).empty());
}

TEST_CASE("a project that cannot be used is a usage error")
{
    Project project;
    const auto error_with = [&](const fs::path& path) {
        const auto ended = project.run({"status", "--project", path.string()});
        CHECK(ended.code == 2);
        CHECK(ended.out.empty());
        CHECK(lines_of(ended.err).size() == 1);
        return ended.err;
    };
    CHECK(contains(error_with("no-such-folder"),
                   "cannot use the project 'no-such-folder': No such file or directory"));
    CHECK(contains(error_with("file"), "cannot use the project 'file': Not a directory"));
    fs::create_symlink("circle", project.root() / "circle");
    CHECK(contains(error_with("circle"), "'circle': Too many levels of symbolic links"));
    if (::geteuid() == 0) return;  // may read everything
    fs::create_directory(project.root() / "closed");
    fs::permissions(project.root() / "closed", fs::perms::none);
    CHECK(contains(error_with("closed"), "'closed': Permission denied"));
    fs::permissions(project.root() / "closed", fs::perms::owner_all);
}

TEST_CASE("history names what it cannot read")
{
    Project project;
    CHECK(project.run({"run", "-q", "true"}).code == 0);
    const auto metrics = project.root() / ".tapps-agents/metrics";
    const auto check = [&](const std::string& named, std::size_t lines) {
        const auto ended = project.run({"history", "--json"});
        CHECK(ended.code == 4);
        CHECK(objects_of(ended.out).size() == lines);
        CHECK(contains(ended.err,
                       "warning: " + (project.root() / named).string() + " cannot be read"));
        CHECK(project.run({"history", "--summary"}).code == 4);
    };
    SUBCASE("a FIFO")
    {
        REQUIRE(::mkfifo((metrics / "executions_2020-01-01.jsonl").c_str(), 0600) == 0);
        check(".tapps-agents/metrics/executions_2020-01-01.jsonl", 1);
    }
    SUBCASE("a link")
    {
        fs::create_symlink("/dev/null", metrics / "executions_2020-01-01.jsonl");
        check(".tapps-agents/metrics/executions_2020-01-01.jsonl", 1);
    }
    SUBCASE("a file in the place of the folder")
    {
        fs::remove_all(project.root() / ".tapps-agents");
        project.write(".tapps-agents", "");
        check(".tapps-agents/metrics", 1);  // the error
        fs::remove(project.root() / ".tapps-agents");
    }
}

TEST_CASE("history lists ended commands, newest first, and filters them")
{
    Project project;
    CHECK(contains(project.run({"history"}).err, "No execution history found"));
    CHECK(contains(project.run({"history", "--summary"}).err, "No execution history found"));
    project.run({"run", "--workflow-id", "w1", "--step-id", "a", "echo first"});
    project.run({"run", "--workflow-id", "w1", "--step-id", "b", "exit 3"});
    project.run({"run", "--workflow-id", "w2", "echo third"});

    const auto commands = [&](Words filters) {
        Words words = {"history", "--json"};
        words.insert(words.end(), filters.begin(), filters.end());
        Words found;
        for (const auto& metric : objects_of(project.run(words).out))
            found.push_back(text_at(metric, "command"));
        return found;
    };
    CHECK(commands({}) == Words{"echo third", "exit 3", "echo first"});
    CHECK(commands({"--workflow-id", "w1"}) == Words{"exit 3", "echo first"});
    CHECK(commands({"--step-id", "a"}) == Words{"echo first"});
    CHECK(commands({"--status", "failed"}) == Words{"exit 3"});
    CHECK(commands({"-n", "1"}) == Words{"echo third"});
    CHECK(commands({"-n", "0"}).size() == 3);
    CHECK(commands({"--workflow-id", "no-such"}).empty());
    CHECK(project.run({"history", "--status", "splendid"}).code == 2);

    const auto plain = lines_of(project.run({"history"}).out);
    REQUIRE(plain.size() == 3);
    CHECK(contains(plain[1], "[w1/b]"));
    CHECK(contains(plain[1], "exited with code 3"));

    const auto summary = objects_of(project.run({"history", "--summary", "--json"}).out);
    REQUIRE(summary.size() == 1);
    CHECK(text_at(summary[0], "total_executions") == "3");
    CHECK(contains(project.run({"history", "--summary"}).out, "Success Rate: 66.7%"));
    CHECK(project.run({"metrics"}).out == project.run({"history", "--summary"}).out);
}

TEST_CASE("history shows how long a command waited in a queue")
{
    Project project;
    project.write(".tapps-agents/metrics/attempts_2026-01-20.jsonl",
                  R"({"execution_id": "e", "command": "make", "status": "completed", )"
                  R"("duration_ms": 1500.0, "started_at": "2026-01-20T10:00:00+00:00", )"
                  R"("completed_at": "2026-01-20T10:00:01+00:00", "attempt_id": "a", )"
                  R"("queued_ms": 125000.0})"
                  "\n");
    CHECK(contains(project.run({"history"}).out, " +2m05s "));
    const auto json = objects_of(project.run({"history", "--json"}).out);
    REQUIRE(json.size() == 1);
    CHECK(json[0].at("queued_ms") == 125000.0);
    CHECK(json[0].at("duration_ms") == 1500.0);
}

TEST_CASE("audit lists, prints and verifies events")
{
    Project project;
    CHECK(contains(project.run({"audit", "query"}).err, "No events found"));
    CHECK(contains(project.run({"audit", "verify"}).err, "The audit log is empty"));
    project.run({"run", "echo one"});
    project.run({"run", "exit 3"});

    const auto failed = project.run({"audit", "query", "--event", "execution_failed"});
    REQUIRE(lines_of(failed.out).size() == 1);
    CHECK(contains(failed.out, "  exit 3  {"));
    const auto csv = lines_of(project.run({"audit", "query", "--csv", "--grep", "echo one"}).out);
    CHECK(csv.size() > 2);
    CHECK(csv[0].starts_with("timestamp,event_type,status,"));
    const auto all = objects_of(project.run({"audit", "query", "--json", "-n", "0"}).out);
    const auto last = objects_of(project.run({"audit", "tail", "--json", "-n", "2"}).out);
    REQUIRE(last.size() == 2);
    CHECK(last[1] == all[0]);
    CHECK(last[0] == all[1]);

    const auto intact = project.run({"audit", "verify"});
    CHECK(intact.code == 0);
    CHECK(intact.out == fmt::format("The audit log is intact: {} lines in the chain, 1 to {}\n",
                                    all.size(), all.size()));
    const auto log = project.records() / "audit/execution_audit.log";
    auto text = read_file(log);
    text[text.find("echo one")] = 'E';
    write_file(log, text);
    const auto changed = project.run({"audit", "verify"});
    CHECK(changed.code == 1);
    CHECK(contains(changed.out, ".tapps-agents/audit/execution_audit.log:1: edited: "));
    CHECK(objects_of(project.run({"audit", "verify", "--json"}).out).at(0).at("intact") == false);
    CHECK(project.run({"audit", "verify", "--key-file", "no-such"}).code == 2);
}

TEST_CASE("audit tail follows the log")
{
    Project project;
    project.run({"run", "true"});
    auto start = project.start({"audit", "tail", "-f", "-n", "1", "--json"});
    Program tail(start);
    const auto prints = [&tail](std::string_view text) {
        return eventually([&] { return contains(tail.out(), text); });
    };
    CHECK(prints("execution_completed"));
    project.run({"run", "exit 3"});
    CHECK(prints("execution_failed"));
    tail.signal(SIGTERM);
    tail.wait();
}

TEST_CASE("history and metrics filter, page and print CSV")
{
    Project project;
    project.run({"run", "--workflow-id", "w1", "--step-id", "a", "echo one, two"});
    project.run({"run", "--workflow-id", "w1", "--step-id", "b", "exit 3"});
    project.run({"run", "true"});

    const auto csv = lines_of(project.run({"history", "--csv", "--since", "1h"}).out);
    REQUIRE(csv.size() == 4);
    CHECK(csv[0].starts_with("started_at,completed_at,duration_ms,queued_ms,status,"));
    CHECK(csv[3].ends_with(",\"echo one, two\","));
    CHECK(lines_of(project.run({"history", "--grep", "one"}).out).size() == 1);
    CHECK(project.run({"history", "--until", "2020-01-01"}).out.empty());
    CHECK(lines_of(project.run({"history", "--worktree", "."}).out).size() == 3);
    CHECK(project.run({"history", "--worktree", "elsewhere"}).out.empty());
    const auto wrong = project.run({"history", "--since", "noon"});
    CHECK(wrong.code == 2);
    CHECK(contains(wrong.err, "invalid time 'noon'; use 2h, 30d, 2026-01-31 or"));
    CHECK(project.run({"history", "--csv", "--json"}).code == 2);

    const auto page = project.run({"history", "--json", "-n", "2"});
    CHECK(lines_of(page.out).size() == 2);
    const auto cursor = page.err.substr(page.err.find("--cursor ") + 9);
    const auto rest = objects_of(
        project.run({"history", "--json", "--cursor", cursor.substr(0, cursor.find('\n'))}).out);
    REQUIRE(rest.size() == 1);
    CHECK(text_at(rest[0], "command") == "echo one, two");
    for (Words words : {Words{"history"}, Words{"audit", "query"}}) {
        words.insert(words.end(), {"--csv", "--cursor", "elsewhere:5"});
        const auto lost = project.run(words);
        CHECK(lost.code == 2);
        CHECK(lost.out.empty());
        CHECK(contains(lost.err, "the cursor's log is gone"));
    }

    const auto table = lines_of(project.run({"metrics", "--by", "step"}).out);
    REQUIRE(table.size() == 4);
    CHECK(table[0].starts_with("STEP  EXECUTIONS  SUCCESS"));
    const auto groups =
        objects_of(project.run({"metrics", "--by", "workflow", "--json"}).out).at(0).at("groups");
    CHECK(groups.as_object().at("w1").as_object().at("success_rate") == 0.5);
    CHECK(contains(project.run({"metrics", "--by", "day"}).out, "████████████████"));
    CHECK(contains(project.run({"metrics", "--csv"}).out, "\nall,3,3,0.666"));
    CHECK(contains(project.run({"metrics", "--status", "timeout"}).err, "No execution history"));
    const auto exposed = project.run({"metrics", "--prometheus"}).out;
    CHECK(contains(exposed, "# TYPE autoexec_executions gauge\n"));
    CHECK(
        contains(exposed, "autoexec_executions{agent=\"autoexec run\",status=\"completed\"} 2\n"));
    CHECK(contains(exposed, "autoexec_attempt_duration_seconds_count{agent=\"autoexec run\"} 3\n"));
}

TEST_CASE("a bad line in the metrics is skipped, and counted in the summary")
{
    Project project;
    project.run({"run", "true"});
    const auto file = Project::files_in(project.records() / "metrics").at(0);
    std::ofstream(file, std::ios::app) << "not a metric\n";
    CHECK(objects_of(project.run({"history", "--json"}).out).size() == 1);
    CHECK(contains(project.run({"history", "--summary"}).err, "Skipped invalid lines: 1"));
}

TEST_CASE("cancel ends one execution by the end of its id, and no other")
{
    Project project;
    const auto a = project.worktree("a");
    const auto b = project.worktree("b");
    Program engine(project.start(
        {"run", "--json", "-w", a, "-w", b, "until test -e go; do sleep 0.02; done"}));
    project.wait_for_running(2);
    std::string id;
    for (const auto& entry : objects_of(project.run({"status", "--json"}).out))
        if (text_at(entry, "worktree") == a.string()) id = text_at(entry, "execution_id");

    const auto cancelled = project.run({"cancel", short_id(id)});
    CHECK(cancelled.code == 0);
    CHECK(contains(cancelled.out, short_id(id)));
    write_file(b / "go", "");
    const auto ended = engine.wait();
    CHECK(ended.code == 130);
    for (const auto& result : objects_of(ended.out))
        CHECK(text_at(result, "status") ==
              (text_at(result, "worktree") == a.string() ? "cancelled" : "completed"));
    CHECK(project.run({"cancel", short_id(id)}).code == 2);
}

TEST_CASE("a cancel without a wait takes effect, too")
{
    Project project;
    Program engine(project.start({"run", "exec sleep 1000"}));
    const auto id = project.wait_for_running(1).front();
    CHECK(project.run({"cancel", "--no-wait", id}).code == 0);
    CHECK(engine.wait().code == 130);
}

TEST_CASE("an unknown or ambiguous id of an execution is a usage error")
{
    Project project;
    for (const auto* verb : {"cancel", "logs"}) {
        const auto none = project.run({verb, "0000aaaa"});
        CHECK(none.code == 2);
        CHECK(contains(none.err, "no execution matches '0000aaaa'"));
        CHECK(contains(project.run({verb, "aaa"}).err, "give at least the last four characters"));
        CHECK(project.run({verb, "\033[31m"}).code == 2);
        CHECK(project.run({verb, ""}).code == 2);
        CHECK(project.run({verb}).code == 2);
    }

    // Ids cannot be chosen, so the records are made.
    std::string log;
    for (const std::string head : {"1", "2"}) {
        boost::json::object o;
        o["execution_id"] = head + "0000000-same-end";
        o["attempt_id"] = head + "-attempt";
        o["event_type"] = "execution_started";
        log += "2026-01-02 03:04:05 | INFO | " + boost::json::serialize(o) + "\n";
    }
    project.write(".tapps-agents/audit/execution_audit.log", log);
    const auto several = project.run({"logs", "same-end"});
    CHECK(several.code == 2);
    CHECK(contains(several.err, "several executions match"));
    CHECK(project.run({"logs", "10000000-same-end"}).code == 0);
}

TEST_CASE("logs shows what was printed, attempt by attempt")
{
    Project project;
    const auto ended =
        project.run({"run", "--json", "--retry", "1",
                     "echo try $AUTOEXEC_ATTEMPT; test $AUTOEXEC_ATTEMPT = 2 || exit 75"});
    CHECK(ended.code == 0);
    const auto id = text_at(objects_of(ended.out).at(0), "execution_id");
    const auto logs = project.run({"logs", short_id(id)});
    CHECK(logs.code == 0);
    CHECK(logs.out == "try 1\ntry 2\n");
    CHECK(contains(logs.err, "attempt 2"));
    CHECK(project.run({"logs", "-f", id}).out == "try 1\ntry 2\n");
}

TEST_CASE("logs -f shows output as it comes, and ends with its command")
{
    Project project;
    Program engine(project.start(
        {"run",
         "echo one; until test -e go; do sleep 0.02; done; echo two; sleep 0.1; echo three"}));
    const auto id = project.wait_for_running(1).front();
    Program logs(project.start({"logs", "-f", short_id(id)}));
    CHECK(eventually([&] { return logs.out() == "one\n"; }));
    CHECK(project.run({"logs", id}).out == "one\n");
    CHECK_FALSE(logs.ends_within(std::chrono::milliseconds(300)));
    project.write("go", "");
    CHECK(engine.wait().code == 0);
    CHECK(logs.wait().code == 0);
    CHECK(logs.out() == "one\ntwo\nthree\n");
}

TEST_CASE("a reader that ends also ends the writer, without a message")
{
    Project project;
    project.run({"run", "seq 1 100000"});
    const auto id = text_at(project.metrics().at(0), "execution_id");
    for (const auto& words : {std::string("history"), "logs " + id}) {
        auto start = project.start({});
        start.argv = {"/bin/bash", "-c",
                      program_path + " " + words + " | true; exit ${PIPESTATUS[0]}"};
        Program program(start);
        const auto ended = program.wait();
        CHECK(ended.code == 0);
        CHECK(ended.err.empty());
    }
}

TEST_CASE("subcommands that only read create nothing")
{
    Project project;
    const auto run = [&](Words words) {
        (void)project.run(words);
        CHECK_MESSAGE(!fs::exists(project.records()), words.front());
    };
    run({"status"});
    run({"history"});
    run({"history", "--summary"});
    run({"trace"});
    run({"logs", "none"});
    run({"health"});
    run({"workflow", "list"});
    run({"workflow", "status"});
    run({"workflow", "report"});
    run({"workflow", "schedule", "--list"});
    run({"diff", "none"});
    run({"open", "none"});
    run({"worktree", "list"});
    run({"agents", "list"});
    run({"config", "show"});
}

TEST_CASE("status reads the status file that is configured")
{
    Project project;
    project.write(".tapps-agents/auto_execution_config.yaml",
                  "auto_execution:\n  version: \"1.0\"\n  files:\n    status_name: state.json\n");
    Program run(project.start({"run", "until test -e go; do sleep 0.02; done"}));
    CHECK(project.wait_for_running(1).size() == 1);
    project.write("go", "");
    CHECK(run.wait().code == 0);
}

TEST_CASE("the document of the program lists all subcommands")
{
    Project project;
    const auto table = project.run({"command-table"});
    CHECK(table.code == 0);
    CHECK(contains(table.out, "| [`workflow run`](#workflow) | run a workflow |\n"));
    CHECK_FALSE(contains(table.out, "command-table"));
    CHECK_MESSAGE(contains(read_file(fs::path(AUTOEXEC_SOURCE_DIR) / "doc/cli.md"), table.out),
                  "autoexec command-table");
}

TEST_CASE("only run takes a program after two hyphens")
{
    Project project;
    CHECK(project.run({"run", "--", "true"}).code == 0);
    const auto refused = project.run({"status", "--", "true"});
    CHECK(refused.code == 2);
    CHECK(contains(refused.err, "true"));
}
