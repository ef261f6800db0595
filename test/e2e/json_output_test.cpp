#include "support/asking_project.hpp"
#include "support/git_project.hpp"
#include "support/json_schema.hpp"

#include <doctest/doctest.h>

using namespace autoexec::test;

namespace {

const JsonSchema& schema()
{
    static const JsonSchema one(
        read_file(fs::path(AUTOEXEC_SOURCE_DIR) / "doc/json-output.schema.json"));
    return one;
}

/// Every line must match the schema; returns how many there are.
std::size_t matching(const std::string& out, std::string_view name)
{
    const auto lines = objects_of(out);
    for (const auto& line : lines) {
        const auto problem = schema().problem(name, line);
        CHECK_MESSAGE(problem.empty(), problem);
    }
    return lines.size();
}

}  // namespace

TEST_CASE("a line that has another key, or lacks one, does not match its schema")
{
    CHECK(schema()
              .problem("error", {{"error", "x"}, {"error_code", "usage"}, {"exit_code", 2}})
              .empty());
    CHECK(contains(schema().problem("error", {{"error", "x"}, {"error_code", "usage"}}),
                   "without exit_code"));
    CHECK(contains(
        schema().problem("error",
                         {{"error", "x"}, {"error_code", "usage"}, {"exit_code", 2}, {"more", 1}}),
        "unknown key more"));
    CHECK(contains(
        schema().problem("error", {{"error", 1}, {"error_code", "usage"}, {"exit_code", 2}}),
        "error.error: type"));
    CHECK(contains(
        schema().problem("error", {{"error", "x"}, {"error_code", "other"}, {"exit_code", 2}}),
        "enum"));
}

TEST_CASE("results, attempts and errors are as the schema describes them")
{
    Project project;
    project.add_agent("reports", "/bin/sh -c {command}", {"outcome: exit_code"});
    CHECK(matching(project.run({"run", "--json", "--agent", "reports", "--", "true"}).out,
                   "result") == 1);
    CHECK(matching(project.run({"run", "--json", "--expect", "none", "echo x; exit 3"}).out,
                   "result") == 1);
    CHECK(matching(project.run({"run", "--json", "--timeout", "50ms", "exec sleep 60"}).out,
                   "result") == 1);
    CHECK(matching(project.run({"run", "--json", "--retry", "0", "kill -9 $$"}).out, "result") ==
          1);
    CHECK(matching(project.run({"history", "--json"}).out, "attempt") == 4);
    CHECK(matching(project.run({"history", "--json", "--status", "none"}).out, "error") == 1);
    CHECK(matching(project.run({"wait", "--json", "0000aaaa"}).out, "error") == 1);
    CHECK(matching(project.run({"config", "validate", "--json"}).out, "configuration") == 1);
    project.write(".tapps-agents/auto_execution_config.yaml", "auto_execution: {retry: 3}\n");
    CHECK(matching(project.run({"config", "validate", "--json"}).out, "configuration") == 1);
    CHECK(matching(project.run({"run", "--json", "true"}).out, "error") == 1);
}

TEST_CASE("lines of status are as the schema describes them")
{
    Project project;
    Program run(project.start(
        {"run", "--workflow-id", "w", "--step-id", "s", "until test -e go; do sleep 0.02; done"}));
    project.wait_for_running(1);
    CHECK(project.run({"pause", "--json"}).code == 0);
    CHECK(matching(project.run({"status", "--json"}).out, "status") == 2);
    CHECK(project.run({"resume"}).code == 0);
    project.write("go", "");
    CHECK(run.wait().code == 0);
}

TEST_CASE("the lines of workflows are as the schema describes them")
{
    Project project;
    project.write("w.yaml",
                  "id: w\n"
                  "steps:\n"
                  "  - {id: a, argv: ['true']}\n"
                  "  - {id: b, argv: ['false'], depends_on: [a]}\n"
                  "  - {id: c, argv: ['true'], depends_on: [b]}\n");
    const auto ended = project.run({"workflow", "run", "w.yaml", "--json", "--in-place"});
    CHECK(ended.code == 1);
    const auto end = ended.out.rfind('\n', ended.out.size() - 2) + 1;
    CHECK(matching(ended.out.substr(0, end), "transition") > 4);
    CHECK(matching(ended.out.substr(end), "workflow_result") == 1);
    CHECK(matching(project.run({"workflow", "list", "--json"}).out, "run") == 1);
    CHECK(matching(project.run({"workflow", "status", "--json"}).out, "run") == 1);
    CHECK(matching(project.run({"workflow", "status", "--json", "none"}).out, "error") == 1);
}

