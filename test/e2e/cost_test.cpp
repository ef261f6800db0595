#include "support/workflow_project.hpp"

using namespace autoexec::test;

namespace {

/// Prints what Claude prints, for a session of 12.3k tokens in, 4.1k out, and $0.42.
constexpr char reports_cost[] =
    R"sh(echo '{"type":"system","subtype":"init","session_id":"s-1","model":"m-1"}'
echo '{"type":"result","subtype":"success","is_error":false,"session_id":"s-1","total_cost_usd":0.42,"usage":{"input_tokens":2300,"output_tokens":4100,"cache_creation_input_tokens":10000,"cache_read_input_tokens":90000}}'
)sh";

/// The same for an error that a retry may mend.
constexpr char reports_failure[] =
    R"sh(echo '{"type":"result","subtype":"success","is_error":true,"result":"busy","api_error_status":529,"session_id":"s-1","total_cost_usd":0.42,"usage":{"input_tokens":2300,"output_tokens":4100}}'
)sh";

/// The same without the cost.
constexpr char reports_tokens[] =
    R"sh(echo '{"type":"system","subtype":"init","session_id":"s-2","model":"m-1"}'
echo '{"type":"result","subtype":"success","is_error":false,"usage":{"input_tokens":100000,"output_tokens":10000}}'
)sh";

/// A project with an agent `paid`, whose program is the script.
struct PaidProject : Project {
    explicit PaidProject(std::string_view script)
    {
        write("paid", script);
        add_agent("paid", "/bin/sh '" + (root() / "paid").string() + "' {command}",
                  {"outcome: claude"});
    }

    void configure(const std::string& settings) const
    {
        write(".tapps-agents/auto_execution_config.yaml", "auto_execution:\n" + settings);
    }
};

constexpr char prices[] = "  prices:\n    m-1: {input: 3, output: 10}\n";

}  // namespace

TEST_CASE("what a command cost is in its line, in the total and in the history")
{
    PaidProject project(reports_cost);
    const auto one = project.run({"run", "work"});
    CHECK(one.code == 0);
    CHECK(contains(one.out, "12.3k in, 4.1k out, $0.42"));
    CHECK_FALSE(contains(one.err, "$"));  // the total of one command would repeat it
    const auto two =
        project.run({"run", "work", "-w", project.worktree("a"), "-w", project.worktree("b")});
    CHECK(contains(two.err, "2 completed; 24.6k in, 8.2k out, $0.84. "));

    const auto plain = lines_of(project.run({"history"}).out);
    REQUIRE(plain.size() == 3);
    CHECK(contains(plain[0], "  16.4k     $0.42 #1  work"));
    const auto rows = objects_of(project.run({"history", "--json", "-n", "1"}).out);
    REQUIRE(rows.size() == 1);
    CHECK(text_at(rows[0], "agent") == "paid");
    CHECK(text_at(rows[0], "session") == "s-1");
    const auto& usage = rows[0].at("usage").as_object();
    CHECK(usage.at("cost_usd") == 0.42);
    CHECK(usage.at("model") == "m-1");
    CHECK(
        contains(project.run({"history", "--summary"}).out, "Usage: 36.9k in, 12.3k out, $1.26\n"));
}

TEST_CASE("nothing is shown where nothing was reported")
{
    Project project;
    const auto ended = project.run({"run", "--show-output", "echo done"});
    CHECK_FALSE(contains(ended.out, "$"));
    CHECK_FALSE(contains(ended.out, " in, "));
    const auto plain = project.run({"history"}).out;
    CHECK(contains(plain, " #1  echo done"));
    CHECK_FALSE(contains(plain, "$"));
    CHECK_FALSE(contains(project.run({"history", "--summary"}).out, "Usage"));
    const auto rows = objects_of(project.run({"history", "--json"}).out);
    REQUIRE(rows.size() == 1);
    CHECK(rows[0].at("session").is_null());
}

TEST_CASE("an estimate from the user's prices is marked")
{
    PaidProject project(reports_tokens);
    CHECK(contains(project.run({"run", "work"}).out, "100.0k in, 10.0k out\n"));
    project.configure(prices);
    CHECK(contains(project.run({"run", "work"}).out, "100.0k in, 10.0k out, ~$0.40\n"));
    CHECK(contains(project.run({"history"}).out, " ~$0.40 #1 "));
    CHECK(contains(project.run({"history", "--summary"}).out,
                   "Usage: 200.0k in, 20.0k out, ~$0.80\n"));
    const auto estimated = [](const Ended& ended) {
        return lines_of(ended.out).size() == 1
                   ? objects_of(ended.out).at(0).at("usage").as_object().at("estimated_cost_usd")
                   : boost::json::value();
    };
    CHECK(estimated(project.run({"run", "work", "--json"})) == 0.4);
    CHECK(estimated(project.run({"history", "--json", "-n", "1"})) == 0.4);
    CHECK(estimated(project.run({"history", "--json", "--summary"})).as_double() ==
          doctest::Approx(1.2));
    project.configure("  prices: {m-1: 3}\n");
    CHECK(project.run({"run", "work"}).code == 3);
    CHECK(project.run({"history"}).code == 0);
}

