#include "support/executor_fixture.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>

#include <doctest/doctest.h>

#include <string>

// Which status ends an attempt: only one that names it, once its claim is released.

using namespace autoexec;
using namespace autoexec::test;
using namespace std::chrono_literals;

namespace {

constexpr char legacy_end[] = R"({"status": "completed"})";
constexpr char structured_end[] = R"({"version": "1.0", "status": "completed"})";

struct ClaimsFixture : ExecutorFixture {
    void take_at(std::chrono::nanoseconds t)
    {
        clock->at(t, [this] {
            tree.take();
            tree.write(tree.status(ReportedStatus::running));
        });
    }
    void release() { tree.claims[tree.attempt_id()] = ClaimState::free; }
    void vanish() { tree.claims.erase(tree.attempt_id()); }

    [[nodiscard]] std::size_t rejections(std::string_view code) const
    {
        std::size_t count = 0;
        for (const auto& event : sink->events)
            if (event.type == EventType::status_rejected)
                count += event.details.at("code").as_string() == code ? 1 : 0;
        return count;
    }
};

}  // namespace

TEST_SUITE_BEGIN("executor");

TEST_CASE_FIXTURE(ClaimsFixture, "with an agent in the process, a status must name the attempt")
{
    options.agent_in_process = true;
    options.timeout = 32s;
    std::string text = legacy_end;
    SUBCASE("legacy") {}
    SUBCASE("structured")
    {
        text = structured_end;
    }
    SUBCASE("an empty id")
    {
        text = R"({"version": "1.0", "status": "completed", "attempt_id": ""})";
    }
    SUBCASE("progress")
    {
        text = R"({"version": "1.0", "status": "running", "progress": {"percentage": 99}})";
    }
    SUBCASE("before the agent has claimed it")
    {
        clock->at(2s, [&] { tree.write_text(legacy_end); });
    }
    take_at(12s);
    clock->at(17s, [&] { tree.write_text(text); });
    clock->at(22s, [&] { tree.other_status = tree.file(text); });
    clock->at(33s, [&] { release(); });
    execute();
    CHECK(result.status == ExecutionStatus::timeout);
    CHECK_FALSE(result.last_progress);
    CHECK(result.reported == ReportedStatus::running);
    CHECK(rejections("no_attempt_id") > 0);
}

TEST_CASE_FIXTURE(ClaimsFixture, "a status without an id counts until a claim was seen")
{
    options.timeout = 32s;
    clock->at(2s, [&] {
        tree.write_text(
            R"({"version": "1.0", "status": "running", "progress": {"percentage": 7}})");
    });
    clock->at(7s, [&] { tree.take(); });
    clock->at(12s, [&] { tree.write_text(legacy_end); });
    SUBCASE("and not after it was dropped")
    {
        clock->at(11s, [&] { vanish(); });
    }
    SUBCASE("and not while it is held")
    {
        clock->at(33s, [&] { release(); });
    }
    execute();
    CHECK(result.status == ExecutionStatus::timeout);
    REQUIRE(result.last_progress);
    CHECK(result.last_progress->percentage == 7);
    CHECK(rejections("no_attempt_id") > 0);
}

TEST_CASE_FIXTURE(ClaimsFixture, "a status without an id counts until one with the id was seen")
{
    clock->at(2s, [&] { tree.write(tree.status(ReportedStatus::running)); });
    clock->at(7s, [&] { tree.write_text(legacy_end); });
    clock->at(17s, [&] { tree.fail("the real end"); });
    execute();
    CHECK(result.status == ExecutionStatus::failed);
    CHECK(result.error->message == "the real end");
    CHECK(result.duration == 20s);
    CHECK(rejections("no_attempt_id") == 1);
}

TEST_CASE_FIXTURE(ClaimsFixture, "a final status counts once its claim is released")
{
    SUBCASE("with an agent in the process")
    {
        options.agent_in_process = true;
    }
    SUBCASE("with an external agent") {}
    take_at(2s);
    clock->at(7s, [&] { tree.write(tree.status(ReportedStatus::completed)); });
    clock->at(101s, [&] { release(); });
    execute();
    CHECK(result.status == ExecutionStatus::completed);
    CHECK(result.completion_method == CompletionMethod::status_file);
    CHECK(result.duration >= 101s);
    CHECK(result.duration <= 101s + 250ms);
    CHECK(sink->count(EventType::status_updated) == 1);
    CHECK_FALSE(result.unreleased_status);
}

TEST_CASE_FIXTURE(ClaimsFixture, "the holder of the claim has the last word")
{
    take_at(2s);
    clock->at(7s, [&] { tree.write(tree.status(ReportedStatus::completed)); });
    clock->at(50s, [&] { tree.fail("the real end"); });
    execute();
    CHECK(result.status == ExecutionStatus::failed);
    CHECK(result.error->message == "the real end");
}

TEST_CASE_FIXTURE(ClaimsFixture, "an end whose claim is never released is a time-out that names it")
{
    options.timeout = 62s;
    take_at(2s);
    clock->at(7s, [&] { tree.write(tree.status(ReportedStatus::completed)); });
    execute();
    CHECK(result.status == ExecutionStatus::timeout);
    CHECK(result.duration == 62s + 10s + 5s);
    CHECK(result.error->code == "timeout");
    CHECK(result.error->message.find("has not released its claim") != std::string::npos);
    CHECK(result.unreleased_status == ReportedStatus::completed);
    CHECK(result.warnings.size() == 1);
    CHECK(tree.calls.back() == "clean, keep cancel");
    REQUIRE(tree.cancel);
    CHECK(tree.cancel->reason == "timeout");
}

