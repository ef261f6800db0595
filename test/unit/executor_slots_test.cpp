#include "autoexec/command_hooks.hpp"
#include "protocol/layout.hpp"
#include "records/pauses.hpp"
#include "records/project_slots.hpp"
#include "support/executor_fixture.hpp"

#include <boost/asio/bind_cancellation_slot.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

using namespace autoexec;
using namespace autoexec::test;
using namespace std::chrono_literals;
namespace fs = std::filesystem;

namespace {

/// Two executors of one project, as if they were two processes.
struct TwoExecutors : ExecutorFixture {
    TwoExecutors()
    {
        options.max_parallel = 1;
        options.limit_scope = LimitScope::project;
        options.polling_interval = 1s;
    }

    struct Run {
        MemoryTree* tree = nullptr;
        asio::cancellation_signal cancel;
        bool has_ended = false;
        ExecutionResult result;
    };

    std::unique_ptr<BackgroundAgentAutoExecutor> another()
    {
        return std::make_unique<BackgroundAgentAutoExecutor>(ctx.get_executor(), options);
    }

    /// Its agent takes a second.
    Run& start(BackgroundAgentAutoExecutor& on, CommandRequest r)
    {
        auto& run = *runs.emplace_back(std::make_unique<Run>());
        run.tree = &handoff->at(r.worktree.string());
        run.tree->on_publish = [this, &run] {
            published.push_back(clock->elapsed());
            run.tree->take();
            clock->at(clock->elapsed() + 1s, [&run] { run.tree->complete(); });
        };
        on.async_execute_command(
            std::move(r), asio::bind_cancellation_slot(run.cancel.slot(),
                                                       [&run](error_code, ExecutionResult end) {
                                                           run.has_ended = true;
                                                           run.result = std::move(end);
                                                       }));
        return run;
    }
    Run& start(BackgroundAgentAutoExecutor& on, int priority = 0)
    {
        CommandRequest r("build", "/tree" + std::to_string(runs.size()));
        r.priority = priority;
        return start(on, std::move(r));
    }

    std::vector<std::unique_ptr<Run>> runs;
    std::vector<std::chrono::nanoseconds> published;
};

}  // namespace

TEST_SUITE_BEGIN("executor_slots");

TEST_CASE_FIXTURE(TwoExecutors, "a command waits for a slot that another executor uses")
{
    const auto first = another();
    const auto second = another();
    start(*first);
    const auto& waits = start(*second);
    clock->run(ctx);
    CHECK(published.size() == 2);
    CHECK(waits.result.status == ExecutionStatus::completed);
    CHECK(waits.result.queued >= 1s);
    CHECK(waits.result.queued <= 3s);
}

TEST_CASE_FIXTURE(TwoExecutors, "a command that waits for a slot is reported, once for each wait")
{
    auto& one = make();
    start(one);
    const auto& waits = start(one, 3);
    clock->run(ctx);
    REQUIRE(sink->count(EventType::waiting_for_slot) == 1);
    const auto found = std::ranges::find(sink->events, EventType::waiting_for_slot, &Event::type);
    CHECK(found->execution_id == waits.result.execution_id);
    CHECK(found->attempt == 1);
    CHECK(found->details.at("priority") == 3);
}

TEST_CASE_FIXTURE(TwoExecutors, "limits of executors do not affect each other by default")
{
    options.limit_scope = LimitScope::executor;
    const auto first = another();
    const auto second = another();
    start(*first);
    start(*second);
    clock->run(ctx);
    CHECK(published == std::vector<std::chrono::nanoseconds>{0s, 0s});
    CHECK_FALSE(fs::exists(project / layout::slots));
}

TEST_CASE_FIXTURE(TwoExecutors, "executors that wait for each other's slots take turns")
{
    const auto first = another();
    const auto second = another();
    for (int i = 0; i < 10; ++i) start(*first);
    const auto& only = start(*second);
    clock->run(ctx);
    CHECK(published.size() == 11);
    CHECK(only.result.queued <= 4s);  // not after all commands of the first one
    for (std::size_t i = 1; i < 10; ++i) CHECK(runs[i]->result.queued > runs[i - 1]->result.queued);
}

