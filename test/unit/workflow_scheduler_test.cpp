#include "support/sweep.hpp"
#include "support/workflows.hpp"
#include "workflow/run/scheduler.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <functional>
#include <map>
#include <optional>
#include <random>

using namespace autoexec;
using namespace autoexec::test;
using workflow::Decision;
using workflow::Exit;
using workflow::Plan;
using workflow::Scheduler;
using workflow::Verdict;
using Lines = std::vector<std::string>;

namespace {

/// A scheduler over a workflow, with answers to all its queries.
struct Bench {
    explicit Bench(Workflow definition, Scheduler::Limits limits = {})
        : w(std::move(definition)), plan(plan_of(w)), scheduler(w, plan, limits)
    {
        queries.has_room = [this](std::size_t i) { return room(i); };
        queries.condition = [this](std::size_t i, std::string& problem) -> std::optional<bool> {
            if (!conditions.contains(i)) problem = "unknown";
            return conditions.contains(i) ? std::optional(conditions[i]) : std::nullopt;
        };
    }
    Bench(const Bench&) = delete;

    /// What is decided until nothing more is: `+a` starts, `-a` is skipped, `!a` fails.
    Lines decide()
    {
        Lines lines;
        while (const auto d = scheduler.next(queries)) {
            const char sign = d->kind == Decision::Kind::start  ? '+'
                              : d->kind == Decision::Kind::skip ? '-'
                                                                : '!';
            lines.push_back(sign + w.steps[d->step].id);
            reasons[w.steps[d->step].id] = d->reason;
        }
        return lines;
    }

    Scheduler::Judged end(std::string_view id, StepState state = StepState::completed)
    {
        const auto i = *workflow::index_of(w, id);
        std::set<std::string> provided;
        if (state == StepState::completed)
            provided.insert(w.steps[i].creates.begin(), w.steps[i].creates.end());
        return scheduler.ended(i, state, std::move(provided));
    }
    Verdict judge(std::string_view id, bool passed)
    {
        return scheduler.judge(*workflow::index_of(w, id), passed);
    }
    [[nodiscard]] const Scheduler::Node& node(std::string_view id) const
    {
        return scheduler.node(*workflow::index_of(w, id));
    }

    Workflow w;
    Plan plan;
    Scheduler scheduler;
    Scheduler::Queries queries;
    std::function<bool(std::size_t)> room = [](std::size_t) { return true; };
    std::map<std::size_t, bool> conditions;
    std::map<std::string, std::string> reasons;
};

WorkflowStep leads_to(WorkflowStep s, std::string next)
{
    s.next = std::move(next);
    return s;
}

Workflow loop(int max_rounds = 3)
{
    auto w = workflow_of({leads_to(step("write"), "review"), leads_to(step("review"), "close"),
                          step("aside", {"write"}), step("close")});
    w.steps[1].gate = gate("ok", to("write"));
    w.steps[1].gate->max_rounds = max_rounds;
    return w;
}

}  // namespace

TEST_CASE("a step starts the moment that what it waits for is done, whatever else still runs")
{
    Bench b(workflow_of({step("slow"), step("quick"), step("after", {"quick"})}));
    CHECK(b.decide() == Lines{"+slow", "+quick"});
    b.end("quick");
    CHECK(b.decide() == Lines{"+after"});
    CHECK(b.scheduler.in_flight() == 2);
}

TEST_CASE("a failed step stops only what depends on it")
{
    Bench b(workflow_of({step("a"), step("b"), step("of-a", {"a"}), step("of-of-a", {"of-a"}),
                         step("of-b", {"b"})}));
    b.decide();
    b.end("a", StepState::failed);
    CHECK(b.decide() == Lines{"-of-a", "-of-of-a"});
    CHECK(b.reasons["of-a"] == "It depends on 'a', which failed");
    CHECK(b.reasons["of-of-a"] == "It depends on 'of-a', which was skipped");
    b.end("b");
    CHECK(b.decide() == Lines{"+of-b"});
    b.end("of-b");
    CHECK(b.scheduler.finished());
    CHECK(b.scheduler.failures() == std::vector<std::size_t>{0});
}

TEST_CASE("a failure that is tolerated lets on, but gives no artifact that is not there")
{
    auto maker = step("maker");
    maker.creates = {"x"};
    maker.continue_on_error = true;
    auto user = step("user");
    user.needs = {"x"};
    Bench b(workflow_of({maker, user, step("follower", {"maker"})}));
    b.decide();
    b.end("maker", StepState::failed);
    CHECK(b.decide() == Lines{"-user", "+follower"});
    CHECK(b.reasons["user"] == "It requires 'x' of 'maker', which failed");
    CHECK(b.scheduler.failures().empty());
    CHECK(b.node("maker").state == StepState::failed);
}

