#include "records/pauses.hpp"
#include "support/executor_fixture.hpp"

#include <doctest/doctest.h>

#include <string>

using namespace autoexec;
using namespace autoexec::test;
using namespace std::chrono_literals;
using protocol::StartPauses;

namespace {

/// Agents complete commands at once.
struct PauseFixture : ExecutorFixture {
    PauseFixture()
    {
        tree.on_publish = [this] { tree.complete(); };
    }
    void change(const std::function<void(StartPauses&)>& how) const
    {
        CHECK_FALSE(records::change_pauses(project.path(), how));
    }
    void pause_all() const
    {
        change([](StartPauses& pauses) { pauses.all = {std::nullopt, "me@here"}; });
    }
    void resume_all() const
    {
        change([](StartPauses& pauses) { pauses.all.reset(); });
    }
};

}  // namespace

TEST_SUITE_BEGIN("executor pause");

TEST_CASE_FIXTURE(PauseFixture, "a paused command starts when it is resumed")
{
    pause_all();
    clock->at(20min, [this] {
        CHECK(tree.published.empty());
        resume_all();
    });
    clock->at(20min + 1s, [this] { CHECK(tree.published.size() == 1); });
    execute();
    CHECK(result.status == ExecutionStatus::completed);
    CHECK(result.queued >= 20min);
    REQUIRE(result.warnings.size() == 1);
    CHECK(result.warnings.front().find("starts are paused by me@here") != std::string::npos);
    REQUIRE(sink->count(EventType::waiting_for_resume) == 1);
    CHECK(sink->events.front().details.at("reason") == "starts are paused by me@here");
}

TEST_CASE_FIXTURE(PauseFixture, "only the commands of a paused agent or workflow wait")
{
    CommandRequest waits("build", "/waits");
    CommandRequest runs("build", "/runs");
    waits.agent = "claude";
    runs.agent = "codex";
    SUBCASE("of an agent")
    {
        change([](StartPauses& pauses) { pauses.agents["claude"]; });
    }
    SUBCASE("of a workflow")
    {
        waits.workflow_id = "w-20260120-100000-000001";
        runs.workflow_id = "v-20260120-100000-000001";
        change([](StartPauses& pauses) { pauses.workflows["w"]; });
    }
    options.max_parallel = 1;  // one that waits keeps no slot
    std::string order;
    for (const auto* const name : {"/waits", "/runs"})
        handoff->at(name).on_publish = [this, name, &order] {
            order += name;
            handoff->at(name).complete();
        };
    make().async_execute_command(std::move(waits), [](error_code, auto&&) {});
    make().async_execute_command(std::move(runs), [](error_code, auto&&) {});
    clock->at(1min, [this, &order] {
        CHECK(order == "/runs");
        change([](StartPauses& pauses) { pauses = {}; });
    });
    clock->run(ctx);
    CHECK(order == "/runs/waits");
}

TEST_CASE_FIXTURE(PauseFixture, "what runs continues; its retry waits")
{
    options.retry.max_attempts = 2;
    options.retry.initial_delay = 2s;
    tree.on_publish = nullptr;
    clock->at(1s, [this] { pause_all(); });
    clock->at(3s, [this] {
        REQUIRE(tree.published.size() == 1);
        tree.on_publish = [this] { tree.complete(); };
        tree.fail("boom", "", true);
    });
    clock->at(1h, [this] {
        CHECK(tree.published.size() == 1);
        resume_all();
    });
    options.timeout = 24h;
    execute();
    CHECK(result.status == ExecutionStatus::completed);
    CHECK(result.attempts == 2);
    CHECK(clock->elapsed() >= 1h);
}

TEST_CASE_FIXTURE(PauseFixture, "starts that wait for a slot are paused before they get it")
{
    options.max_parallel = 1;
    tree.on_publish = nullptr;
    bool second_published = false;
    handoff->at("/second").on_publish = [this, &second_published] {
        second_published = true;
        handoff->at("/second").complete();
    };
    start(request());
    make().async_execute_command(CommandRequest("build", "/second"), [](error_code, auto&&) {});
    clock->at(1s, [this] { pause_all(); });
    clock->at(2s, [this] { tree.complete(); });
    clock->at(1min, [this, &second_published] {
        CHECK(results == 1);
        CHECK_FALSE(second_published);
        resume_all();
    });
    clock->run(ctx);
    CHECK(second_published);
}

TEST_CASE_FIXTURE(PauseFixture, "a paused command can be cancelled")
{
    pause_all();
    SUBCASE("by its slot")
    {
        clock->at(1500ms, [this] { cancel.emit(asio::cancellation_type::terminal); });
    }
    SUBCASE("by the end of the executor")
    {
        clock->at(1500ms, [this] { make().async_stop([](error_code) {}); });
    }
    execute();
    CHECK(result.status == ExecutionStatus::cancelled);
    CHECK(clock->elapsed() == 1500ms);
    CHECK(tree.published.empty());
}

TEST_SUITE_END();