TEST_CASE("a workflow shows what each step and the whole run cost")
{
    WorkflowProject project({"outcome: claude"});
    project.steps({"id: a, agent: planner, action: plan",
                   "id: b, agent: planner, action: plan, depends_on: [a]"});
    project.on("a", reports_cost);
    project.on("b", reports_cost);
    const auto ended = project.run_workflow();
    CHECK_MESSAGE(ended.code == 0, ended.err);
    CHECK(contains(lines_of(ended.out).at(0), "a  12.3k in, 4.1k out, $0.42"));
    CHECK(contains(ended.err, "2 completed; 24.6k in, 8.2k out, $0.84\n"));

    const auto plain = lines_of(project.run({"workflow", "status"}).out);
    REQUIRE(plain.size() == 3);
    CHECK(plain[0].ends_with("; 24.6k in, 8.2k out, $0.84"));
    CHECK(plain[2].ends_with("b  12.3k in, 4.1k out, $0.42"));
    const auto run = project.newest_run();
    CHECK(run.at("usage").as_object().at("cost_usd") == 0.84);
    const auto& step = run.at("steps").as_array().at(0).as_object();
    CHECK(step.at("usage").as_object().at("cost_usd") == 0.42);
}

TEST_CASE("a run over its budget starts nothing more")
{
    PaidProject project(reports_cost);
    const auto ended =
        project.run({"run", "work", "-j", "1", "--max-cost", "0.5", "-w", project.worktree("a"),
                     "-w", project.worktree("b"), "-w", project.worktree("c")});
    CHECK(ended.code == 1);
    CHECK(contains(ended.err, "2 completed, 1 failed; 24.6k in, 8.2k out, $0.84"));
    CHECK(
        contains(ended.out, "Not started. The limit of $0.50 for this run is reached, $0.84 used"));
    const auto words = Words{"run", "work", "--json", "--max-tokens", "0"};
    CHECK(text_at(objects_of(project.run(words).out).at(0), "status") == "completed");

    project.configure("  budget:\n    max_cost_per_day: 1\n");
    const auto results = objects_of(project.run(words).out);
    REQUIRE(results.size() == 1);
    CHECK(text_at(results[0], "error_code") == "budget");
    CHECK(text_at(results[0], "attempts") == "0");
    CHECK(project.run({"run", "work", "--max-cost", "-1"}).code == 2);
}

TEST_CASE("a workflow over its budget is resumed with a higher one")
{
    WorkflowProject project({"outcome: claude"});
    project.steps({"id: a, agent: planner, action: plan",
                   "id: b, agent: planner, action: plan, depends_on: [a]"});
    project.on("a", reports_cost);
    project.on("b", reports_cost);
    const auto ended = project.run_workflow({"--max-cost", "0.4"});
    CHECK(ended.code == 1);
    CHECK(project.asked() == "a");
    CHECK(contains(ended.err, "The limit of $0.40 for this run is reached, $0.42 used"));
    CHECK(project.state_of_step("b") == "pending");
    // What it has cost before counts.
    CHECK(project.run({"workflow", "resume", "--max-cost", "0.41"}).code == 1);
    CHECK(project.asked() == "a");
    const auto resumed = project.run({"workflow", "resume", "--max-cost", "5"});
    CHECK_MESSAGE(resumed.code == 0, resumed.err);
    CHECK(project.asked() == "a b");
    CHECK(contains(resumed.err, "$0.84"));
}

TEST_CASE("what a child run costs counts for its parent run, which is resumed with it")
{
    WorkflowProject project({"outcome: claude"});
    project.write("task.yaml",
                  "id: task\nsteps:\n  - {id: a, agent: planner, action: plan}\n"
                  "  - {id: b, agent: planner, action: plan, depends_on: [a]}\n");
    project.steps({"id: do, uses: task.yaml"});
    project.on("a", reports_cost);
    project.on("b", reports_cost);
    const auto ended = project.run_workflow({"--max-cost", "0.4"});
    CHECK(ended.code == 1);
    CHECK(project.asked() == "a");
    CHECK(contains(ended.err, "The limit of $0.40 for this run is reached, $0.42 used"));
    CHECK(project.run({"workflow", "resume", "--max-cost", "0.41"}).code == 1);
    CHECK(project.asked() == "a");
    const auto resumed = project.run({"workflow", "resume", "--max-cost", "5"});
    CHECK_MESSAGE(resumed.code == 0, resumed.err);
    CHECK(project.asked() == "a b");
    CHECK(contains(resumed.err, "$0.84"));
    CHECK(contains(project.run({"workflow", "status"}).out, "; 24.6k in, 8.2k out, $0.84\n"));
    CHECK(contains(project.run({"workflow", "report"}).out, "$0.84"));
}

