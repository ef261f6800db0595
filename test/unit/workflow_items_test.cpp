#include "support/workflow_fixture.hpp"
#include "workflow/plan/expansion.hpp"
#include "workflow/run/scheduler.hpp"
#include "workflow/run/step_commands.hpp"

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <filesystem>

using namespace autoexec;
using namespace autoexec::test;
namespace json = boost::json;
using Lines = std::vector<std::string>;
using workflow::Scheduler;

namespace {

WorkflowStep plan_step()
{
    auto plan = step("plan");
    plan.results = "plan.json";
    return plan;
}

WorkflowStep each(std::string id, std::string source)
{
    auto s = step(std::move(id));
    s.argv = {"do", "{item}", "{index}"};
    s.for_each.emplace();
    s.for_each->source = std::move(source);
    return s;
}

/// The same command several times: the largest score wins.
WorkflowStep tries(std::string id, int count)
{
    auto s = each(std::move(id), "");
    for (int k = 1; k <= count; ++k) s.for_each->list.emplace_back(k);
    s.for_each->best_by = "score";
    s.results = "out-{index}.json";
    return s;
}

struct ItemsFixture : WorkflowFixture {
    ItemsFixture()
    {
        replies["plan"].creates = {"plan.json"};
        on_command = [this](const std::string& id) {
            if (id == "plan" && !plans.empty()) {
                write_file(project / "plan.json", plans.front());
                if (plans.size() > 1) plans.erase(plans.begin());
            }
            return replies[id];
        };
    }

    /// The commands that were published for these steps: `fix.1 do a 1`.
    Lines done()
    {
        Lines lines;
        for (const auto& file : tree_at("").published) {
            auto line = *file.step_id;
            for (const auto& word : file.argv) line += " " + word;
            if (line != "plan true") lines.push_back(std::move(line));
        }
        return lines;
    }

    void plan_writes(const json::array& tasks)
    {
        plans = {json::serialize(json::object{{"tasks", tasks}})};
    }

    Lines plans;  ///< What `plan` writes in its rounds.
};

LoadedWorkflow parsed(const std::string& steps)
{
    return parse_workflow("id: w\nparams: {files: [a, b], text: x}\nsteps:\n" + steps, "w.yaml");
}

Lines errors_of(const std::string& steps)
{
    Lines lines;
    for (const auto& error : parsed(steps).errors)
        lines.push_back(std::to_string(error.line) + ":" + std::to_string(error.column) + ": " +
                        error.message);
    return lines;
}

json::array items_of(const std::string& fields)
{
    const auto loaded = parsed("  - id: a\n    argv: [x]\n" + fields);
    REQUIRE(loaded.errors.empty());
    REQUIRE(loaded.workflow);
    REQUIRE(loaded.workflow->steps.front().for_each);
    return loaded.workflow->steps.front().for_each->list;
}

}  // namespace

TEST_CASE_FIXTURE(ItemsFixture, "each item of a step's results gets a step, and what follows waits")
{
    plan_writes({"a", 2, json::object{{"x", true}}});
    run(workflow_of({plan_step(), each("fix", "plan.results.tasks"), step("close", {"fix"})}));
    CHECK(result.status == WorkflowStatus::completed);
    CHECK(done() ==
          Lines{"fix.1 do a 1", "fix.2 do 2 2", R"(fix.3 do {"x": true} 3)", "close true"});
    CHECK(story == Lines{"+plan", "plan completed", "+fix", "fix completed", "+fix.1",
                         "fix.1 completed", "+fix.2", "fix.2 completed", "+fix.3",
                         "fix.3 completed", "+close", "close completed"});
    Lines ids;
    for (const auto& one : result.steps) ids.push_back(one.id);
    CHECK(ids == Lines{"plan", "fix", "fix.1", "fix.2", "fix.3", "close"});
    const auto record = journal();
    CHECK(record.steps.size() == 6);
    CHECK(std::ranges::count(record.steps, StepState::completed, &StepEntry::state) == 6);
    const auto expanded = std::ranges::find_if(record.transitions, [](const auto& entry) {
        return std::holds_alternative<protocol::StepExpanded>(entry.transition);
    });
    REQUIRE(expanded != record.transitions.end());
    CHECK(std::get<protocol::StepExpanded>(expanded->transition).items ==
          json::array{"a", 2, json::object{{"x", true}}});
    CHECK(tree_at("").published[1].env.at("AUTOEXEC_STEP_ID") == "fix.1");
}

