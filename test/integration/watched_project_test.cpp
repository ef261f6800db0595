#include "autoexec/watched_project.hpp"

#include "protocol/pause_file.hpp"
#include "records/pauses.hpp"
#include "records/running.hpp"
#include "support/temporary_folder.hpp"
#include "support/virtual_clock.hpp"

#include <doctest/doctest.h>

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/io_context.hpp>

#include <chrono>
#include <memory>
#include <optional>

using namespace autoexec;
using namespace autoexec::test;
using namespace std::chrono_literals;

namespace {

struct WatchFixture {
    TemporaryFolder folder;
    asio::io_context ctx;
    std::shared_ptr<VirtualClock> clock = std::make_shared<VirtualClock>();
    std::optional<WatchedProject> project;
    records::RunningRecords executor{folder.path()};
    ViewPosition seen;
    error_code ec;
    ProjectChanges changes;
    int completions = 0;
    std::chrono::nanoseconds completed_at{};
    asio::cancellation_signal cancel;

    WatchFixture()
    {
        WatchedProjectOptions options;
        options.project_root = folder.path();
        options.clock = clock;
        options.notifier = null_notifier();
        project.emplace(ctx, options);
        wait();
        clock->run(ctx);
        REQUIRE(completions == 1);
        REQUIRE(changes.is_snapshot);
        seen = changes.position;
    }

    void wait()
    {
        const auto done = [this](error_code e, ProjectChanges c) {
            ++completions;
            ec = e;
            changes = std::move(c);
            completed_at = clock->elapsed();
        };
        project->async_wait_change(seen, asio::bind_cancellation_slot(cancel.slot(), done));
    }

    void record_attempt()
    {
        protocol::RunningRecord record;
        record.execution_id = "e";
        record.attempt_id = "a";
        record.worktree = folder.path();
        REQUIRE_FALSE(executor.put(record));
    }
};

}  // namespace

TEST_SUITE_BEGIN("watched project");

TEST_CASE_FIXTURE(WatchFixture, "without file events a change is seen at the next look")
{
    wait();
    clock->at(2300ms, [&] { record_attempt(); });
    clock->run(ctx);
    CHECK(completions == 2);
    CHECK_FALSE(ec);
    CHECK(completed_at == 3s);
    CHECK_FALSE(changes.is_snapshot);
    REQUIRE(changes.changed.executions.size() == 1);
    CHECK(changes.changed.executions[0].attempt_id == "a");
    executor.remove("a");
}

TEST_CASE_FIXTURE(WatchFixture, "a change that was seen before completes at once")
{
    wait();
    record_attempt();
    clock->run(ctx);
    const auto before = clock->elapsed();
    wait();  // from the same position
    clock->run(ctx);
    CHECK(completions == 3);
    CHECK(completed_at == before);
    CHECK(changes.changed.executions.size() == 1);
    executor.remove("a");
}

TEST_CASE_FIXTURE(WatchFixture, "a pause of starts is seen, and its end")
{
    const auto pause = [this](bool is_paused) {
        CHECK_FALSE(records::change_pauses(folder.path(), [&](protocol::StartPauses& pauses) {
            pauses = {};
            if (is_paused) pauses.agents["coder"] = {std::nullopt, "me@here"};
        }));
    };
    wait();
    clock->at(500ms, [&] { pause(true); });
    clock->run(ctx);
    REQUIRE(changes.changed.pauses.size() == 1);
    const auto& seen_pause = changes.changed.pauses.front();
    CHECK(seen_pause.scope == PauseEntry::Scope::agent);
    CHECK(seen_pause.name == "coder");
    CHECK(seen_pause.reason == "starts of agent coder are paused by me@here");
    seen = changes.position;
    wait();
    clock->at(clock->elapsed() + 500ms, [&] { pause(false); });
    clock->run(ctx);
    CHECK(completions == 3);
    CHECK(changes.changed.pauses.empty());
}

TEST_CASE_FIXTURE(WatchFixture, "a wait that is cancelled completes at once")
{
    wait();
    clock->at(2300ms, [&] { cancel.emit(asio::cancellation_type::total); });
    clock->run(ctx);
    CHECK(completions == 2);
    CHECK(ec == asio::error::operation_aborted);
    CHECK(completed_at == 2300ms);
}

TEST_CASE_FIXTURE(WatchFixture, "destroying the object ends a wait")
{
    wait();
    clock->at(2300ms, [&] { project.reset(); });
    clock->run(ctx);
    CHECK(completions == 2);
    CHECK(ec == asio::error::operation_aborted);
    CHECK(completed_at == 2300ms);
}

TEST_SUITE_END();
