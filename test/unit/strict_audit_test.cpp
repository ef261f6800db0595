#include "records/running.hpp"
#include "support/executor_fixture.hpp"

#include <doctest/doctest.h>

#include <chrono>
#include <filesystem>
#include <memory>
#include <string>
#include <utility>

using namespace autoexec;
using namespace autoexec::test;
using namespace std::chrono_literals;

namespace {

constexpr char audit_log[] = ".tapps-agents/audit/execution_audit.log";

struct StrictFixture : ExecutorFixture {
    StrictFixture()
    {
        options.enable_audit = true;
        options.strict_audit = true;
        tree.on_publish = [this] { tree.complete(); };
    }

    // Nothing can be written into a file as if it were a folder.
    void block() const { project.write(".tapps-agents/audit", "not a folder"); }
    void unblock() const { std::filesystem::remove(project / ".tapps-agents/audit"); }

    // Not to the end of all work: lines that cannot be written are retried for ever.
    void run(CommandRequest r = request())
    {
        start(std::move(r));
        until += 10min;
        clock->run_until(ctx, until);
    }
    std::chrono::nanoseconds until{0};

    [[nodiscard]] bool is_in_log(const std::string& type, const std::string& more = {}) const
    {
        if (!std::filesystem::exists(project / audit_log)) return false;
        for (const auto& line : project.lines(audit_log))
            if (line.find('"' + type + '"') != std::string::npos &&
                line.find(more) != std::string::npos)
                return true;
        return false;
    }
};

}  // namespace

TEST_SUITE_BEGIN("strict_audit");

TEST_CASE_FIXTURE(StrictFixture, "a strict audit log has the start before the command is published")
{
    bool was_recorded = false;
    tree.on_publish = [&] {
        was_recorded = is_in_log("execution_started") && is_in_log("command_detected");
        tree.complete();
    };
    SUBCASE("strict")
    {
        execute();
        CHECK(was_recorded);
    }
    SUBCASE("without durability")
    {
        options.durability = Durability::none;
        execute();
        CHECK(was_recorded);
    }
    SUBCASE("not strict")
    {
        options.strict_audit = false;
        execute();
        CHECK_FALSE(was_recorded);
    }
    CHECK(result.status == ExecutionStatus::completed);
    CHECK(sink->count(EventType::execution_started) == 1);
    CHECK(sink->count(EventType::command_detected) == 1);
}

TEST_CASE_FIXTURE(StrictFixture, "a command whose start cannot be recorded is not published")
{
    block();
    run();
    CHECK_FALSE(ec);
    CHECK(tree.published.empty());
    CHECK_FALSE(tree.locked);
    CHECK(records::list_running(project.path()).empty());
    CHECK(result.status == ExecutionStatus::failed);
    CHECK(result.attempts == 0);
    REQUIRE(result.error);
    CHECK(result.error->code == "unrecorded");
    CHECK(result.error->message.starts_with("Not started because its start could not be recorded"));
    CHECK(result.error->message.find(audit_log) != std::string::npos);

    unblock();
    run();
    CHECK(result.status == ExecutionStatus::completed);
    CHECK(tree.published.size() == 1);
    CHECK(is_in_log("execution_failed", R"("code": "unrecorded")"));
}

TEST_CASE_FIXTURE(StrictFixture, "a command runs without an audit log that is not strict")
{
    options.strict_audit = false;
    block();
    run();
    CHECK(results == 1);
    CHECK(result.status == ExecutionStatus::completed);
}

TEST_CASE_FIXTURE(StrictFixture, "a strict audit log has no effect if there is none")
{
    options.enable_audit = false;
    block();
    run();
    CHECK(results == 1);
    CHECK(result.status == ExecutionStatus::completed);
}

TEST_CASE_FIXTURE(StrictFixture, "a retry whose start cannot be recorded leaves the failure before")
{
    options.retry.max_attempts = 3;
    tree.on_publish = [&] {
        std::filesystem::remove_all(project / ".tapps-agents/audit");
        block();
        tree.fail("no network", {}, true);
    };
    int ends = 0;
    auto r = request();
    const auto hooks = std::make_shared<CommandHooks>();
    hooks->on_end = [&ends](ExecutionResult) -> asio::awaitable<void> {
        ++ends;
        co_return;
    };
    r.hooks = hooks;
    run(std::move(r));
    CHECK(tree.published.size() == 1);
    CHECK(result.status == ExecutionStatus::failed);
    CHECK(result.attempts == 1);
    CHECK(ends == 1);
    REQUIRE(result.error);
    CHECK(result.error->code == "unrecorded");
    CHECK(result.error->message.starts_with("no network"));
    CHECK(result.error->message.find("Not tried again because its start") != std::string::npos);
    CHECK_FALSE(tree.locked);
}

TEST_CASE_FIXTURE(StrictFixture, "a recorded start that is not published has a recorded end")
{
    tree.publish_error = make_error_code(boost::system::errc::permission_denied);
    run();
    CHECK(ec);
    CHECK(sink->count(EventType::execution_started) == 1);
    CHECK(sink->count(EventType::execution_failed) == 1);
}

TEST_SUITE_END();