TEST_CASE_FIXTURE(ItemsFixture, "an item stays one word and one variable, whatever it contains")
{
    const json::array hostile{"a\nb",
                              "; rm -rf ~",
                              "../../etc/passwd",
                              "$(reboot) `x` 'y' \"",
                              "{steps.x} {item}",
                              "--flag",
                              ""};
    plan_writes(hostile);
    auto fix = each("fix", "plan.results.tasks");
    fix.argv = {"do", "<{item}>"};
    fix.env = {{"ITEM", "{item}"}};
    run(workflow_of({plan_step(), fix}));
    REQUIRE(result.status == WorkflowStatus::completed);
    for (std::size_t k = 0; k < hostile.size(); ++k) {
        const auto& file = tree_at("").published[k + 1];
        const std::string text(hostile[k].get_string());
        CHECK(file.argv == Lines{"do", "<" + text + ">"});
        CHECK(file.env.at("ITEM") == text);
    }
}

TEST_CASE_FIXTURE(ItemsFixture,
                  "a list that cannot be used fails its step, and nothing runs for it")
{
    json::array many(10'000, json::value("x"));
    const auto refusal = [&](const json::value& tasks) {
        plans = {json::serialize(json::object{{"tasks", tasks}})};
        results = 0;
        tree_at("").published.clear();
        run(workflow_of({plan_step(), each("fix", "plan.results.tasks"), step("close", {"fix"})}));
        CHECK(of("fix").state == StepState::failed);
        CHECK(of("fix").code == "items");
        CHECK(of("close").reason == "It depends on 'fix', which failed");
        CHECK(done().empty());
        return of("fix").reason;
    };
    CHECK(refusal("a, b") == "'plan.results.tasks' is text, not a list");
    CHECK(refusal(json::object{{"a", 1}}) == "'plan.results.tasks' is an object, not a list");
    CHECK(refusal(nullptr) == "'plan.results.tasks' is null, not a list");
    CHECK(refusal(many) == "There are 10000 items; at most 100 are allowed (for_each.max_items)");
    CHECK(refusal(json::array{"a", json::array{"b"}}) ==
          "Item 2 is a list; an item is text, a number, true or false, or an object");
    CHECK(refusal(json::array{nullptr}).starts_with("Item 1 is null"));
    CHECK(refusal(json::array{std::string("a\0b", 3)}) == "Item 1 contains a NUL character");
    CHECK(refusal(json::array{json::object{{"a", json::array{std::string("\0", 1)}}}}) ==
          "Item 1 contains a NUL character");
    CHECK(
        refusal(json::array{std::string(300'000, 'x')}).starts_with("The items have 300004 bytes"));
    CHECK(refusal(json::array{"ghp_" + std::string(36, 'a')}) ==
          "Item 1 contains a secret, which would be stored in the journal");
    json::value deep = "x";
    for (int k = 0; k < 9; ++k) deep = json::object{{"a", deep}};
    CHECK(refusal(json::array{deep}) == "Item 1 is nested too deeply");
    plans = {"{}"};
    results = 0;
    run(workflow_of({plan_step(), each("fix", "plan.results.tasks")}));
    CHECK(of("fix").reason == "Its items cannot be read: the results have no 'tasks'");
}

TEST_CASE_FIXTURE(ItemsFixture, "no item, or the same twice, is no error")
{
    plan_writes({});
    run(workflow_of({plan_step(), each("fix", "plan.results.tasks"), step("close", {"fix"})}));
    CHECK(result.status == WorkflowStatus::completed);
    CHECK(done() == Lines{"close true"});
    results = 0;
    plan_writes({"a", "a"});
    run(workflow_of({plan_step(), each("fix", "plan.results.tasks")}));
    CHECK(result.status == WorkflowStatus::completed);
    CHECK(of("fix.2").state == StepState::completed);
}

TEST_CASE_FIXTURE(ItemsFixture, "an artifact's path takes an item only as the name of a file")
{
    plan_writes({"a", "../b", "c/d", ".git", "-f", "", "e\nf", std::string(201, 'x')});
    auto fix = each("fix", "plan.results.tasks");
    fix.creates = {"out/{item}.md"};
    fix.argv = {"do"};
    fix.require_artifacts = true;
    replies["fix.1"].creates = {"out/a.md"};
    run(workflow_of({plan_step(), fix}));
    CHECK(of("fix.1").state == StepState::completed);
    CHECK(done() == Lines{"fix.1 do"});
    for (int k = 2; k <= 8; ++k) {
        CHECK(of("fix." + std::to_string(k)).code == "value_missing");
        CHECK(of("fix." + std::to_string(k))
                  .reason.ends_with("cannot be part of the path 'out/{item}.md' of an artifact"));
    }
    CHECK(of("fix.2").reason.starts_with("'../b' "));
}

TEST_CASE_FIXTURE(ItemsFixture, "a value that an item lacks fails the step for it alone")
{
    plan_writes({json::object{{"title", "a"}}, json::object{{"name", "b"}}, "c"});
    auto fix = each("fix", "plan.results.tasks");
    fix.argv = {"do", "{item.title}"};
    run(workflow_of({plan_step(), fix, step("close", {"fix"})}));
    CHECK(done() == Lines{"fix.1 do a"});
    CHECK(of("fix.2").reason == "Item 2 has no 'title'");
    CHECK(of("fix.3").reason == "Item 3 has no 'title'");
    CHECK(of("close").reason == "It depends on 'fix.2', which failed");
    CHECK(result.error.starts_with("Step 'fix.2': Item 2 has no 'title'"));
}

TEST_CASE_FIXTURE(ItemsFixture, "failures that are tolerated stop nothing, and outcomes are joined")
{
    plan_writes({"a", "b"});
    replies["fix.1"].status = ReportedStatus::failed;
    auto fix = each("fix", "plan.results.tasks");
    auto close = step("close");
    close.condition = "fix.outcome == 'failed'";
    SUBCASE("tolerated")
    {
        fix.continue_on_error = true;
        run(workflow_of({plan_step(), fix, step("last", {"fix"}), close}));
        CHECK(result.status == WorkflowStatus::completed);
        CHECK(of("last").state == StepState::completed);
    }
    SUBCASE("not tolerated")
    {
        run(workflow_of({plan_step(), fix, step("last", {"fix"}), close}));
        CHECK(result.status == WorkflowStatus::failed);
        CHECK(of("fix.2").state == StepState::completed);
        CHECK(of("last").reason == "It depends on 'fix.1', which failed");
    }
    SUBCASE("the first failure cancels the others")
    {
        fix.for_each->fail_fast = true;
        run(workflow_of({plan_step(), fix, step("last", {"fix"}), close}));
        CHECK(of("fix.2").reason == "'fix.1' has failed");
        CHECK(of("fix.2").state == StepState::skipped);
    }
    CHECK(of("close").state == StepState::completed);
}

TEST_CASE_FIXTURE(ItemsFixture, "a step that makes another list gets other steps")
{
    plans = {R"({"tasks": ["a", "b"]})", R"({"tasks": ["c"]})", R"({"tasks": ["d", "e", "f"]})"};
    auto review = step("review", {"fix"});
    review.gate = gate("review.round >= 3", to("plan"));
    run(workflow_of({plan_step(), each("fix", "plan.results.tasks"), review}));
    CHECK(result.status == WorkflowStatus::completed);
    CHECK(done() == Lines{"fix.1 do a 1", "fix.2 do b 2", "review true", "fix.1 do c 1",
                          "review true", "fix.1 do d 1", "fix.2 do e 2", "fix.3 do f 3",
                          "review true"});
    CHECK(of("fix.1").round == 3);
    CHECK(std::ranges::count(story, "-fix.2") == 1);
    const auto record = journal();
    CHECK(record.status == WorkflowStatus::completed);
}

TEST_CASE_FIXTURE(ItemsFixture, "each item has the gate of its step")
{
    plan_writes({"a", "b"});
    auto fix = each("fix", "plan.results.tasks");
    fix.gate = gate("fix.round >= 2", {GateTarget::Kind::again, {}});
    run(workflow_of({plan_step(), fix, step("close", {"fix"})}));
    CHECK(result.status == WorkflowStatus::completed);
    CHECK(of("fix").round == 1);
    CHECK(of("fix.1").round == 2);
    CHECK(of("fix.2").round == 2);
    CHECK(of("close").round == 1);
}

TEST_CASE_FIXTURE(ItemsFixture,
                  "the results for all items are a list, from which the next ones run")
{
    plan_writes({"a", "b"});
    auto fix = each("fix", "plan.results.tasks");
    fix.results = "out-{index}.json";
    write_file(project / "out-1.json", R"({"score": 7})");
    write_file(project / "out-2.json", R"({"score": "x"})");
    for (const auto* const n : {"1", "2"})
        replies[std::string("fix.") + n].creates = {std::string("out-") + n + ".json"};
    auto sum = step("sum");
    sum.argv = {"sum", "{steps.fix.results.score}", "{steps.fix.outcome}"};
    run(workflow_of({plan_step(), fix, sum, each("again", "fix.results.score")}));
    CHECK(result.status == WorkflowStatus::completed);
    const auto lines = done();
    CHECK(std::ranges::count(lines, R"(sum sum [7, "x"] completed)") == 1);
    CHECK(std::ranges::count(lines, "again.1 do 7 1") == 1);
    CHECK(std::ranges::count(lines, "again.2 do x 2") == 1);
}

TEST_CASE_FIXTURE(ItemsFixture, "a list is a parameter or is written in the file")
{
    auto a = each("a", "params.files");
    auto b = each("b", "");
    b.for_each->list = {json::object{{"n", 1}}};
    b.argv = {"do", "{item.n}"};
    auto w = workflow_of({a, b});
    w.params["files"] = json::array{"x", "y"};
    run_options.params["files"] = json::array{"z"};
    run(std::move(w));
    CHECK(result.status == WorkflowStatus::completed);
    CHECK(done() == Lines{"a.1 do z 1", "b.1 do 1"});
}

TEST_CASE("several agents and models are chosen before anything runs")
{
    const auto commands_of = [](const std::string& best_of, const std::string& more = {}) {
        auto loaded = parsed("  - id: fix\n    best_of: " + best_of +
                             "\n    command: make\n    results: \"out-{index}.json\"\n" + more);
        REQUIRE(loaded.workflow);
        WorkflowExecutorOptions executor;
        executor.assign = [](const WorkflowStep& s, CommandRequest& request) {
            request.agent = s.agent + "/" + s.model;
            return s.agent == "nobody" ? std::string("unknown") : std::string();
        };
        WorkflowRunOptions run;
        run.worktrees = WorktreeMode::step;
        std::string problems;
        const auto inputs = workflow::make_inputs(*loaded.workflow, run, problems);
        auto commands = workflow::make_commands(inputs, executor, problems);
        Lines lines;
        for (const auto& one : commands.front().each) lines.push_back(one.agent);
        if (!problems.empty()) lines.push_back(problems);
        return lines;
    };
    CHECK(commands_of("{agents: [one, two], by: points}") == Lines{"one/", "two/"});
    CHECK(commands_of("{agents: [one, nobody]}") ==
          Lines{"one/", "nobody/", "Step 'fix': unknown\n"});
    CHECK(commands_of("{agents: [one, two], models: [a, b]}") ==
          Lines{"one/a", "one/b", "two/a", "two/b"});
    CHECK(commands_of("{agents: [{agent: one, model: a}, {agent: two, model: b}]}") ==
          Lines{"one/a", "two/b"});
    CHECK(commands_of("{models: [a, b]}", "    agent: one\n") == Lines{"one/a", "one/b"});
    CHECK(commands_of("{count: 2}", "    agent: one\n    model: a\n") == Lines{"one/a"});
}

TEST_CASE("in place, tries are refused before anything runs")
{
    for (const auto mode : {WorktreeMode::in_place, WorktreeMode::workflow}) {
        WorkflowRunOptions run;
        run.worktrees = mode;
        std::string problems;
        const auto inputs =
            workflow::make_inputs(workflow_of({tries("fix", 2)}), std::move(run), problems);
        (void)workflow::make_commands(inputs, {}, problems);
        CHECK(problems == "Step 'fix': With 'best_of', each try needs a worktree of its own.\n");
    }
}

TEST_CASE("steps for items start within their limit, and are cancelled together")
{
    auto fix = each("fix", "");
    fix.for_each->list = {1, 2, 3};
    fix.for_each->max_parallel = 2;
    fix.for_each->fail_fast = true;
    auto w = workflow_of({fix, step("close", {"fix"})});
    auto plan = plan_of(w);
    workflow::StepIndex index{{"fix", 0}, {"close", 1}};
    Scheduler scheduler(w, plan, {});
    Scheduler::Queries queries;
    queries.has_room = [](std::size_t) { return true; };
    const auto next = [&]() -> std::string {
        const auto decision = scheduler.next(queries);
        if (!decision) return "";
        return (decision->kind == workflow::Decision::Kind::start ? "+" : "-") +
               w.steps[decision->step].id;
    };
    CHECK(next() == "+fix");
    workflow::expand(w, plan, index, 0, 3);
    scheduler.grow();
    CHECK(next().empty());
    CHECK(scheduler.ended(0, StepState::completed, {}) == Scheduler::Judged::settled);
    CHECK(next() == "+fix.1");
    CHECK(next() == "+fix.2");
    CHECK(next().empty());
    CHECK(plan.steps[1].waits_for == std::vector<std::size_t>{0, 2, 3, 4});
    CHECK(plan.order == std::vector<std::size_t>{0, 2, 3, 4, 1});
    CHECK(plan.steps[3].leads_to == std::vector<bool>{false, true, false, false, false});
    CHECK(plan.steps[0].leads_to == std::vector<bool>{false, true, true, true, true});
    (void)scheduler.ended(2, StepState::failed, {});
    CHECK(scheduler.cancelled_by(2) == std::vector<std::size_t>{3});
    CHECK(scheduler.failure_against(3) == 2);
    CHECK_FALSE(scheduler.failure_against(1));
    CHECK(next() == "-fix.3");
    (void)scheduler.ended(3, StepState::cancelled, {});
    CHECK(next() == "-close");
    CHECK(scheduler.finished());
    CHECK(scheduler.failures() == std::vector<std::size_t>{2, 3});
}

TEST_CASE("a matrix has all combinations, but for those that are excluded, and further ones")
{
    CHECK(json::serialize(items_of("    matrix:\n"
                                   "      os: [a, b]\n"
                                   "      n: [1, 2]\n"
                                   "      exclude: [{os: b, n: 2}]\n"
                                   "      include: [{os: c, n: 3}]\n")) ==
          R"([{"os":"a","n":1},{"os":"a","n":2},{"os":"b","n":1},{"os":"c","n":3}])");
    const auto loaded = parsed(
        "  - id: a\n    command: make {matrix.os} {index}\n"
        "    matrix: {os: [a, b], max_parallel: 3, fail_fast: true}\n");
    REQUIRE(loaded.workflow);
    CHECK(loaded.workflow->steps.front().for_each->max_parallel == 3);
    CHECK(loaded.workflow->steps.front().for_each->fail_fast);
    CHECK(json::serialize(items_of("    for_each: [a, 2, {b: [c]}]\n")) ==
          R"(["a",2,{"b":["c"]}])");
}

TEST_CASE("what cannot be a list is reported with its place")
{
    CHECK(errors_of("  - id: a\n    argv: [x]\n    for_each: 5\n") ==
          Lines{"6:15: Step 'a': Field 'for_each' must be a list, or the name of one, as "
                "plan.results.tasks"});
    CHECK(errors_of("  - id: a\n    argv: [x]\n    for_each: b.results.x\n") ==
          Lines{"6:15: Step 'a': 'b.results.x' does not name a list"});
    CHECK(errors_of("  - id: a\n    argv: [x]\n    for_each: a.results.x\n") ==
          Lines{"6:15: Step 'a': The step has not run when its items are read"});
    CHECK(errors_of("  - id: a\n    argv: [x]\n    for_each: params.text\n") ==
          Lines{"6:15: Step 'a': The parameter 'text' is text, not a list"});
    CHECK(errors_of("  - id: a\n    argv: [x]\n    for_each: {items: params.fils}\n") ==
          Lines{"6:23: Step 'a': There is no parameter 'fils'"});
    CHECK(errors_of("  - id: a\n    argv: [x]\n    for_each: {max_items: 0}\n").size() == 2);
    CHECK(errors_of("  - id: a\n    argv: [x]\n    for_each: {items: [1, 2, 3], max_items: 2}\n") ==
          Lines{"6:23: Step 'a': There are 3 items; at most 2 are allowed"});
    CHECK(errors_of("  - id: a\n    argv: [x]\n    for_each: [1, [2]]\n") ==
          Lines{"6:19: Step 'a': Item 2 is a list; an item is text, a number, true or false, or an "
                "object"});
    CHECK(errors_of("  - id: a\n    argv: [x]\n    for_each: [1]\n    matrix: {a: [1]}\n") ==
          Lines{"6:15: Step 'a': A step has only one of 'for_each', 'matrix' and 'best_of'"});
    CHECK(errors_of("  - id: a\n    argv: [x]\n    best_of: 1\n") ==
          Lines{"6:14: Step 'a': Field 'best_of' must be an integer from 2 to 100"});
    CHECK(errors_of("  - id: a\n    argv: [x]\n    best_of: {by: x}\n") ==
          Lines{"6:14: Step 'a': best_of: Give either 'count', or 'agents' and 'models'"});
    CHECK(errors_of("  - id: a\n    command: x\n    agent: b\n    best_of: {agents: [c, d]}\n") ==
          Lines{"7:23: Step 'a': best_of: The step has an 'agent', too"});
    CHECK(errors_of("  - id: a\n    command: x\n    model: b\n    best_of: {models: [c, d]}\n") ==
          Lines{"7:14: Step 'a': best_of: The step has a 'model', too"});
    CHECK(errors_of("  - id: a\n    command: x\n    best_of: {count: 2, models: [c, d]}\n") ==
          Lines{"6:14: Step 'a': best_of: Give either 'count', or 'agents' and 'models'"});
    CHECK(errors_of(
              "  - id: a\n    command: x\n    best_of: {agents: [c, {agent: d, model: e}]}\n") ==
          Lines{"6:23: Step 'a': best_of: Either each agent has a 'model', or none"});
    CHECK(errors_of(
              "  - id: a\n    command: x\n    best_of: {agents: [{agent: d, modle: e}, f]}\n") ==
          Lines{"6:35: Step 'a': best_of: agents[1]: Unknown field 'modle'"});
    CHECK(errors_of("  - id: a\n    command: x\n    agent: b\n    model: --evil\n") ==
          Lines{"7:12: Step 'a': '--evil' is not the name of a model"});
    CHECK(errors_of("  - id: a\n    argv: [x]\n    model: b\n") ==
          Lines{"6:12: Step 'a': 'model' has no effect without an agent"});
    CHECK(errors_of("  - id: a\n    command: x\n    agent: b\n    for_each: [{m: x}, {m: -y}]\n"
                    "    model: \"{item.m}\"\n") ==
          Lines{"8:12: Step 'a': '-y' is not the name of a model"});
    CHECK(errors_of("  - {id: plan, command: make}\n  - id: a\n    command: x\n"
                    "    agent: \"{item}\"\n    for_each: plan.results.x\n") ==
          Lines{"7:12: Step 'a': The agent cannot come from a list that is read during the run"});
    CHECK(errors_of("  - id: a\n    argv: [x]\n    matrix: {a: 1}\n").front() ==
          "6:17: Step 'a': matrix: Field 'a' must be a list of values");
    CHECK(errors_of("  - id: a\n    argv: [x]\n    matrix: {max_parallel: 1}\n") ==
          Lines{"6:13: Step 'a': matrix: The matrix has no combination"});
}

TEST_CASE("a matrix of too many combinations is refused, whatever it excludes")
{
    std::string numbers;
    for (int k = 0; k < 40; ++k) numbers += (k == 0 ? "" : ", ") + std::to_string(k);
    const std::string lists = "a: [" + numbers + "], b: [" + numbers + "]";
    const auto errors =
        errors_of("  - id: a\n    argv: [x]\n    matrix: {" + lists + ", exclude: [{a: 1}]}\n");
    REQUIRE(errors.size() == 1);
    CHECK(errors.front().ends_with(
        "Step 'a': matrix: The matrix has more than 1000 combinations, also of those that "
        "'exclude' removes"));
}

TEST_CASE("each of several tries needs a worktree of its own")
{
    const std::string message = "Step 'a': With 'best_of', each try needs a worktree of its own";
    CHECK(errors_of("  - id: a\n    command: x\n    worktree: ../x\n    best_of: 2\n"
                    "    results: \"r-{index}\"\n") == Lines{"6:15: " + message});
    auto w = workflow_of({tries("a", 2)});
    w.worktrees = WorktreeMode::workflow;
    CHECK(problems_of(w) ==
          Lines{"a for_each[0]: With 'best_of', each try needs a worktree of its own"});
}

TEST_CASE("what cannot work for each item is reported with its place")
{
    const std::string head = "  - id: a\n    for_each: [{x: 1}, {y: 2}]\n";
    CHECK(errors_of(head + "    argv: [do, \"{item.x}\"]\n") ==
          Lines{"6:17: Step 'a': Item 2 has no 'x'"});
    CHECK(errors_of(head + "    argv: [x]\n    creates: [out.md]\n") ==
          Lines{"7:15: Step 'a': 'out.md' would be the same for each item"});
    CHECK(errors_of(head + "    argv: [x]\n    results: out.json\n") ==
          Lines{"7:14: Step 'a': 'out.json' would be the same for each item"});
    CHECK(errors_of(head + "    argv: [x]\n    gate: {on_fail: b}\n  - {id: b, command: make}\n") ==
          Lines{"7:21: Step 'a': Where 'for_each' is, 'on_fail' is 'retry' or 'fail'"});
    CHECK(errors_of(head + "    argv: [x]\n  - {id: a.1, command: make}\n") ==
          Lines{"7:10: Step 'a.1': 'a.1' is the id of a step for an item of 'a'"});
    CHECK(errors_of(head + "    argv: [x]\n"
                           "  - {id: b, command: make, condition: a.exit_code == 0}\n") ==
          Lines{"7:39: Step 'b': 'a' has this for each of its items"});
    CHECK(errors_of("  - {id: plan, command: make}\n"
                    "  - id: a\n    for_each: plan.results.tasks\n    command: \"do {item}\"\n") ==
          Lines{"7:18: Step 'a': 'item' cannot be part of a script"});
    CHECK(errors_of("  - {id: plan, command: make}\n"
                    "  - id: a\n    for_each: plan.results.tasks\n    agent: claude\n"
                    "    command: \"do {item}\"\n")
              .empty());
    CHECK(errors_of("  - {id: a, command: \"echo {item} {index} {matrix.x}\"}\n").empty());
}
