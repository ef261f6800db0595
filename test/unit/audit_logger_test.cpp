#include "autoexec/audit_logger.hpp"

#include "protocol/record_lines.hpp"
#include "support/temporary_folder.hpp"
#include "support/virtual_clock.hpp"

#include <doctest/doctest.h>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/json/serialize.hpp>

#include <optional>
#include <string>

using namespace autoexec;
using namespace std::chrono_literals;

namespace {

constexpr auto log_path = ".tapps-agents/audit/execution_audit.log";

/// The JSON of a line without what the chain adds.
std::string json_without_link(const std::string& line)
{
    const auto begin = line.find('{');
    return line.substr(begin, line.find(", \"seq\": ") - begin) + "}";
}

struct AuditFixture {
    test::TemporaryFolder project;
    std::shared_ptr<test::VirtualClock> clock = std::make_shared<test::VirtualClock>();
    AuditOptions options;
    boost::asio::io_context ctx;
    std::optional<AuditLogger> logger;

    AuditLogger& make()
    {
        options.project_root = project.path();
        options.clock = clock;
        return logger.emplace(ctx.get_executor(), options);
    }

    error_code run(boost::asio::awaitable<error_code> operation)
    {
        std::optional<error_code> result;
        boost::asio::co_spawn(ctx, std::move(operation),
                              [&](std::exception_ptr failure, error_code ec) {
                                  CHECK_FALSE(failure);
                                  result = ec;
                              });
        clock->run(ctx);
        return result.value();
    }

    void log(const std::string& type, const std::string& workflow_id = "w")
    {
        AuditRecord record(type);
        record.workflow_id = workflow_id;
        logger->log_event(std::move(record));
    }

    std::vector<std::string> query_types(const AuditFilter& filter = {})
    {
        std::vector<std::string> types;
        for (const auto& event : logger->query_events(filter))
            types.emplace_back(event.at("event_type").as_string());
        return types;
    }
};

using Words = std::vector<std::string>;

}  // namespace

TEST_SUITE_BEGIN("audit_logger");

TEST_CASE_FIXTURE(AuditFixture, "the guide's four events have the original's keys, in its order")
{
    make();
    logger->log_command_detected("w", "s", "build", "/tree/.cursor-skill-command.txt");
    logger->log_execution_started("w", "s", "build");
    logger->log_execution_completed("w", "s", "build", 1500ms);
    logger->log_execution_failed("w", "", "build", "", std::chrono::microseconds{2500});
    CHECK_FALSE(run(logger->flush()));

    const auto lines = project.lines(log_path);
    REQUIRE(lines.size() == 4);
    const std::string head = R"({"timestamp": "2026-01-20T00:00:00+00:00", "event_type": )";
    const auto json = [&](std::size_t i) { return json_without_link(lines[i]); };
    CHECK(json(0) == head + R"("command_detected", "workflow_id": "w", "step_id": "s", )"
                            R"("command": "build", "status": null, )"
                            R"("details": {"command_file": "/tree/.cursor-skill-command.txt"}})");
    CHECK(json(1) == head + R"("execution_started", "workflow_id": "w", "step_id": "s", )"
                            R"("command": "build", "status": "started", "details": {}})");
    CHECK(json(2) == head + R"("execution_completed", "workflow_id": "w", "step_id": "s", )"
                            R"("command": "build", "status": "completed", )"
                            R"("details": {"duration_ms": 1500.0}})");
    CHECK(json(3) == head + R"("execution_failed", "workflow_id": "w", "step_id": null, )"
                            R"("command": "build", "status": "failed", )"
                            R"("details": {"error": "Execution failed", "duration_ms": 2.5}})");
}

TEST_CASE_FIXTURE(AuditFixture, "an event becomes a line with our keys after the details")
{
    make();
    Event event;
    event.type = EventType::execution_retry;
    event.time = test::VirtualClock::epoch + 90s;
    event.execution_id = "e";
    event.attempt_id = "a";
    event.attempt = 2;
    event.step_id = "s";
    event.command = "build";
    event.worktree = "/tree";
    event.details["reason"] = "timeout";
    logger->publish(event);
    CHECK_FALSE(run(logger->flush()));

    const auto lines = project.lines(log_path);
    REQUIRE(lines.size() == 1);
    CHECK(json_without_link(lines[0]) ==
          R"({"timestamp": "2026-01-20T00:01:30+00:00", "event_type": "execution_retry", )"
          R"("workflow_id": null, "step_id": "s", "command": "build", "status": null, )"
          R"("details": {"reason": "timeout"}, "execution_id": "e", "attempt_id": "a", )"
          R"("attempt": 2, "worktree": "/tree"})");
}