TEST_CASE_FIXTURE(ClaimsFixture,
                  "an end from before the deadline counts if released during the stop")
{
    options.timeout = 62s;
    take_at(2s);
    clock->at(61s, [&] {
        tree.fail("boom", "E1");
        tree.take();
    });
    clock->at(70s, [&] { release(); });
    execute();
    CHECK(result.status == ExecutionStatus::failed);
    CHECK(result.error->code == "E1");
    CHECK(result.completion_method == CompletionMethod::status_file);
    CHECK_FALSE(result.status_during_stop);
    CHECK(result.warnings.empty());
    CHECK(tree.calls.back() == "clean");
}

TEST_CASE_FIXTURE(ClaimsFixture, "an end that is written again during the stop comes too late")
{
    options.timeout = 62s;
    take_at(2s);
    clock->at(7s, [&] { tree.write(tree.status(ReportedStatus::completed)); });
    clock->at(64s, [&] { tree.fail("stopped", "timeout"); });
    execute();
    CHECK(result.status == ExecutionStatus::timeout);
    CHECK(result.status_during_stop == ReportedStatus::failed);
    CHECK_FALSE(result.unreleased_status);
    CHECK(tree.calls.back() == "clean");
}

TEST_CASE_FIXTURE(ClaimsFixture, "a pending end does not outlast a cancellation")
{
    take_at(2s);
    clock->at(7s, [&] { tree.write(tree.status(ReportedStatus::completed)); });
    clock->at(12s, [&] { cancel.emit(asio::cancellation_type::partial); });
    clock->at(13s, [&] { release(); });
    execute();
    CHECK(result.status == ExecutionStatus::cancelled);
    CHECK(result.status_during_stop == ReportedStatus::completed);
}

TEST_CASE_FIXTURE(ClaimsFixture,
                  "a claim that vanished after its agent has reported is a dead agent's")
{
    take_at(2s);
    clock->at(12s, [&] { vanish(); });
    // What appears in its place is somebody else's.
    clock->at(16s, [&] { tree.take(); });
    execute();
    CHECK(result.status == ExecutionStatus::failed);
    CHECK(result.error->code == "agent_lost");
    CHECK(result.duration == 15s);
}

TEST_CASE_FIXTURE(ClaimsFixture, "a claim that was dropped unused is no claim")
{
    options.start_timeout = 60s;
    clock->at(2s, [&] { tree.take(); });
    clock->at(12s, [&] { vanish(); });
    execute();
    CHECK(result.error->code == "not_started");
}

TEST_CASE_FIXTURE(ClaimsFixture, "a final status of an agent that never claimed counts at once")
{
    clock->at(2s, [&] { tree.write(tree.status(ReportedStatus::completed)); });
    execute();
    CHECK(result.status == ExecutionStatus::completed);
    CHECK(result.duration == 5s);
}

TEST_CASE_FIXTURE(ClaimsFixture, "a final status from another host counts at once")
{
    clock->at(2s, [&] {
        tree.claims[tree.attempt_id()] = ClaimState::remote;
        tree.write(tree.status(ReportedStatus::completed));
    });
    execute();
    CHECK(result.status == ExecutionStatus::completed);
    CHECK(result.duration == 5s);
}

TEST_CASE_FIXTURE(ClaimsFixture, "with an agent in the process, only a claimed attempt ends")
{
    options.agent_in_process = true;
    options.timeout = 32s;
    SUBCASE("by its status")
    {
        clock->at(2s, [&] { tree.write(tree.status(ReportedStatus::completed)); });
    }
    SUBCASE("by its artifacts")
    {
        clock->at(2s, [&] { tree.create("report.md"); });
    }
    auto r = request();
    r.expected_artifacts = {"report.md"};
    execute(std::move(r));
    CHECK(result.status == ExecutionStatus::timeout);
}

TEST_CASE_FIXTURE(ClaimsFixture, "an adopted attempt goes by the same rules")
{
    options.agent_in_process = true;
    options.timeout = 62s;
    const AttemptReference attempt("e", "a", 1);
    auto status = AgentStatus{};
    status.structured = true;
    status.status = ReportedStatus::completed;
    status.attempt_id = "a";
    ExecutionStatus expected = ExecutionStatus::completed;
    SUBCASE("a status that does not name it")
    {
        tree.claims["a"] = ClaimState::live;
        tree.write_text(legacy_end);
        clock->at(63s, [&] { tree.claims["a"] = ClaimState::free; });
        expected = ExecutionStatus::timeout;
    }
    SUBCASE("a final status whose claim is held")
    {
        tree.claims["a"] = ClaimState::live;
        tree.write(status);
        clock->at(31s, [&] { tree.claims["a"] = ClaimState::free; });
    }
    SUBCASE("an agent of another process that does not claim")
    {
        tree.write(status);
    }
    const auto main = [&]() -> asio::awaitable<void> {
        result = co_await make().adopt(attempt, request());
    };
    asio::co_spawn(ctx, main(), [](std::exception_ptr e) {
        if (e) std::rethrow_exception(e);
    });
    clock->run(ctx);
    CHECK(result.status == expected);
    if (expected == ExecutionStatus::timeout) CHECK(rejections("no_attempt_id") > 0);
}

TEST_CASE_FIXTURE(ClaimsFixture, "an agent in the process ends a wait by one notification")
{
    options.agent_in_process = true;
    options.notifier = local_notifier();
    options.polling_interval = 1h;
    options.timeout = 2h;
    const auto notify = [&] { options.notifier->notify("/tree"); };
    clock->at(2s, [&] {
        tree.take();
        tree.write(tree.status(ReportedStatus::running));
        notify();
    });
    clock->at(7s, [&] {
        tree.complete();
        notify();
    });
    execute();
    CHECK(result.status == ExecutionStatus::completed);
    CHECK(result.duration == 7s);
}

TEST_SUITE_END();