TEST_CASE_FIXTURE(TwoExecutors, "commands start by priority, whichever executor they are of")
{
    const auto first = another();
    const auto second = another();
    start(*first);
    const auto& low = start(*first, -1);
    const auto& normal = start(*second);
    const auto& high = start(*second, 3);
    const auto& higher = start(*first, 4);
    clock->run(ctx);
    CHECK(published.size() == 5);
    CHECK(higher.result.queued < high.result.queued);
    CHECK(high.result.queued < normal.result.queued);
    CHECK(normal.result.queued < low.result.queued);
    for (const auto& run : runs) CHECK(run->result.warnings.empty());
}

TEST_CASE_FIXTURE(TwoExecutors, "commands for one worktree run by priority")
{
    options.max_parallel = 0;
    const auto only = another();
    std::map<std::chrono::milliseconds, std::string> order;
    for (const auto& [name, priority] :
         {std::pair{"first", -1}, {"a", 0}, {"b", 2}, {"c", 1}, {"d", 2}, {"e", -1}}) {
        CommandRequest r(name, "/one");
        r.priority = priority;
        start(*only, std::move(r));
    }
    start(*only, CommandRequest("other", "/two"));
    clock->run(ctx);
    for (const auto& run : runs) order[run->result.queued] += run->result.command + " ";
    std::string names;
    for (const auto& [queued, name] : order) names += name;
    CHECK(names == "first other b d c a e ");
}

TEST_CASE_FIXTURE(TwoExecutors, "a higher priority keeps its turn")
{
    const auto first = another();
    const auto second = another();
    for (int i = 0; i < 5; ++i) start(*first, 1);
    const auto& low = start(*second);
    clock->run(ctx);
    for (int i = 0; i < 5; ++i) CHECK(runs[i]->result.queued < low.result.queued);
}

TEST_CASE_FIXTURE(TwoExecutors, "a command that could not start now holds no other one back")
{
    options.max_parallel = 2;
    options.on_busy = OnBusy::wait;
    options.agent_limits = {{"coder", 1}};
    const auto first = another();
    const auto second = another();
    CommandRequest waits("build", "/waits");
    waits.priority = 5;
    auto end_of_others = 5s;  // two at once; 6 s if slots were left to it
    SUBCASE("because starts of its agent are paused")
    {
        waits.agent = "paused";
        CHECK_FALSE(records::change_pauses(project.path(), [](protocol::StartPauses& pauses) {
            pauses.agents["paused"] = {std::nullopt, "me@here"};
        }));
    }
    SUBCASE("because its worktree is in use")
    {
        handoff->at("/waits").lock_error = errc::worktree_busy;
    }
    SUBCASE("because its agent runs as many as it may")
    {
        end_of_others = 9s;  // one at once; 12 s if slots were left to it
        CommandRequest running("build", "/running");
        waits.agent = running.agent = "coder";
        start(*second, running).tree->on_publish = [this] { handoff->at("/running").take(); };
    }
    SUBCASE("because its executor runs as many as it may")
    {
        end_of_others = 9s;
        auto less = options;
        less.max_parallel = 1;
        second->set_options(less);
        auto& tree_in_use = *start(*second).tree;
        tree_in_use.on_publish = [&tree_in_use] { tree_in_use.take(); };
    }
    const auto& high = start(*second, waits);
    std::vector<const Run*> low;
    for (int i = 0; i < 4; ++i) low.push_back(&start(*first));
    clock->at(end_of_others, [&] {
        CHECK_FALSE(high.has_ended);
        for (const auto* const run : low) CHECK(run->has_ended);
        for (const auto& run : runs) run->cancel.emit(asio::cancellation_type::terminal);
    });
    clock->run(ctx);
}

TEST_CASE_FIXTURE(TwoExecutors, "a wait for a slot of another executor can be cancelled")
{
    const auto first = another();
    const auto second = another();
    start(*first);
    auto& waits = start(*second);
    clock->at(200ms, [&] { waits.cancel.emit(asio::cancellation_type::partial); });
    clock->at(300ms, [&] { CHECK(waits.has_ended); });
    clock->run(ctx);
    CHECK(waits.result.status == ExecutionStatus::cancelled);
    CHECK(published.size() == 1);
    start(*second);
    clock->run(ctx);
    CHECK(published.size() == 2);
}