TEST_CASE_FIXTURE(AuditFixture, "a subclass sees every event once")
{
    struct Counting : AuditLogger {
        using AuditLogger::AuditLogger;
        void log_event(AuditRecord record) override
        {
            seen.push_back(record.event_type);
            AuditLogger::log_event(std::move(record));
        }
        Words seen;
    };
    options.project_root = project.path();
    Counting counting(ctx.get_executor(), options);
    counting.log_execution_started("w", "s", "build");
    counting.publish(Event{});
    CHECK(counting.seen == Words{"execution_started", "status_updated"});
}

TEST_CASE_FIXTURE(AuditFixture, "queries give the newest first, the backups included")
{
    options.max_bytes = 800;  // two lines
    make();
    for (int i = 0; i < 12; ++i) log("event_" + std::to_string(i));
    CHECK_FALSE(run(logger->flush()));
    REQUIRE(std::filesystem::exists(project.path() / (std::string(log_path) + ".5")));

    const auto types = query_types();
    REQUIRE(types.size() == 12);
    for (int i = 0; i < 12; ++i)
        CHECK(types[static_cast<std::size_t>(i)] == "event_" + std::to_string(11 - i));

    AuditFilter newest_two;
    newest_two.limit = 2;
    CHECK(query_types(newest_two) == Words{"event_11", "event_10"});
}

TEST_CASE_FIXTURE(AuditFixture, "a limit of zero is none")
{
    make();
    for (int i = 0; i < 150; ++i) log("event");
    CHECK_FALSE(run(logger->flush()));
    AuditFilter all;
    all.limit = 0;
    CHECK(query_types().size() == 100);
    CHECK(query_types(all).size() == 150);
}

TEST_CASE_FIXTURE(AuditFixture, "filters are exact")
{
    make();
    log("first", "w");
    log("second", "w-2");
    log("third", "wörk\"flow");
    Event event;
    event.execution_id = "e-1";
    event.step_id = "w";
    logger->publish(event);
    CHECK_FALSE(run(logger->flush()));

    AuditFilter filter;
    SUBCASE("a workflow, not what begins like it, nor another key with its value")
    {
        filter.workflow_id = "w";
        CHECK(query_types(filter) == Words{"first"});
    }
    SUBCASE("characters that JSON escapes")
    {
        filter.workflow_id = "wörk\"flow";
        CHECK(query_types(filter) == Words{"third"});
    }
    SUBCASE("an event type")
    {
        filter.event_type = "second";
        CHECK(query_types(filter) == Words{"second"});
    }
    SUBCASE("an execution")
    {
        filter.execution_id = "e-1";
        CHECK(query_types(filter) == Words{"status_updated"});
    }
    SUBCASE("all that is given must match")
    {
        filter.workflow_id = "w";
        filter.event_type = "second";
        CHECK(query_types(filter).empty());
    }
    SUBCASE("an empty one matches everything")
    {
        filter.workflow_id = "";
        CHECK(query_types(filter).size() == 4);
    }
}

TEST_CASE_FIXTURE(AuditFixture, "lines that are no event are skipped")
{
    make();
    log("first");
    CHECK_FALSE(run(logger->flush()));
    auto text = project.read(log_path);
    project.write(log_path, text +
                                "garbage\n | INFO | {\n2026 | INFO | [1]\n\xff\xfe | INFO | {}\n" +
                                text.substr(0, text.size() / 2));
    log("second");
    CHECK_FALSE(run(logger->flush()));
    CHECK(query_types() == Words{"second", "first"});
}

TEST_CASE_FIXTURE(AuditFixture, "a line of the original's writer is read")
{
    make();
    project.write(log_path,
                  "2026-01-20 10:00:00 | INFO | {\"timestamp\": \"2026-01-20T10:00:00\", "
                  "\"event_type\": \"execution_started\", \"workflow_id\": \"w | x\", "
                  "\"step_id\": null, \"command\": \"a | b\", \"status\": \"started\", "
                  "\"details\": {}}\n");
    AuditFilter filter;
    filter.workflow_id = "w | x";
    CHECK(query_types(filter) == Words{"execution_started"});
}

