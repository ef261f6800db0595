#include "support/workflows.hpp"

#include <doctest/doctest.h>

#include <algorithm>

using namespace autoexec;
using namespace autoexec::test;
using Lines = std::vector<std::string>;
using Indexes = std::vector<std::size_t>;

namespace {

WorkflowStep maker(std::string id, Lines creates, Lines needs = {})
{
    auto s = step(std::move(id));
    s.creates = std::move(creates);
    s.needs = std::move(needs);
    return s;
}

WorkflowStep leads_to(WorkflowStep s, std::string next)
{
    s.next = std::move(next);
    return s;
}

WorkflowStep gated(WorkflowStep s, WorkflowGate g)
{
    s.gate = std::move(g);
    return s;
}

bool contains(const Lines& lines, std::string_view part)
{
    return std::any_of(lines.begin(), lines.end(),
                       [&](const auto& line) { return line.find(part) != line.npos; });
}

}  // namespace

TEST_CASE("a step waits for the creator of its artifact, however the path is written")
{
    const auto plan = plan_of(workflow_of({maker("a", {"src/"}), maker("b", {}, {"./src"})}));
    CHECK(plan.steps[1].waits_for == Indexes{0});
    CHECK(plan.steps[0].require_artifacts);
    CHECK_FALSE(plan.steps[1].require_artifacts);
}

TEST_CASE("more ways to wait than a plan holds are refused, however few the bytes")
{
    Workflow w;
    w.id = "w";
    for (int i = 0; i < 100; ++i) w.steps.push_back(maker("c" + std::to_string(i), {"x"}));
    for (int i = 0; i < 2100; ++i) w.steps.push_back(maker("u" + std::to_string(i), {}, {"x"}));
    std::vector<workflow::PlanProblem> problems;
    (void)workflow::make_plan(w, problems);
    REQUIRE(problems.size() == 1);
    CHECK(problems.front().message.find("more than 200000 ways") != std::string::npos);
    CHECK_FALSE(problems.front().warning);
}

TEST_CASE("an artifact that no step creates must come from the repository")
{
    const auto plan = plan_of(workflow_of({maker("a", {}, {"README.md"})}));
    CHECK(plan.steps[0].from_repository == Lines{"README.md"});
}

TEST_CASE("of several creators those before a step count, and all where there is none before")
{
    const auto plan = plan_of(workflow_of({maker("early", {}, {"x"}), maker("make", {"x"}),
                                           maker("use", {}, {"x"}), maker("mend", {"x"}, {"x"})}));
    CHECK(plan.steps[0].waits_for == Indexes{1, 3});
    CHECK(plan.steps[2].waits_for == Indexes{1});
    CHECK(plan.steps[3].waits_for == Indexes{1});
}

TEST_CASE("two steps that make one path in one place must wait for each other")
{
    auto b = maker("b", {"y", "./x/"});
    SUBCASE("they do not")
    {
        CHECK(problems_of(workflow_of({maker("a", {"x"}), b})) ==
              Lines{"b creates[1]: 'x' is created by 'a', too, and neither waits for the other"});
    }
    SUBCASE("one waits for the other")
    {
        b.needs = {"x"};
        CHECK(problems_of(workflow_of({maker("a", {"x"}), b})).empty());
    }
    SUBCASE("one waits for the other through a third")
    {
        b.depends_on = {"between"};
        const auto w = workflow_of({maker("a", {"x"}), step("between", {"a"}), b});
        CHECK(problems_of(w).empty());
    }
    SUBCASE("they work in different places")
    {
        b.worktree = "elsewhere";
        CHECK(problems_of(workflow_of({maker("a", {"x"}), b})).empty());
    }
    SUBCASE("a condition may keep one of them from running")
    {
        b.condition = "c.outcome == 'failed'";
        CHECK(problems_of(workflow_of({maker("a", {"x"}), b, step("c")})).empty());
    }
    SUBCASE("they stand on different ways out of a gate")
    {
        auto choose = gated(step("choose"), gate("ok", to("b")));
        choose.gate->on_pass = to("a");
        choose.results = "results.json";
        CHECK(problems_of(workflow_of({choose, maker("a", {"x"}), b})).empty());
    }
}

TEST_CASE("a closing step that only a `next` names is on the last level")
{
    const auto plan = plan_of(workflow_of(
        {leads_to(step("a"), "b"), leads_to(step("b"), "close"), step("aside"), step("close")}));
    CHECK(plan.steps[3].level == 2);
    CHECK(plan.longest_chain == Indexes{0, 1, 3});
    CHECK(plan.steps[2].level == 0);
}

