#include "protocol/layout.hpp"
#include "records/running.hpp"
#include "support/executor_fixture.hpp"
#include "support/sweep.hpp"

#include <doctest/doctest.h>

#include <chrono>
#include <functional>
#include <memory>
#include <random>
#include <string>
#include <utility>

using namespace autoexec;
using namespace autoexec::test;
using namespace std::chrono_literals;

namespace {

struct EventsFixture : ExecutorFixture {
    EventsFixture()
    {
        options.notifier = notifier;
        tree.on_publish = [this] {
            tree.take();
        };  // else a look at 10 s asks whether it is claimed
    }
    std::shared_ptr<CoveringNotifier> notifier = std::make_shared<CoveringNotifier>();

    void complete_at(std::chrono::seconds at, bool notified)
    {
        clock->at(at, [this, notified] {
            tree.complete();
            if (notified) notifier->notify("/tree");
        });
    }
};

}  // namespace

TEST_SUITE_BEGIN("executor_events");

TEST_CASE_FIXTURE(EventsFixture, "while all changes are notified, polling is only a safety net")
{
    SUBCASE("a notice is seen at once")
    {
        complete_at(2s, true);
        execute();
        CHECK(result.duration == 2s);
    }
    SUBCASE("without one, the maximum interval of polling applies")
    {
        complete_at(2s, false);
        execute();
        CHECK(result.duration == 30s);
    }
    SUBCASE("file events are off")
    {
        options.file_events = FileEvents::off;
        complete_at(2s, false);
        execute();
        CHECK(result.duration == 5s);
    }
    SUBCASE("its artifacts can end it, and are not watched")
    {
        auto r = request();
        r.expected_artifacts = {"report"};
        complete_at(2s, false);
        execute(std::move(r));
        CHECK(result.duration == 5s);
    }
    CHECK(result.status == ExecutionStatus::completed);
}

TEST_CASE_FIXTURE(EventsFixture, "what the own process changes is enough for its own agent")
{
    notifier->covers = Coverage::own_process;
    SUBCASE("it claims every command")
    {
        options.agent_in_process = true;
        complete_at(2s, false);
        execute();
        CHECK(result.duration == 30s);
    }
    SUBCASE("until then a program may have replaced the command")
    {
        options.agent_in_process = true;
        tree.on_publish = nullptr;
        clock->at(2s, [this] { tree.command_replaced = true; });
        clock->at(6s, [this] { tree.take(); });
        complete_at(7s, true);
        execute();
        CHECK(tree.published_again == 1);
    }
    SUBCASE("not for the agents of others")
    {
        complete_at(2s, false);
        execute();
        CHECK(result.duration == 5s);
    }
}

TEST_CASE_FIXTURE(EventsFixture, "polling returns when a notifier says that it covers no longer")
{
    clock->at(7s, [this] {
        notifier->covers = Coverage::own_process;
        notifier->notify("/tree");
    });
    complete_at(33s, false);
    execute();
    CHECK(result.duration == 37s);  // every 5 s since then
}

TEST_CASE_FIXTURE(EventsFixture, "polling instead of events is recorded once, and is a warning")
{
    notifier->covers = Coverage::own_process;
    notifier->why = "no watches are left";
    bool reported = true;
    SUBCASE("from the start") {}
    SUBCASE("it returns and ends again")
    {
        clock->at(7s, [this] { notifier->covers = Coverage::all; });
        clock->at(17s, [this] {
            notifier->covers = Coverage::own_process;
            notifier->notify("/tree");
        });
    }
    SUBCASE("events are off")
    {
        options.file_events = FileEvents::off;
        reported = false;
    }
    SUBCASE("they are not meant to come")
    {
        notifier->why.clear();
        reported = false;
    }
    complete_at(33s, true);
    execute();
    CHECK(result.status == ExecutionStatus::completed);
    CHECK(sink->count(EventType::polling_only) == (reported ? 1 : 0));
    CHECK(result.warnings.size() == (reported ? 1 : 0));
    for (const auto& event : sink->events)
        if (event.type == EventType::polling_only)
            CHECK(event.details.at("reason") == "no watches are left");
}

TEST_CASE_FIXTURE(EventsFixture, "the reason for polling is redacted")
{
    notifier->covers = Coverage::own_process;
    notifier->why = "password=hunter2hunter2";
    complete_at(2s, true);
    execute();
    REQUIRE(result.warnings.size() == 1);
    CHECK(result.warnings.front().find("hunter2") == std::string::npos);
}