TEST_CASE_FIXTURE(AuditFixture, "pages list each event once, across rotations")
{
    options.max_bytes = 800;
    options.max_backups = 0;
    make();
    for (int i = 0; i < 20; ++i) log("event_" + std::to_string(i));
    CHECK_FALSE(run(logger->flush()));
    Words types;
    AuditFilter filter;
    filter.limit = 3;
    do {
        const auto page = logger->query(filter);
        CHECK_FALSE(page.cursor_is_lost);
        for (const auto& event : page.events)
            types.emplace_back(event.at("event_type").as_string());
        filter.cursor = page.next;
        log("later");
        CHECK_FALSE(run(logger->flush()));
    } while (!filter.cursor.empty());
    REQUIRE(types.size() == 20);
    for (std::size_t i = 0; i < types.size(); ++i)
        CHECK(types[i] == "event_" + std::to_string(19 - i));
    for (const auto* const cursor : {"1:5", "x", ":", "1:", ":5", "1:5x"}) {
        filter.cursor = cursor;
        CHECK(query_types(filter).empty());
        CHECK(logger->query(filter).cursor_is_lost);
    }
}

TEST_CASE_FIXTURE(AuditFixture, "events are filtered by time, attempt, worktree and text")
{
    make();
    Event event;
    event.time = test::VirtualClock::epoch + 60s;
    event.attempt_id = "a-1";
    event.execution_id = "e-1";
    event.worktree = "/tree";
    event.command = "build it";
    logger->publish(event);
    event.time += 60s;
    event.attempt_id = "a-2";
    event.worktree = "/tree/2";
    event.command = "test \"caf\u00e9\"";
    event.type = EventType::execution_retry;
    logger->publish(event);
    CHECK_FALSE(run(logger->flush()));
    const auto found = [&](auto set) {
        AuditFilter filter;
        set(filter);
        return query_types(filter);
    };
    const Words first{"status_updated"};
    const Words second{"execution_retry"};
    CHECK(found([](auto& f) { f.attempt_id = "a-1"; }) == first);
    CHECK(found([](auto& f) { f.worktree = "/tree"; }) == first);
    CHECK(found([](auto& f) { f.text = "build"; }) == first);
    CHECK(found([](auto& f) { f.text = "\"caf\u00e9\""; }) == second);
    CHECK(found([](auto& f) { f.text = R"("test \"caf\u00e9\"")"; }) == second);
    CHECK(found([](auto& f) { f.since = test::VirtualClock::epoch + 61s; }) == second);
    CHECK(found([](auto& f) { f.until = test::VirtualClock::epoch + 120s; }) == first);
}

TEST_CASE_FIXTURE(AuditFixture, "a query without a log is empty, and makes nothing")
{
    make();
    CHECK(query_types().empty());
    CHECK_FALSE(std::filesystem::exists(project.path() / ".tapps-agents"));
}

TEST_CASE_FIXTURE(AuditFixture, "a folder that is a link out of the project is not followed")
{
    const test::TemporaryFolder outside;
    SUBCASE("the last folder")
    {
        std::filesystem::create_directory(project.path() / ".tapps-agents");
        std::filesystem::create_directory_symlink(outside.path(),
                                                  project.path() / ".tapps-agents/audit");
    }
    SUBCASE("the one above")
    {
        std::filesystem::create_directory_symlink(outside.path(), project.path() / ".tapps-agents");
    }
    make();
    log("event");
    CHECK(run(logger->stop()) == errc::unsafe_path);
    CHECK(logger->lost_lines() == 1);
    CHECK(std::filesystem::is_empty(outside.path()));
}

TEST_CASE_FIXTURE(AuditFixture, "folders are for their owner only")
{
    make();
    log("event");
    CHECK_FALSE(run(logger->flush()));
    using std::filesystem::perms;
    for (const auto* folder : {".tapps-agents", ".tapps-agents/audit"})
        CHECK(std::filesystem::status(project.path() / folder).permissions() == perms::owner_all);
}

TEST_CASE_FIXTURE(AuditFixture, "what is logged after a stop is refused and counted")
{
    make();
    log("first");
    CHECK_FALSE(run(logger->stop()));
    log("second");
    logger->publish(Event{});
    CHECK(logger->lost_lines() == 2);
    CHECK_FALSE(run(logger->stop()));
    CHECK(query_types() == Words{"first"});
}

TEST_CASE_FIXTURE(AuditFixture, "the destructor writes what is left")
{
    make();
    log("first");
    logger.reset();
    CHECK(project.lines(log_path).size() == 1);
}

TEST_CASE_FIXTURE(AuditFixture, "options out of their range are refused by name")
{
    SUBCASE("max_bytes")
    {
        options.max_bytes = 0;
        CHECK_THROWS_WITH(make(), doctest::Contains("max_bytes"));
    }
    SUBCASE("backups")
    {
        options.max_backups = -1;
        CHECK_THROWS_WITH(make(), doctest::Contains("backups"));
    }
    SUBCASE("queue_limit")
    {
        options.queue_limit = 0;
        CHECK_THROWS_WITH(make(), doctest::Contains("queue_limit"));
    }
}

TEST_SUITE_END();