TEST_CASE("a gate that fails leads on to a later step, and back to an earlier one")
{
    const auto plan = plan_of(workflow_of({
        leads_to(step("write"), "review"),
        gated(leads_to(step("review"), "test"), gate("ok", to("mend"))),
        leads_to(step("mend"), "again"),
        gated(leads_to(step("again"), "test"), gate("ok", to("write"))),
        step("test"),
    }));
    CHECK(plan.steps[1].fail_to == 2);
    CHECK_FALSE(plan.steps[1].back_to);
    CHECK(plan.steps[3].back_to == 0);
    CHECK_FALSE(plan.steps[3].fail_to);
    CHECK(plan.steps[4].entries.size() == 2);
    CHECK(plan.steps[2].entries.size() == 1);
    CHECK(plan.steps[2].entries.front().by == workflow::Exit::fail);
    CHECK(plan.steps[0].leads_to == std::vector<bool>{false, true, true, true, true});
}

TEST_CASE("a gate can send its own step back, by `retry` or by its name")
{
    for (const auto& target : {GateTarget{GateTarget::Kind::again, {}}, to("a")}) {
        const auto plan = plan_of(workflow_of({gated(step("a"), gate("ok", target))}));
        CHECK(plan.steps[0].back_to == 0);
    }
}

TEST_CASE("rounds are those of the gate, else those of the workflow")
{
    auto w =
        workflow_of({gated(step("a"), gate("ok", to("a"))), gated(step("b"), gate("ok", to("b")))});
    w.max_rounds = 5;
    w.steps[0].gate->max_rounds = 2;
    const auto plan = plan_of(w);
    CHECK(plan.steps[0].max_rounds == 2);
    CHECK(plan.steps[1].max_rounds == 5);
}

TEST_CASE("a condition waits for the steps that it asks about")
{
    auto b = step("b");
    b.condition = "a.outcome == 'completed' or steps.c-1.exit_code == 3";
    const auto plan = plan_of(workflow_of({step("a"), b, step("c-1")}));
    CHECK(plan.steps[1].waits_for == Indexes{0, 2});
    CHECK(plan.steps[1].depends_on.empty());
}

TEST_CASE("results are read from the named file, else from a default file, with a warning")
{
    auto named = gated(step("a"), gate("coverage >= 70", {GateTarget::Kind::fail, {}}));
    named.results = "out/a.json";
    auto unnamed = gated(step("b"), gate("scoring.passed == true", {GateTarget::Kind::fail, {}}));
    const auto w = workflow_of({named, unnamed, step("c")});
    const auto plan = plan_of(w);
    CHECK(plan.steps[0].results == "out/a.json");
    CHECK(plan.steps[1].results == "reports/b.json");
    CHECK(plan.steps[2].results.empty());
    CHECK(problems_of(w) ==
          Lines{"b gate.condition[0]: No 'results' file is named: 'reports/b.json' is read"});
}

TEST_CASE("steps that wait for each other are shown as the ring that they are")
{
    auto w = workflow_of({maker("a", {"x"}, {"z"}), maker("b", {"y"}, {"x"}), maker("c", {"z"}),
                          step("outside", {"c"})});
    w.steps[2].depends_on = {"b"};
    CHECK(
        problems_of(w) ==
        Lines{"a id[0]: These steps wait for each other: a → b ('x') → c (depends_on) → a ('z')"});
}

TEST_CASE("a ring is found behind steps that have nothing to do with it")
{
    auto w = workflow_of(
        {step("start"), step("a", {"start", "b"}), step("b", {"a"}), step("last", {"b"})});
    CHECK(problems_of(w) == Lines{"a id[0]: These steps wait for each other: a → b (depends_on) → "
                                  "a (depends_on)"});
}

TEST_CASE("problems of a definition are reported at once")
{
    auto w = workflow_of({step("a"), step("a"), step("next"), step("d", {"e", "d"})});
    w.steps[0].creates = {"../x", "/y", "", "ok/"};
    w.steps[0].next = "nowhere";
    w.steps[1].argv.clear();
    w.steps[2].command = "both";
    w.steps[3].needs = {"self"};
    w.steps[3].creates = {"self"};
    w.steps[3].condition = "d.outcome == 'completed'";
    w.steps[3].gate = gate("a.colour == 'red'", {GateTarget::Kind::fail, {}});
    w.steps[3].gate->on_pass = {GateTarget::Kind::again, {}};
    w.steps[3].need = StepNeed::conditional;
    const auto found = problems_of(w);
    for (const auto* const part :
         {"a id[0]: There are two steps 'a'", "next id[0]: 'next' cannot be the id",
          "a creates[0]: '../x' is not a path", "a creates[1]: '/y'", "a creates[2]: ''",
          "a next[0]: There is no step 'nowhere'", "a id[0]: The step has nothing to run",
          "next argv[0]: Only one of", "d depends_on[0]: There is no step 'e'",
          "d depends_on[1]: The step waits for itself", "d requires[0]: The step requires 'self'",
          "d condition[0]: The step has not run", "d gate.condition[0]: A step has no 'colour'",
          "d gate.on_pass[0]: A gate that passes continues",
          "d condition[0]: Nothing leads to this conditional step"})
        CHECK_MESSAGE(contains(found, part), part);
}