TEST_CASE("reports and diffs are as the schema describes them")
{
    GitProject project;
    project.committed_steps({"id: a, agent: x, action: y", "id: b, agent: x, action: y"});
    project.on("a", "git mv file moved; printf '\\0' >binary");
    project.on("b", "exit 1");
    CHECK(project.go().code == 1);
    CHECK(matching(project.run({"workflow", "report", "--json"}).out, "run") == 1);
    const auto run = text_at(project.newest_run(), "run_id");
    CHECK(matching(project.run({"diff", run, "--json"}).out, "diff") == 1);
    CHECK(matching(project.run({"diff", run, "b", "--json"}).out, "diff") == 1);
    WorkflowProject in_place;
    in_place.steps({"id: a, agent: x, action: y"});
    CHECK(in_place.run_workflow().code == 0);
    const auto report = in_place.run({"workflow", "report", "--json"}).out;
    CHECK(matching(report, "run") == 1);
    CHECK(objects_of(report).at(0).at("changes").is_null());
}

TEST_CASE("the lines of a manual step are as the schema describes them")
{
    Project project;
    project.write("m.yaml",
                  "id: m\nsteps:\n  - {id: decide, manual: true, command: Is it good}\n"
                  "  - {id: a, argv: ['true'], depends_on: [decide]}\n");
    Program run(project.start({"workflow", "run", "m.yaml", "--json", "--in-place"}));
    CHECK(eventually([&] {
        return matching(project.run({"status", "--json"}).out, "status") == 1;
    }));
    CHECK(matching(project.run({"workflow", "status", "--json"}).out, "run") == 1);
    CHECK(project.run({"workflow", "approve", "decide", "--reason", "yes"}).code == 0);
    const auto ended = run.wait();
    CHECK(ended.code == 0);
    const auto end = ended.out.rfind('\n', ended.out.size() - 2) + 1;
    CHECK(matching(ended.out.substr(0, end), "transition") > 4);
    CHECK(matching(ended.out.substr(end), "workflow_result") == 1);
    CHECK(matching(project.run({"workflow", "status", "--json"}).out, "run") == 1);
}

TEST_CASE("the lines about agents, settings, starts and records are as the schema describes them")
{
    Project project;
    project.add_agent("coder", "/bin/sh -c {command}");
    const auto lines = [&](Words words, std::string_view name) {
        CAPTURE(name);
        words.emplace_back("--json");
        return matching(project.run(std::move(words)).out, name);
    };
    CHECK(lines({"agents", "list"}, "agent") == 1);
    CHECK(lines({"agents", "validate"}, "agents_file") == 1);
    CHECK(lines({"config", "get", "retry.max_attempts"}, "setting") == 1);
    CHECK(lines({"config", "get", "durability"}, "setting") == 1);
    CHECK(lines({"debug"}, "debug") == 1);
    CHECK(lines({"health"}, "health") == 1);
    CHECK(lines({"pause"}, "starts") == 1);
    CHECK(lines({"resume"}, "starts") == 1);
    CHECK(lines({"stop"}, "engine_end") == 1);
    project.run({"run", "true"});
    CHECK(lines({"metrics"}, "totals") == 1);
    CHECK(lines({"metrics", "--by", "agent"}, "totals") == 1);
    CHECK(lines({"history", "--summary"}, "totals") == 1);
    CHECK(lines({"audit", "query"}, "audit_event") > 2);
    CHECK(lines({"audit", "verify"}, "audit_verification") == 1);
    const auto old = project.records() / "metrics/executions_2020-01-01.jsonl";
    write_file(old, "{}\n");
    fs::last_write_time(old, fs::file_time_type::clock::now() - std::chrono::hours(1000));
    CHECK(lines({"records", "gc", "--older-than", "30d"}, "removed_record") == 1);
    Program run(project.start({"run", "exec sleep 1000"}));
    const auto id = project.wait_for_running(1).front();
    CHECK(lines({"cancel", id, "--no-wait"}, "cancelled") == 1);
    CHECK(run.wait().code == 130);
}