TEST_CASE("a command over its own budget is not tried again")
{
    PaidProject project(reports_failure);
    const std::string without_breaker =
        "  breaker: {max_failures: 0, max_pause_seconds: 0}\n";  // the agent fails on purpose
    project.configure(without_breaker);
    const Words run{"run", "work", "--json", "--idempotent", "--retry", "3"};
    const auto with = [&](Words more) {
        more.insert(more.begin(), run.begin(), run.end());
        const auto ended = project.run(more);
        CHECK(ended.code == 1);
        return objects_of(ended.out).at(0);
    };
    auto result = with({"--max-cost-per-command", "0.8"});
    CHECK(text_at(result, "attempts") == "2");
    CHECK(text_at(result, "error_code") == "budget");
    CHECK(contains(text_at(result, "error"),
                   "Not tried again. The limit of $0.80 for this command is reached, $0.84 used."));
    project.configure(without_breaker + "  budget: {max_tokens_per_command: 5}\n");
    result = with({});
    CHECK(text_at(result, "attempts") == "1");
    CHECK(text_at(with({"--max-tokens-per-command", "0", "--max-cost", "0.1"}), "attempts") == "1");

    project.write("list", R"({"command": "work", "max_cost": 0.1, "retry": 3, "idempotent": true})"
                          "\n");
    const auto listed = project.run({"run", "--list", (project.root() / "list").string()});
    CHECK(contains(listed.out, "The limit of $0.10 for this command"));
    project.write("list", R"({"command": "work", "max_cost": -1, "max_tokens": 0.5})"
                          "\n");
    const auto refused = project.run({"run", "--list", (project.root() / "list").string()});
    CHECK(refused.code == 2);
    CHECK(contains(refused.err, "'max_cost' must be a number of USD"));
    CHECK(contains(refused.err, "'max_tokens' must be a whole number"));
}

TEST_CASE("a workflow can limit its steps, but not raise a limit of the project")
{
    WorkflowProject project({"outcome: claude"});
    project.write(".tapps-agents/auto_execution_config.yaml",
                  "auto_execution:\n  budget: {max_cost_per_run: 0.4, max_cost_per_command: 1}\n");
    project.workflow(R"(id: w
metadata: {auto_execution: {budget: {max_cost_per_run: 100}}}
steps:
  - {id: a, agent: planner, action: plan, metadata: {max_cost: 5}}
  - {id: b, agent: planner, action: plan, depends_on: [a]}
)");
    project.on("a", reports_cost);
    project.on("b", reports_cost);
    const auto ended = project.run_workflow();
    CHECK(ended.code == 1);
    CHECK(project.asked() == "a");
    CHECK(contains(ended.err, "A workflow cannot raise or remove budget.max_cost_per_run"));
    CHECK(contains(ended.err, "Step 'a': Its max_cost is higher than the limit per command"));
    CHECK(contains(ended.err, "The limit of $0.40 for this run is reached"));
}

TEST_CASE(
    "the budget in a workflow file counts all rounds and resumptions, whatever the command line "
    "allows")
{
    WorkflowProject project({"outcome: claude"});
    const auto workflow = [&](std::string_view budget) {
        project.workflow("id: w\nbudget: " + std::string(budget) + R"(
steps:
  - {id: a, agent: planner, action: plan}
  - {id: b, agent: planner, action: plan, depends_on: [a]}
)");
    };
    workflow("{max_cost: 0.4}");
    project.on("a", reports_cost);
    project.on("b", reports_cost);
    const auto ended = project.run_workflow({"--max-cost", "0.1"});
    CHECK(contains(ended.err, "max_cost of the workflow's budget is higher than that of the run"));
    CHECK(contains(ended.err, "The limit of $0.10 for this run is reached"));
    const auto resumed = project.run({"workflow", "resume", "--max-cost", "5"});
    CHECK(resumed.code == 1);
    CHECK(contains(resumed.err, "The limit of $0.40 for a run of this workflow is reached"));
    CHECK(project.state_of_step("b") == "pending");
    CHECK(project.asked() == "a");
    workflow("{max_cost: 0.5}");
    const auto more = project.run({"workflow", "resume", "--accept-changed"});
    CHECK_MESSAGE(more.code == 0, more.err);
    CHECK(project.asked() == "a b");
}