TEST_CASE("a failure that counts as skipped is skipped, and lets on")
{
    auto a = step("a");
    a.skip_on_fail = true;
    Bench b(workflow_of({a, step("b", {"a"})}));
    b.decide();
    b.end("a", StepState::timeout);
    CHECK(b.node("a").state == StepState::skipped);
    CHECK(b.decide() == Lines{"+b"});
}

TEST_CASE("a step whose condition does not hold is passed by, one whose condition is unknown fails")
{
    auto a = step("a");
    a.condition = "exists('x')";
    auto c = step("c");
    c.condition = "exists('y')";
    Bench b(workflow_of({a, step("of-a", {"a"}), c, step("of-c", {"c"})}));
    b.conditions[0] = false;
    CHECK(b.decide() == Lines{"-a", "+of-a", "!c", "-of-c"});
    CHECK(b.reasons["c"] == "Its condition cannot be evaluated: unknown");
}

TEST_CASE("limits apply, and of the ready steps the first in the file is next")
{
    Scheduler::Limits limits;
    limits.max_parallel = 2;
    Bench b(workflow_of({step("a"), step("b"), step("c"), step("d")}), limits);
    b.room = [](std::size_t i) { return i != 0; };
    CHECK(b.decide() == Lines{"+b", "+c"});
    b.end("c");
    b.room = [](std::size_t) { return true; };
    CHECK(b.decide() == Lines{"+a"});
    b.end("a");
    CHECK(b.decide() == Lines{"+d"});
}

TEST_CASE("a gate that fails sends back, and what depends on the earlier step runs again")
{
    Bench b(loop());
    b.decide();
    b.end("write");
    CHECK(b.decide() == Lines{"+review", "+aside"});
    b.end("aside");
    CHECK(b.end("review") == Scheduler::Judged::by_gate);
    const auto verdict = b.judge("review", false);
    CHECK(verdict.kind == Verdict::Kind::back);
    CHECK(verdict.to == 0);
    CHECK(verdict.steps == std::vector<std::size_t>{0, 1, 2, 3});
    CHECK(b.decide() == Lines{"+write"});
    CHECK(b.node("write").round == 2);
    b.end("write");
    CHECK(b.decide() == Lines{"+review", "+aside"});
    b.end("review");
    CHECK(b.judge("review", true).kind == Verdict::Kind::on);
    CHECK(b.decide() == Lines{"+close"});
    CHECK(b.node("close").round == 1);
}

TEST_CASE("what is in flight when a gate sends back ends without a meaning, and runs again")
{
    Bench b(loop());
    b.decide();
    b.end("write");
    b.decide();
    b.end("review");
    b.judge("review", false);
    CHECK(b.node("aside").superseded);
    b.decide();
    b.end("write");
    CHECK(b.decide() == Lines{"+review"});
    CHECK(b.end("aside") == Scheduler::Judged::discarded);
    CHECK(b.decide() == Lines{"+aside"});
    CHECK(b.node("aside").round == 2);
}

TEST_CASE("rounds are bounded: then the gate's step has failed")
{
    Bench b(loop(2));
    for (int round = 1; round <= 2; ++round) {
        b.decide();
        b.end("write");
        b.decide();
        b.end("aside");
        b.end("review");
        const auto verdict = b.judge("review", false);
        CHECK((verdict.kind == Verdict::Kind::fail) == (round == 2));
    }
    CHECK(b.node("review").reason == "Its gate did not pass in 2 rounds: ok");
    CHECK(b.decide() == Lines{"-close"});
    CHECK(b.reasons["close"] == "It comes after 'review', which failed");
    CHECK(b.scheduler.failures() == std::vector<std::size_t>{1});
}

TEST_CASE("a branch that a gate does not take is skipped, and where branches meet one is enough")
{
    auto w = workflow_of({leads_to(step("review"), "test"), leads_to(step("mend"), "test"),
                          step("test"), step("close", {"test"})});
    w.steps[0].gate = gate("ok", to("mend"));
    for (const bool passed : {true, false}) {
        Bench b(w);
        CHECK(b.decide() == Lines{"+review"});
        b.end("review");
        b.judge("review", passed);
        if (passed) {
            CHECK(b.decide() == Lines{"-mend", "+test"});
            CHECK(b.reasons["mend"] == "Nothing led to it");
        } else {
            CHECK(b.decide() == Lines{"+mend"});
            b.end("mend");
            CHECK(b.decide() == Lines{"+test"});
        }
        b.end("test");
        CHECK(b.decide() == Lines{"+close"});
    }
}

