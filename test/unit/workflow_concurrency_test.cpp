#include "support/text.hpp"
#include "support/workflow_fixture.hpp"
#include "workflow/journal/run_group.hpp"
#include "workflow/run/step_commands.hpp"

#include <doctest/doctest.h>

#include <chrono>
#include <optional>
#include <string>
#include <utility>
#include <vector>

using namespace autoexec;
using namespace autoexec::test;
using namespace std::chrono_literals;
using autoexec::workflow::RunGroup;

namespace {

/// A run of another process has the group, until `other` is reset.
struct ConcurrencyFixture : WorkflowFixture {
    ConcurrencyFixture() { CHECK(hold("deploy")); }

    bool hold(const std::string& group)
    {
        error_code holding;
        other.emplace(project.path(), group, "other-run");
        return other->acquire(holding);
    }

    static Workflow in_group(std::string group, bool cancel_running = false)
    {
        auto w = workflow_of({step("a")});
        w.concurrency = {std::move(group), cancel_running};
        return w;
    }

    void note(const WorkflowEvent& event) override
    {
        run_id = event.run_id;
        if (event.type == WorkflowEvent::Type::run_waiting) {
            messages.push_back(event.message);
            std::string problem;
            const auto run = workflow::read_run(project.path(), event.run_id, problem);
            REQUIRE(run);
            CHECK(run->alive);
            CHECK(run->waits_for == RunWait{"deploy", known_holder});
        }
        if (event.type == WorkflowEvent::Type::run_ended) ++run_ends;
        if (event.type == WorkflowEvent::Type::step_started) step_started_at = clock->elapsed();
        WorkflowFixture::note(event);
    }

    void free_group_at(std::chrono::nanoseconds at)
    {
        clock->at(at, [this] { other.reset(); });
    }

    void resume(const Workflow& w, WorkflowResumeOptions what)
    {
        executor->async_resume(result.run_id, w, std::move(what), run_options,
                               [this](error_code e, WorkflowResult r) {
                                   ec = e;
                                   result = std::move(r);
                               });
        clock->run(ctx);
    }

    [[nodiscard]] std::optional<RunWait> recorded_wait() const { return journal().waits_for; }

    std::optional<RunGroup> other;
    std::string known_holder = "other-run";
    std::string run_id;
    std::vector<std::string> messages;
    int run_ends = 0;
    std::chrono::nanoseconds step_started_at{0};
};

}  // namespace

TEST_SUITE_BEGIN("workflow concurrency");

TEST_CASE_FIXTURE(ConcurrencyFixture, "a run waits until no other run of its group is active")
{
    auto w = in_group("deploy");
    w.timeout = 5s;  // from the end of the wait
    free_group_at(10s);
    run(std::move(w));
    CHECK(result.status == WorkflowStatus::completed);
    CHECK(step_started_at >= 10s);
    CHECK(result.duration == 1s);
    CHECK(messages == std::vector<std::string>{"Waits for other-run of group 'deploy'"});
    CHECK_FALSE(recorded_wait());
    CHECK(hold("deploy"));  // the run has freed it
}

TEST_CASE_FIXTURE(ConcurrencyFixture, "a run in another group, or in none, does not wait")
{
    auto w = in_group("deploy to {params.target}");
    w.params["target"] = "staging";
    CHECK(hold("deploy to prod"));
    run(w);
    CHECK(result.status == WorkflowStatus::completed);
    CHECK(messages.empty());
    run_options.params["target"] = "prod";
    std::string problems;
    const auto inputs = workflow::make_inputs(w, run_options, problems);
    CHECK(workflow::group_of(inputs, problems) == "deploy to prod");
    CHECK(problems.empty());
}

TEST_CASE_FIXTURE(ConcurrencyFixture, "a run can cancel the active one")
{
    clock->at(2s, [this] {
        CHECK(workflow::take_run_cancel(project.path(), "other-run"));
        other.reset();
    });
    run(in_group("deploy", true));
    CHECK(result.status == WorkflowStatus::completed);
    CHECK(messages ==
          std::vector<std::string>{"Cancels other-run of group 'deploy', and waits for its end"});
    CHECK_FALSE(workflow::take_run_cancel(project.path(), "other-run"));
}

TEST_CASE_FIXTURE(ConcurrencyFixture, "no request stays for a run that ended before it read it")
{
    free_group_at(2s);
    run(in_group("deploy", true));
    CHECK(result.status == WorkflowStatus::completed);
    CHECK_FALSE(workflow::take_run_cancel(project.path(), "other-run"));
}

TEST_CASE_FIXTURE(ConcurrencyFixture, "a run that waits can be cancelled, and resumed later")
{
    SUBCASE("by a request")
    {
        clock->at(5s, [this] { CHECK_FALSE(workflow::ask_to_cancel_run(project.path(), run_id)); });
    }
    SUBCASE("by its caller")
    {
        clock->at(5s, [this] { cancel.emit(asio::cancellation_type::partial); });
    }
    const auto w = in_group("deploy");
    run(w);
    CHECK_FALSE(ec);
    CHECK(result.status == WorkflowStatus::cancelled);
    CHECK(of("a").state == StepState::pending);
    CHECK(journal().status == WorkflowStatus::cancelled);
    CHECK_FALSE(recorded_wait());
    CHECK(commands.empty());

    // The resumption waits, too.
    const auto at = clock->elapsed();
    free_group_at(at + 10s);
    resume(w, {});
    CHECK_FALSE(ec);
    CHECK(result.status == WorkflowStatus::completed);
    CHECK(step_started_at >= at + 10s);
    CHECK(messages.size() == 2);
}