TEST_CASE("unknown names are errors, with the place in the expression")
{
    auto w = workflow_of({step("build"), step("b")});
    w.params["mode"] = "fast";
    w.steps[1].condition = "params.mode == 'fast' and buidl.outcome == 'completed'";
    std::vector<workflow::PlanProblem> problems;
    (void)workflow::make_plan(w, problems);
    REQUIRE(problems.size() == 1);
    CHECK(problems[0].offset == 26);
    CHECK(problems[0].hint == "Did you mean 'build'?");
    w.steps[1].condition = "params.mod == 'fast'";
    CHECK(problems_of(w) == Lines{"b condition[0]: There is no parameter 'mod'"});
    w.steps[1].condition = "params.mode";
    CHECK(problems_of(w).size() == 1);
}

TEST_CASE("an outcome is compared with words that it can be")
{
    auto w = workflow_of({step("a"), step("b")});
    w.steps[1].condition = "a.outcome == 'success'";
    CHECK(problems_of(w) == Lines{"b condition[0]: 'a.outcome' is never 'success'"});
    w.steps[1].condition = "'all' == a.verified and a.outcome != 'skipped'";
    CHECK(problems_of(w).empty());
}

TEST_CASE("a closing step without an order runs last")
{
    auto close = step("close");
    close.argv.clear();
    close.agent = "orchestrator";
    close.action = "finalize";
    const auto plan = plan_of(workflow_of({close, step("a"), step("b", {"a"})}));
    CHECK(plan.steps[0].level == 2);
}

TEST_CASE("a gate that seems to send back, but does not, is reported")
{
    auto w = workflow_of({step("code"), step("review")});
    w.steps[1].gate = gate("true", to("code"));
    CHECK(contains(problems_of(w), "review gate.on_fail[0]: 'code' does not lead to this step"));
    w.steps[1].depends_on = {"code"};
    CHECK(problems_of(w).empty());
}

TEST_CASE("placeholders must name parameters")
{
    auto w = workflow_of({step("a")});
    w.params["who"] = nullptr;
    w.steps[0].argv = {"echo", "{params.who} {params.what} {other} {params.} {params.who"};
    CHECK(problems_of(w) == Lines{"a argv[1]: There is no parameter 'what'"});
}

TEST_CASE("what is hostile takes no longer than what is large")
{
    auto w = workflow_of({});
    for (int i = 0; i < 5000; ++i) {
        w.steps.push_back(step("s" + std::to_string(i), {"t" + std::to_string(i)}));
        w.steps.back().condition = "u" + std::to_string(i) + ".outcome == 'completed'";
        w.steps.back().creates = w.steps.back().needs = {"x"};
    }
    const auto found = problems_of(w);
    CHECK(found.size() == 1000);
    CHECK(contains(found, "More than 100 steps create 'x'"));
}

TEST_CASE("every level and every order respects the dependencies, in all graphs of five steps")
{
    constexpr std::size_t n = 5;
    const Lines ids{"a", "b", "c", "d", "e"};
    for (unsigned edges = 0; edges < 1U << 10; ++edges) {
        auto w = workflow_of({});
        unsigned bit = 0;
        for (std::size_t i = 0; i < n; ++i) {
            w.steps.push_back(step(ids[i]));
            for (std::size_t k = 0; k < i; ++k)
                if ((edges >> bit++ & 1U) != 0) w.steps[i].depends_on.push_back(ids[k]);
        }
        const auto plan = plan_of(w);
        REQUIRE(plan.order.size() == n);
        for (std::size_t i = 0; i < n; ++i) {
            std::size_t level = 0;
            for (const auto from : plan.steps[i].waits_for) {
                level = std::max(level, plan.steps[from].level + 1);
                CHECK(plan.steps[from].leads_to[i]);
                CHECK_FALSE(plan.steps[i].leads_to[from]);
                const auto at = [&](std::size_t s) {
                    return std::find(plan.order.begin(), plan.order.end(), s);
                };
                CHECK(at(from) < at(i));
            }
            CHECK(plan.steps[i].level == level);
        }
    }
}

TEST_CASE("a step whose program has no name is refused")
{
    auto s = step("a");
    s.command.clear();
    s.agent.clear();
    s.action.clear();
    s.argv = {"", "x"};
    std::vector<workflow::PlanProblem> problems;
    (void)workflow::make_plan(workflow_of({s}), problems);
    REQUIRE(problems.size() == 1);
    CHECK(problems.front().message == "The program's name is empty");
    CHECK_FALSE(problems.front().warning);
}