TEST_CASE("a gate can send back to a step that was not taken before")
{
    auto w = workflow_of(
        {leads_to(step("review"), "final"), leads_to(step("mend"), "final"), step("final")});
    w.steps[0].gate = gate("ok", to("mend"));
    w.steps[2].gate = gate("ok", to("mend"));
    Bench b(w);
    b.decide();
    b.end("review");
    b.judge("review", true);
    CHECK(b.decide() == Lines{"-mend", "+final"});
    b.end("final");
    CHECK(b.judge("final", false).steps == std::vector<std::size_t>{1, 2});
    CHECK(b.decide() == Lines{"+mend"});
    b.end("mend");
    CHECK(b.decide() == Lines{"+final"});
    b.end("final");
    b.judge("final", true);
    CHECK(b.scheduler.finished());
}

TEST_CASE("a gate can end the workflow: steps in flight continue, nothing else starts")
{
    auto w = workflow_of({step("a"), step("b"), step("c", {"a"}), step("d", {"b"})});
    w.steps[0].gate = gate("ok", {GateTarget::Kind::end, {}});
    Bench b(w);
    b.decide();
    b.end("a");
    CHECK(b.judge("a", false).kind == Verdict::Kind::end);
    CHECK(b.decide() == Lines{"-c", "-d"});
    CHECK_FALSE(b.scheduler.finished());
    b.end("b");
    CHECK(b.scheduler.finished());
    CHECK(b.scheduler.failures().empty());
}

TEST_CASE("what has failed provides nothing, whatever it has left")
{
    auto a = step("a");
    a.creates = {"out"};
    auto b = step("b");
    b.needs = {"out"};
    SUBCASE("by itself")
    {
        Bench bench(workflow_of({a, b}));
        bench.decide();
        bench.scheduler.ended(0, StepState::failed, {"out"});
        CHECK(bench.decide() == Lines{"-b"});
    }
    SUBCASE("by its gate")
    {
        a.gate = gate("ok", {GateTarget::Kind::fail, {}});
        Bench bench(workflow_of({a, b}));
        bench.decide();
        bench.end("a");
        bench.judge("a", false);
        CHECK(bench.decide() == Lines{"-b"});
    }
    SUBCASE("unless that stops nothing")
    {
        a.continue_on_error = true;
        Bench bench(workflow_of({a, b}));
        bench.decide();
        bench.scheduler.ended(0, StepState::failed, {"out"});
        CHECK(bench.decide() == Lines{"+b"});
    }
}

TEST_CASE(
    "to run a step again after a gate's end leaves that as it was, unless the gate is asked too")
{
    auto w = workflow_of({step("a"), step("b"), step("c", {"a"}), step("d")});
    w.steps[0].gate = gate("ok", {GateTarget::Kind::end, {}});
    Scheduler::Limits limits;
    limits.max_parallel = 2;
    Bench bench(w, limits);
    CHECK(bench.decide() == Lines{"+a", "+b"});
    bench.end("a");
    bench.judge("a", false);
    bench.end("b");
    CHECK(bench.decide() == Lines{"-c", "-d"});
    SUBCASE("another step")
    {
        bench.scheduler.restart({1});
        CHECK(bench.decide() == Lines{"+b"});
        bench.end("b");
        CHECK(bench.decide().empty());
        CHECK(bench.scheduler.finished());
    }
    SUBCASE("the gate's step")
    {
        bench.scheduler.restart({0});
        CHECK(bench.decide() == Lines{"+a"});
    }
}

TEST_CASE("a gate that cannot be judged has not passed")
{
    Bench b(loop());
    b.decide();
    b.end("write");
    b.decide();
    b.end("review");
    b.scheduler.judge(1, std::nullopt, "no file");
    CHECK(b.node("review").state == StepState::failed);
    CHECK(b.node("review").reason == "no file");
    CHECK(b.decide() == Lines{"-close"});
}