TEST_CASE_FIXTURE(ConcurrencyFixture,
                  "a resumption that is cancelled while it waits starts nothing")
{
    replies["a"].status = ReportedStatus::failed;
    other.reset();
    const auto w = in_group("deploy");
    run(w);
    REQUIRE(result.status == WorkflowStatus::failed);
    CHECK(hold("deploy"));
    clock->at(clock->elapsed() + 5s,
              [this] { CHECK_FALSE(workflow::ask_to_cancel_run(project.path(), run_id)); });
    WorkflowResumeOptions what;
    what.from_failed = true;
    resume(w, what);
    CHECK_FALSE(ec);
    CHECK(result.status == WorkflowStatus::cancelled);
    CHECK(commands.size() == 1);
    CHECK(journal().status == WorkflowStatus::cancelled);
    CHECK(journal().steps.at(0).state == StepState::failed);
}

TEST_CASE_FIXTURE(ConcurrencyFixture,
                  "a resumption that has nothing to do waits for no run, and cancels none")
{
    other.reset();
    const auto w = in_group("deploy", true);
    run(w);
    REQUIRE(result.status == WorkflowStatus::completed);
    CHECK(hold("deploy"));
    WorkflowResumeOptions what;
    std::string why = "there is nothing left to do";
    SUBCASE("because all is done") {}
    SUBCASE("because there is no such step")
    {
        what.from = {"b"};
        why = "There is no step 'b'";
    }
    resume(w, what);
    CHECK(ec == errc::invalid_workflow);
    CHECK(contains(result.error, why));
    CHECK(messages.empty());
    CHECK_FALSE(workflow::take_run_cancel(project.path(), "other-run"));
    std::string problem;
    CHECK(workflow::read_run(project.path(), run_id, problem)->status == WorkflowStatus::completed);
}

TEST_CASE_FIXTURE(ConcurrencyFixture,
                  "a run that had the group when it was killed is not cancelled")
{
    replies["a"].status = ReportedStatus::failed;
    other.reset();
    const auto w = in_group("deploy", true);
    run(w);
    REQUIRE(result.status == WorkflowStatus::failed);
    other.emplace(project.path(), "deploy", result.run_id);  // as its file still says
    error_code holding;
    CHECK(other->acquire(holding));
    known_holder.clear();
    free_group_at(clock->elapsed() + 10s);
    replies["a"].status = ReportedStatus::completed;
    WorkflowResumeOptions what;
    what.from_failed = true;
    resume(w, what);
    CHECK(result.status == WorkflowStatus::completed);
    CHECK(messages.size() == 1);
}

TEST_CASE_FIXTURE(ConcurrencyFixture, "a run does not wait for the run that has started it")
{
    options.parent_run = "other-run";
    run(in_group("deploy", true));
    CHECK(ec == errc::invalid_workflow);
    CHECK(contains(result.error, "A step of the run other-run has started this run"));
    CHECK(run_ends == 1);
    CHECK_FALSE(workflow::take_run_cancel(project.path(), "other-run"));
    std::string problem;
    CHECK(workflow::read_run(project.path(), run_id, problem)->status == WorkflowStatus::failed);
}

TEST_CASE_FIXTURE(ConcurrencyFixture, "nor for the parent run of the run that has started it")
{
    error_code failure;
    auto child = workflow::Journal::create(project.path(), "child", clock->system_now(),
                                           Durability::process, failure);
    REQUIRE(child);
    protocol::RunStarted start;
    start.run_id = child->run_id();
    start.parent_run = "other-run";
    CHECK_FALSE(child->append(start, clock->system_now()));
    options.parent_run = child->run_id();
    run(in_group("deploy"));
    CHECK(ec == errc::invalid_workflow);
    CHECK(contains(result.error, "A step of the run other-run has started this run"));
}

TEST_CASE_FIXTURE(ConcurrencyFixture, "a group needs a name that is known before the run starts")
{
    const auto problems_with = [this](std::string group, const std::string& target) {
        auto w = in_group(std::move(group));
        w.params["target"] = "staging";
        run_options.params["target"] = target;
        std::string problems;
        (void)workflow::make_inputs(w, run_options, problems);
        return problems;
    };
    CHECK(problems_with("deploy to {params.target}", "prod").empty());
    CHECK(contains(problems_with("{params.target}", " "), "'{params.target}' is empty"));
    CHECK(
        contains(problems_with("{params.target}", std::string(257, 'x')), "longer than 256 bytes"));
    CHECK(contains(problems_with("{params.prompt}", "x"),
                   "uses the parameter 'prompt', which was not given"));
    CHECK(
        problems_of(in_group("{steps.a.output}")) ==
        std::vector<std::string>{
            "- concurrency.group[0]: The name of a group can only have the values of parameters"});
}

TEST_SUITE_END();