TEST_CASE("the lines about worktrees are as the schema describes them")
{
    Project project;
    const auto lines = [&](Words words, std::string_view name) {
        CAPTURE(name);
        words.emplace_back("--json");
        return matching(project.run(std::move(words)).out, name);
    };
    CHECK(project.run({"run", "--new-worktree", "w", "echo x >new; exit 3"}).code == 1);
    const auto id = text_at(project.metrics().at(0), "execution_id");
    CHECK(lines({"open", id}, "place") == 1);
    CHECK(lines({"diff", id}, "diff") == 1);
    CHECK(lines({"worktree", "list"}, "worktree") == 1);
    CHECK(lines({"worktree", "gc", "--all", "--older-than", "0", "--no-delete-branches"},
                "removed_worktree") == 1);
    CHECK(lines({"worktree", "list"}, "saved_work") == 1);
    const auto saved = objects_of(project.run({"worktree", "list", "--json"}).out).at(0);
    CHECK(lines({"worktree", "restore", text_at(saved, "ref"), "again"}, "restored_work") == 1);
    CHECK(lines({"worktree", "drop", text_at(saved, "ref")}, "dropped_work") == 1);
    CHECK(lines({"worktree", "gc", "--all", "--older-than", "0", "--delete-branches"},
                "worktree_gc") > 0);
    project.write("w.yaml", "id: w\nsteps: [{id: a, argv: ['true'], cache: true}]\n");
    CHECK(project.run({"workflow", "run", "w.yaml", "-q"}).code == 0);
    const auto gone = project.run({"worktree", "gc", "--all", "--older-than", "0", "--json"}).out;
    CHECK(contains(gone, "refs/autoexec/cache/"));
    CHECK(matching(gone, "worktree_gc") > 1);
}

TEST_CASE("the lines about files and runs of workflows are as the schema describes them")
{
    Project project;
    const auto lines = [&](Words words, std::string_view name) {
        CAPTURE(name);
        words.emplace_back("--json");
        return matching(project.run(std::move(words)).out, name);
    };
    project.write("w.yaml",
                  "id: w\nsteps:\n  - {id: a, argv: ['true']}\n"
                  "  - {id: m, manual: true, command: Look., depends_on: [a]}\n");
    CHECK(lines({"workflow", "validate", "w.yaml"}, "workflow_file") == 1);
    CHECK(lines({"workflow", "run", "w.yaml", "--in-place", "--dry-run"}, "planned_step") == 2);
    Program run(project.start({"workflow", "run", "w.yaml", "--in-place"}));
    REQUIRE(eventually([&] { return contains(run.err(), "To answer"); }));
    CHECK(lines({"workflow", "approve", "m"}, "marked_step") == 1);
    CHECK(run.wait().code == 0);
    const auto id =
        text_at(objects_of(project.run({"workflow", "list", "--json"}).out).at(0), "run_id");
    CHECK(lines({"wait", id}, "run_end") == 1);
    Program second(project.start({"workflow", "run", "w.yaml", "--in-place"}));
    REQUIRE(eventually([&] { return contains(second.err(), "To answer"); }));
    CHECK(lines({"workflow", "cancel"}, "cancelled_run") == 1);
    CHECK(second.wait().code == 130);
}

TEST_CASE("the lines about questions are as the schema describes them")
{
    AskingProject project;
    Program run(project.start({"run", "-w", project.tree, "go"}));
    const auto id = project.wait_for_question();
    CHECK(matching(project.run({"answer", id, "--json"}).out, "shown_question") == 1);
    CHECK(matching(project.run({"answer", id, "--deny", "--json"}).out, "answered") == 1);
    CHECK(run.wait().code == 0);
}