TEST_CASE("with fail-fast the first failure that matters stops all")
{
    auto tolerated = step("tolerated");
    tolerated.need = StepNeed::optional;
    Scheduler::Limits limits;
    limits.fail_fast = true;
    Bench b(workflow_of({tolerated, step("a"), step("b", {"tolerated"}), step("c", {"a"})}),
            limits);
    b.decide();
    b.end("tolerated", StepState::failed);
    CHECK(b.decide() == Lines{"+b"});
    b.end("a", StepState::failed);
    CHECK(b.scheduler.stopped());
    CHECK(b.decide() == Lines{"-c"});
}

namespace {

/// What must come of a workflow, computed without any order of events: step after step, each from
/// the ends of those that it waits for.
struct Expected {
    bool runs = false;
    bool goes_on = false;
    std::optional<Exit> exit;
    bool provides = false;
};

std::vector<Expected> expect(const Workflow& w, const Plan& plan, const std::vector<bool>& succeeds,
                             const std::vector<bool>& passes)
{
    std::vector<Expected> all(w.steps.size());
    for (const auto i : plan.order) {
        const auto& p = plan.steps[i];
        auto& mine = all[i];
        mine.runs = p.entries.empty();
        for (const auto& entry : p.entries)
            mine.runs |= all[entry.from].goes_on && all[entry.from].exit == entry.by;
        for (const auto from : p.depends_on) mine.runs &= all[from].goes_on;
        for (const auto& need : p.artifacts)
            mine.runs &= std::any_of(need.creators.begin(), need.creators.end(), [&](auto from) {
                return all[from].provides && all[from].goes_on;
            });
        if (!mine.runs) continue;
        const bool fails_gate = succeeds[i] && p.has_gate && !passes[i] && !p.fail_to;
        const bool done = succeeds[i] && !fails_gate;
        mine.provides = succeeds[i];
        mine.goes_on = done || w.steps[i].continue_on_error;
        if (!mine.goes_on) continue;
        const bool other_way = p.fail_to && (!succeeds[i] || (p.has_gate && !passes[i]));
        mine.exit = other_way ? Exit::fail : Exit::pass;
    }
    return all;
}

/// Runs to the end, completing what is in flight in an order that `choose` gives, and compares.
void compare(const Workflow& w, const std::vector<bool>& succeeds, const std::vector<bool>& passes,
             Scheduler::Limits limits, const std::function<std::size_t(std::size_t)>& choose)
{
    Bench b(w, limits);
    const auto wanted = expect(w, b.plan, succeeds, passes);
    std::vector<std::size_t> running;
    std::vector<bool> ran(w.steps.size());
    const auto resolved = [&](std::size_t i) {
        const auto state = b.scheduler.node(i).state;
        return state != StepState::pending && state != StepState::running;
    };
    for (;;) {
        while (const auto d = b.scheduler.next(b.queries)) {
            for (const auto from : b.plan.steps[d->step].waits_for) REQUIRE(resolved(from));
            if (d->kind != Decision::Kind::start) continue;
            running.push_back(d->step);
            ran[d->step] = true;
        }
        if (limits.max_parallel > 0) REQUIRE(running.size() <= limits.max_parallel);
        if (limits.max_parallel == 0 || running.size() < limits.max_parallel)
            for (std::size_t i = 0; i < w.steps.size(); ++i) {
                const auto& waits_for = b.plan.steps[i].waits_for;
                const bool ready = std::all_of(waits_for.begin(), waits_for.end(), resolved);
                REQUIRE((!ready || b.scheduler.node(i).state != StepState::pending));
            }
        if (running.empty()) break;
        const auto at = choose(running.size());
        const auto i = running[at];
        running.erase(running.begin() + static_cast<long>(at));
        const auto judged =
            b.end(w.steps[i].id, succeeds[i] ? StepState::completed : StepState::failed);
        if (judged == Scheduler::Judged::by_gate) b.scheduler.judge(i, passes[i]);
    }
    REQUIRE(b.scheduler.finished());
    for (std::size_t i = 0; i < w.steps.size(); ++i) {
        REQUIRE(ran[i] == wanted[i].runs);
        REQUIRE((b.scheduler.node(i).state == StepState::skipped) == !ran[i]);
        REQUIRE(b.scheduler.node(i).goes_on == wanted[i].goes_on);
    }
}

/// All ways in which to choose, one after the other.
class Choices {
public:
    std::size_t operator()(std::size_t count)
    {
        if (at_ == taken_.size()) taken_.push_back({0, count});
        return taken_[at_++].first;
    }
    bool next()
    {
        at_ = 0;
        while (!taken_.empty() && ++taken_.back().first == taken_.back().second) taken_.pop_back();
        return !taken_.empty();
    }

private:
    std::vector<std::pair<std::size_t, std::size_t>> taken_;
    std::size_t at_ = 0;
};

const Lines& names()
{
    static const Lines all{"a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l"};
    return all;
}

Workflow graph(std::size_t n, unsigned edges)
{
    auto w = workflow_of({});
    unsigned bit = 0;
    for (std::size_t i = 0; i < n; ++i) {
        w.steps.push_back(step(names()[i]));
        for (std::size_t k = 0; k < i; ++k)
            if ((edges >> bit++ & 1U) != 0) w.steps[i].depends_on.push_back(names()[k]);
    }
    return w;
}

std::vector<bool> bits(std::size_t n, unsigned value)
{
    std::vector<bool> all(n);
    for (std::size_t i = 0; i < n; ++i) all[i] = (value >> i & 1U) != 0;
    return all;
}

/// A workflow with every kind of edge, forward only.
class RandomWorkflow {
public:
    explicit RandomWorkflow(unsigned seed) : engine_(seed) {}