TEST_CASE_FIXTURE(TwoExecutors, "an agent's limit holds over the executors of a project")
{
    options.max_parallel = 4;
    options.agent_limits = {{"coder", 1}};
    const auto first = another();
    const auto second = another();
    auto request = [this] {
        CommandRequest r("build", "/tree" + std::to_string(runs.size()));
        r.agent = "coder";
        return r;
    };
    start(*first, request());
    const auto& waits = start(*second, request());
    const auto& other = start(*second);
    clock->run(ctx);
    CHECK(waits.result.queued >= 1s);
    CHECK(other.result.queued == 0s);
}

TEST_CASE_FIXTURE(TwoExecutors, "a command of an attempt's program uses the slot of that attempt")
{
    options.agent_limits = {{"coder", 1}};
    const auto outer = another();
    options.parent_attempt = "attempt";
    const auto inner = another();
    auto request = [this] {
        CommandRequest r("build", "/tree" + std::to_string(runs.size()));
        r.agent = "coder";
        return r;
    };
    auto& parent = start(*outer, request());
    // It ends after the commands that its program runs.
    parent.tree->on_publish = [&] {
        parent.tree->take();
        start(*inner, request());
        start(*inner, request());
    };
    clock->at(10s, [&] {
        CHECK(runs.size() == 3);
        for (const auto& run : runs) CHECK(run->has_ended == (run.get() != &parent));
        parent.tree->complete();
    });
    clock->run(ctx);
    CHECK(parent.has_ended);
}

TEST_CASE_FIXTURE(TwoExecutors,
                  "hooks are called once when a command waits, and once when it starts")
{
    std::string log;
    bool may_start = true;
    const auto hooked = [&] {
        auto hooks = std::make_shared<CommandHooks>();
        hooks->on_wait = [&log] { log += "wait "; };
        hooks->on_start = [&] {
            log += "start ";
            return may_start;
        };
        CommandRequest r("build", "/tree" + std::to_string(runs.size()));
        r.hooks = std::move(hooks);
        return r;
    };
    const auto first = another();
    start(*first, hooked());
    clock->run(ctx);
    CHECK(log.empty());  // it did not wait
    start(*first);
    const auto second = another();
    std::size_t expected = 3;
    SUBCASE("it starts") {}
    SUBCASE("it was cancelled meanwhile")
    {
        may_start = false;
        expected = 2;
    }
    const auto& waits = start(*second, hooked());
    clock->run(ctx);
    CHECK(log == "wait start ");
    CHECK(published.size() == expected);
    CHECK(waits.has_ended);
    CHECK((waits.result.status == ExecutionStatus::cancelled) == !may_start);
    CHECK_FALSE(waits.tree->locked);
}

TEST_CASE_FIXTURE(TwoExecutors, "a limit that is raised applies to slots of the project")
{
    const auto first = another();
    const auto second = another();
    start(*first);
    auto& waits = start(*second);
    clock->at(500ms, [&] {
        ExecutionOptions raised = options;
        raised.max_parallel = 2;
        second->set_options(raised);
    });
    clock->run(ctx);
    CHECK(waits.result.queued == 500ms);
}

TEST_CASE_FIXTURE(TwoExecutors, "slots that cannot be locked leave each executor its own limit")
{
    fs::create_directories(project / layout::slots / "commands.lock");
    const auto first = another();
    const auto second = another();
    start(*first);
    auto& beside = start(*second);
    auto& next = start(*second);
    clock->run(ctx);
    CHECK(beside.result.queued == 0s);
    REQUIRE(beside.result.warnings.size() == 1);
    CHECK(beside.result.warnings[0].find("commands.lock") != std::string::npos);
    CHECK(next.result.queued >= 1s);
    CHECK(next.result.warnings.empty());
}

TEST_CASE_FIXTURE(TwoExecutors, "executors that end while others wait leave no slot taken")
{
    auto first = another();
    const auto second = another();
    start(*first);
    start(*first);
    start(*second);
    clock->at(1500ms, [&] { first->async_stop([](error_code) {}); });
    clock->run(ctx);
    for (const auto& run : runs) CHECK(run->has_ended);
    records::ProjectSlots slots(project.path(), {}, {}, clock);
    slots.set_count(1);
    CHECK(slots.acquire(0));
    CHECK_FALSE(slots.others_wait(0));
}

TEST_SUITE_END();
