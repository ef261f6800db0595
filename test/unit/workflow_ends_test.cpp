#include "support/workflow_fixture.hpp"
#include "workflow/run/scheduler.hpp"

#include <doctest/doctest.h>

#include <algorithm>

using namespace autoexec;
using namespace autoexec::test;
using namespace std::chrono_literals;
using Lines = std::vector<std::string>;

namespace {

WorkflowStep at_the_end(std::string id)
{
    auto s = step(std::move(id));
    s.phase = StepPhase::finally;
    return s;
}

WorkflowStep on_failure(std::string id)
{
    auto s = step(std::move(id));
    s.phase = StepPhase::on_failure;
    return s;
}

struct EndsFixture : WorkflowFixture {
    /// The steps that ran, in this order.
    Lines ran() const
    {
        Lines ids;
        for (const auto& line : story)
            if (line.starts_with("+")) ids.push_back(line.substr(1));
        return ids;
    }
};

Lines errors_of(const std::string& text)
{
    Lines lines;
    for (const auto& error : parse_workflow(text, "w.yaml").errors)
        lines.push_back(std::to_string(error.line) + ":" + std::to_string(error.column) + ": " +
                        error.message);
    return lines;
}

}  // namespace

TEST_CASE_FIXTURE(EndsFixture, "the last steps run after all others, also after a failure")
{
    const auto w = workflow_of(
        {step("a"), step("b", {"a"}), step("c"), on_failure("report"), at_the_end("clean")});
    SUBCASE("without a failure")
    {
        run(w);
        CHECK(result.status == WorkflowStatus::completed);
        CHECK(ran() == Lines{"a", "b", "c", "clean"});
        CHECK(of("report").reason == "No step has failed");
    }
    SUBCASE("a failure")
    {
        replies["a"].status = ReportedStatus::failed;
        run(w);
        CHECK(result.status == WorkflowStatus::failed);
        CHECK(result.error == "Step 'a': as scripted");
        CHECK(ran() == Lines{"a", "c", "report", "clean"});
    }
    SUBCASE("fail-fast")
    {
        tree_at("c");
        auto fast = w;
        fast.steps[2].worktree = "c";
        replies["c"].after = 30s;
        replies["a"].status = ReportedStatus::failed;
        run_options.fail_fast = true;
        run(fast);
        CHECK(result.status == WorkflowStatus::failed);
        CHECK(of("c").state == StepState::cancelled);
        CHECK(of("report").state == StepState::completed);
        CHECK(of("clean").state == StepState::completed);
        CHECK(result.error == "Step 'a': as scripted (and 1 more)");
    }
    SUBCASE("the failure of one of them fails the run, and stops no other")
    {
        replies["a"].status = replies["report"].status = ReportedStatus::failed;
        run(w);
        CHECK(of("clean").state == StepState::completed);
        CHECK(result.error == "Step 'a': as scripted (and 1 more)");
    }
}

TEST_CASE_FIXTURE(EndsFixture, "a gate that ends the workflow lets the last steps run")
{
    auto a = step("a");
    a.gate = gate("a.round == 2", {GateTarget::Kind::end, {}});
    auto clean = at_the_end("clean");
    clean.gate = gate("clean.round >= 2", {GateTarget::Kind::again, {}});
    run(workflow_of({a, step("b", {"a"}), on_failure("report"), clean}));
    CHECK(result.status == WorkflowStatus::completed);
    CHECK(ran() == Lines{"a", "clean", "clean"});
}

TEST_CASE_FIXTURE(EndsFixture, "after a cancellation nothing more runs")
{
    replies["a"].after = 30s;
    start(workflow_of({step("a"), on_failure("report"), at_the_end("clean")}));
    clock->at(5s, [this] { cancel.emit(asio::cancellation_type::partial); });
    clock->run(ctx);
    CHECK(result.status == WorkflowStatus::cancelled);
    CHECK(ran() == Lines{"a"});
    CHECK(of("clean").state == StepState::skipped);
}