    std::size_t below(std::size_t n)
    {
        return std::uniform_int_distribution<std::size_t>(0, n - 1)(engine_);
    }
    bool once_in(std::size_t n) { return below(n) == 0; }

    Workflow make(std::size_t n)
    {
        auto w = workflow_of({});
        for (std::size_t i = 0; i < n; ++i) {
            w.steps.push_back(step(names()[i]));
            auto& s = w.steps.back();
            s.creates = {"out-" + s.id};
            s.continue_on_error = once_in(4);
            for (std::size_t k = 0; k < i; ++k) {
                if (!once_in(3)) continue;
                const auto& other = names()[k];
                switch (below(3)) {
                    case 0:
                        s.depends_on.push_back(other);
                        break;
                    case 1:
                        s.needs.push_back("out-" + other);
                        break;
                    default:
                        s.optional_steps.push_back(other);
                }
            }
        }
        for (std::size_t i = 0; i + 1 < n; ++i) {
            auto& s = w.steps[i];
            if (once_in(2)) s.next = names()[i + 1 + below(n - i - 1)];
            if (!once_in(3)) continue;
            s.gate = gate("ok", once_in(2) ? GateTarget{GateTarget::Kind::fail, {}}
                                           : to(names()[i + 1 + below(n - i - 1)]));
        }
        return w;
    }

private:
    std::mt19937 engine_;
};

}  // namespace

TEST_CASE("all graphs of up to four steps, with all ends, in all orders, come out as they must")
{
    for (std::size_t n = 1; n <= 4; ++n)
        for (unsigned edges = 0; edges < 1U << (n * (n - 1) / 2); ++edges) {
            const auto w = graph(n, edges);
            for (unsigned ends = 0; ends < 1U << n; ++ends) {
                Choices choices;
                do compare(w, bits(n, ends), bits(n, 0), {}, std::ref(choices));
                while (choices.next());
            }
        }
}

TEST_CASE("all graphs of five steps, with all ends, come out as they must, within limits, too")
{
    std::mt19937 engine(7);
    const auto any = [&](std::size_t count) {
        return std::uniform_int_distribution<std::size_t>(0, count - 1)(engine);
    };
    for (unsigned edges = 0; edges < 1U << 10; ++edges) {
        const auto w = graph(5, edges);
        for (unsigned ends = 0; ends < 1U << 5; ++ends) {
            Scheduler::Limits limits;
            limits.max_parallel = ends % 3;
            compare(w, bits(5, ends), bits(5, 0), limits, any);
        }
    }
}

TEST_CASE("workflows of up to twelve steps with every kind of edge come out as they must" *
          doctest::test_suite("sweep"))
{
    RandomWorkflow random(sweep_seed());
    const auto rounds = sweep_rounds(1'000, 40'000);
    for (unsigned round = 0; round < rounds; ++round) {
        const auto n = 1 + random.below(12);
        const auto w = random.make(n);
        std::vector<workflow::PlanProblem> problems;
        (void)workflow::make_plan(w, problems);
        std::erase_if(problems, [](const auto& p) { return p.warning; });
        REQUIRE(problems.empty());
        Scheduler::Limits limits;
        limits.max_parallel = random.below(4);
        compare(w, bits(n, static_cast<unsigned>(random.below(4096))),
                bits(n, static_cast<unsigned>(random.below(4096))), limits,
                [&](std::size_t count) { return random.below(count); });
    }
}
