#include "support/executor_fixture.hpp"

#include <doctest/doctest.h>

using namespace autoexec;
using namespace autoexec::test;
using namespace std::chrono_literals;

namespace {

std::chrono::nanoseconds time_of(const RecordingSink& sink, EventType type)
{
    for (const auto& event : sink.events)
        if (event.type == type) return event.time - VirtualClock::epoch;
    return -1s;
}

}  // namespace

TEST_CASE_FIXTURE(ExecutorFixture, "an unclaimed command is reported after 10 s, once")
{
    options.timeout = 62s;
    execute();
    CHECK(result.status == ExecutionStatus::timeout);
    CHECK(sink->count(EventType::command_unclaimed) == 1);
    CHECK(time_of(*sink, EventType::command_unclaimed) == 10s);
}

TEST_CASE_FIXTURE(ExecutorFixture, "each attempt that no agent claims is reported")
{
    options.start_timeout = 15s;
    options.retry.max_attempts = 3;
    execute();
    CHECK(tree.published.size() == 3);
    CHECK(sink->count(EventType::command_unclaimed) == 3);
}

TEST_CASE_FIXTURE(ExecutorFixture, "a command that an agent has is not reported as unclaimed")
{
    SUBCASE("by its claim")
    {
        clock->at(9s, [&] { tree.take(); });
    }
    SUBCASE("by its status")
    {
        clock->at(9s, [&] { tree.write_text(R"({"status": "running"})"); });
    }
    clock->at(33s, [&] { tree.complete(); });
    execute();
    CHECK(result.status == ExecutionStatus::completed);
    CHECK(sink->count(EventType::command_unclaimed) == 0);
}

TEST_CASE_FIXTURE(ExecutorFixture, "that a command is unclaimed is not recorded")
{
    options.enable_audit = true;
    options.timeout = 62s;
    execute();
    const auto log = read_file(project / ".tapps-agents/audit/execution_audit.log");
    CHECK(log.find("execution_failed") != std::string::npos);
    CHECK(log.find("command_unclaimed") == std::string::npos);
}