TEST_CASE_FIXTURE(EventsFixture, "an event shows the request of another process")
{
    tree.on_publish = nullptr;  // without an agent, the end is that of the request
    std::chrono::milliseconds end = 10s;
    SUBCASE("its folder is new")
    {
        clock->at(7100ms, [this] {
            CHECK_FALSE(records::request_cancel(project.path(), tree.attempt_id()));
            notifier->notify(project / layout::running);
        });
        end = 7100ms;
    }
    SUBCASE("its folder is not new")
    {
        clock->at(6s, [this] {
            // Left there, since no attempt of this executor has the id.
            CHECK_FALSE(records::request_cancel(project.path(), "other"));
            notifier->notify(project / layout::running);
        });
        clock->at(7100ms, [this] {
            CHECK_FALSE(records::request_cancel(project.path(), tree.attempt_id()));
            CHECK(records::consume_cancel_request(project.path(), "other"));
            notifier->notify(project / layout::running / "cancel");
        });
        end = 7100ms;
    }
    SUBCASE("a lost event delays it up to the safety poll")
    {
        clock->at(7100ms, [this] {
            CHECK_FALSE(records::request_cancel(project.path(), tree.attempt_id()));
        });
    }
    execute();
    CHECK(result.status == ExecutionStatus::cancelled);
    CHECK(result.duration == end);
}

TEST_CASE_FIXTURE(EventsFixture, "a flood of requests is looked at seldom")
{
    tree.on_publish = nullptr;
    for (int n = 0; n < 10'000; ++n)
        clock->at(1s + n * 100us, [this] { notifier->notify(project / layout::running); });
    clock->at(1500ms,
              [this] { CHECK_FALSE(records::request_cancel(project.path(), tree.attempt_id())); });
    execute();
    CHECK(result.status == ExecutionStatus::cancelled);
    CHECK(result.duration == 2s);  // when the looks of that second were used up
}

TEST_CASE_FIXTURE(EventsFixture,
                  "a program that changes its files without a pause is looked at seldom")
{
    for (int n = 0; n < 10'000; ++n)
        clock->at(1s + n * 100us, [this, n] {
            tree.write(tree.status(n % 2 != 0 ? ReportedStatus::pending : ReportedStatus::running));
            notifier->notify("/tree");
        });
    complete_at(3s, true);
    execute();
    CHECK(result.status == ExecutionStatus::completed);
    CHECK(result.duration == 3s);
    CHECK(sink->count(EventType::status_updated) == 100);
    CHECK(sink->count(EventType::progress_updated) <= 101);
}

TEST_CASE_FIXTURE(EventsFixture, "a cancellation is not held up by a flood of notices")
{
    for (int n = 0; n < 1000; ++n) clock->at(1s + n * 100us, [this] { notifier->notify("/tree"); });
    const auto begin = clock->now();
    clock->at(1s + 90ms, [this] { cancel.emit(asio::cancellation_type::terminal); });
    execute();
    CHECK(result.status == ExecutionStatus::cancelled);
    CHECK(clock->now() < begin + 2s);
}

TEST_CASE("lost, late, repeated and invented notices change nothing but the delay" *
          doctest::test_suite("sweep"))
{
    const auto seed = sweep_seed();
    for (unsigned round = 0; round < sweep_rounds(100, 5000); ++round) {
        CAPTURE(seed + round);
        std::mt19937 random(seed + round);
        const auto pick = [&](int most) { return std::uniform_int_distribution(0, most)(random); };
        EventsFixture f;
        const std::chrono::seconds end{1 + pick(100)};
        const bool fails = pick(1) != 0;
        for (int n = pick(20); n > 0; --n)
            f.clock->at(std::chrono::seconds{pick(100)}, [&] { f.notifier->notify("/tree"); });
        for (int n = pick(3); n > 0; --n)
            f.clock->at(std::chrono::seconds{pick(100)}, [&] {
                f.notifier->covers =
                    f.notifier->covers == Coverage::all ? Coverage::own_process : Coverage::all;
            });
        f.clock->at(end, [&] {
            if (fails)
                f.tree.fail("broken");
            else
                f.tree.complete();
        });
        f.execute();
        CHECK(f.result.status == (fails ? ExecutionStatus::failed : ExecutionStatus::completed));
        CHECK(f.result.duration >= end);
        CHECK(f.result.duration <= end + 30s);
    }
}

TEST_SUITE_END();
