#include "support/git_project.hpp"
#include "support/json_schema.hpp"
#include "support/project.hpp"

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
    CHECK(matching(project.run({"diff", run, "--json"}).out, "diff") == 2);
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