TEST_CASE_FIXTURE(EndsFixture, "a workflow that takes too long is stopped, but for its last steps")
{
    auto w = workflow_of(
        {step("a"), step("b", {"a"}), step("c", {"b"}), on_failure("report"), at_the_end("clean")});
    w.timeout = 5s;
    replies["b"].after = 60s;
    replies["clean"].after = 60s;
    run(w);
    CHECK(result.status == WorkflowStatus::failed);
    CHECK(result.error == "The workflow was stopped after its time limit of 5.0s.");
    CHECK(of("b").state == StepState::cancelled);
    CHECK(of("c").reason == "The time limit of the workflow is over");
    CHECK(of("report").state == StepState::completed);
    CHECK(of("clean").state == StepState::completed);
    results = 0;
    story.clear();
    w.timeout = 65s;
    run(w);
    CHECK(result.status == WorkflowStatus::completed);
    CHECK(of("clean").state == StepState::completed);
}

TEST_CASE("a last step that runs again takes no other one with it")
{
    auto a = step("a");
    a.gate = gate("a.round == 2", {GateTarget::Kind::end, {}});
    const auto w = workflow_of({a, at_the_end("b"), at_the_end("c")});
    const auto plan = plan_of(w);
    workflow::Scheduler scheduler(w, plan, {1, false});
    workflow::Scheduler::Queries queries;
    queries.has_room = [](std::size_t) { return true; };
    REQUIRE(scheduler.next(queries));
    CHECK(scheduler.ended(0, StepState::completed, {}) == workflow::Scheduler::Judged::by_gate);
    CHECK(scheduler.judge(0, false).kind == workflow::Verdict::Kind::end);
    REQUIRE(scheduler.next(queries)->step == 1);
    (void)scheduler.ended(1, StepState::cancelled, {});
    (void)scheduler.restart({1});
    CHECK(scheduler.node(1).state == StepState::pending);
    CHECK(scheduler.node(2).state == StepState::pending);
}

TEST_CASE("the parts of a workflow are read, and wait for each other")
{
    const auto loaded = parse_workflow(
        "id: w\ntimeout: 90m\nsteps:\n  - {id: a, command: make}\n"
        "on_failure:\n  - {id: b, command: make}\n"
        "finally:\n  - {id: c, command: make}\n  - {id: d, command: make, depends_on: [c]}\n",
        "w.yaml");
    REQUIRE(loaded.workflow);
    CHECK(loaded.workflow->timeout == 90min);
    CHECK(loaded.workflow->steps[1].phase == StepPhase::on_failure);
    const auto plan = plan_of(*loaded.workflow);
    using Indexes = std::vector<std::size_t>;
    CHECK(plan.steps[1].waits_for == Indexes{0});
    CHECK(plan.steps[2].waits_for == Indexes{0, 1});
    CHECK(plan.steps[3].waits_for == Indexes{0, 1, 2});
    CHECK(errors_of("id: w\nsteps:\n  - {id: a, command: make, depends_on: [b]}\n"
                    "finally:\n  - {id: b, command: make}\n")
              .front() == "3:10: Step 'a': The step waits for 'b', which runs in a later phase");
    CHECK(errors_of("id: w\nsteps:\n  - {id: a, command: make}\nfinally:\n  - id: b\n"
                    "    command: make\n    gate: {condition: b.round == 2, on_fail: a}\n") ==
          Lines{"7:46: Step 'b': 'a' is in another part of the workflow"});
    CHECK(errors_of("id: w\ntimeout: 0\nsteps:\n  - {id: a, command: make}\n") ==
          Lines{"2:10: Field 'timeout' must be a positive number of seconds, or as '90s'"});
    CHECK(errors_of("id: w\nfinally: {}\nsteps:\n  - {id: a, command: make}\n").size() == 1);
}
