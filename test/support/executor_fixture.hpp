#pragma once

#include "autoexec/executor.hpp"
#include "support/memory_handoff.hpp"
#include "support/temporary_folder.hpp"
#include "support/virtual_clock.hpp"

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/io_context.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

namespace autoexec::test {

/// All that was published, for tests to look at.
struct RecordingSink final : EventSink {
    std::vector<Event> events;
    void publish(const Event& event) override { events.push_back(event); }

    [[nodiscard]] std::size_t count(EventType type) const
    {
        return static_cast<std::size_t>(
            std::count_if(events.begin(), events.end(), [&](auto& e) { return e.type == type; }));
    }
    [[nodiscard]] std::vector<ExecutionMetric> metrics() const
    {
        std::vector<ExecutionMetric> found;
        for (const auto& event : events)
            if (event.metric) found.push_back(*event.metric);
        return found;
    }
};

/// One executor over worktrees in memory, in virtual time.
struct ExecutorFixture {
    TemporaryFolder project;
    std::shared_ptr<VirtualClock> clock = std::make_shared<VirtualClock>();
    std::shared_ptr<MemoryHandoff> handoff = std::make_shared<MemoryHandoff>();
    std::shared_ptr<RecordingSink> sink = std::make_shared<RecordingSink>();
    MemoryTree& tree = handoff->at("/tree");
    ExecutorOptions options = plain_options();

    int results = 0;
    error_code ec;
    ExecutionResult result;

    asio::io_context ctx;              // after all that coroutines refer to
    asio::cancellation_signal cancel;  // after ctx: its slot may hold a strand of ctx
    std::unique_ptr<BackgroundAgentAutoExecutor> executor;

    // Polling at exactly 5 s, nothing written: each test turns on what it is about.
    ExecutorOptions plain_options()
    {
        ExecutorOptions o;
        o.project_root = project.path();
        o.clock = clock;
        o.handoff = handoff;
        o.enable_audit = false;
        o.enable_metrics = false;
        o.adaptive_polling = false;
        o.start_timeout = std::chrono::seconds{0};
        o.retry.max_attempts = 1;
        o.random = [] { return 0.5; };
        o.tree_state = [](std::filesystem::path) -> asio::awaitable<std::string> {
            co_return std::string(" M file");
        };
        return o;
    }

    BackgroundAgentAutoExecutor& make()
    {
        if (!executor) {
            executor = std::make_unique<BackgroundAgentAutoExecutor>(ctx.get_executor(), options);
            executor->subscribe(sink);
        }
        return *executor;
    }

    static CommandRequest request(std::string command = "build")
    {
        return {std::move(command), "/tree"};
    }

    void start(CommandRequest r)
    {
        auto handler = [this](error_code e, ExecutionResult x) {
            ++results;
            ec = e;
            result = std::move(x);
        };
        make().async_execute_command(std::move(r),
                                     asio::bind_cancellation_slot(cancel.slot(), handler));
    }

    /// Runs one command to its end. What must hold for every way to end is checked here.
    void execute(CommandRequest r)
    {
        start(std::move(r));
        clock->run(ctx);
        check_end();
    }
    void execute() { execute(request()); }

    void check_end()
    {
        CHECK(results == 1);
        CHECK_FALSE(tree.locked);
        CHECK_FALSE(tree.command);
        const auto running = project / ".tapps-agents/running";
        CHECK((!std::filesystem::exists(running) || std::filesystem::is_empty(running)));
        const auto ends = sink->count(EventType::execution_completed) +
                          sink->count(EventType::execution_failed) +
                          sink->count(EventType::execution_cancelled);
        CHECK(ends == tree.published.size());
        CHECK(sink->metrics().size() == tree.published.size());
        if (!ec) CHECK(result.error.has_value() == (result.status != ExecutionStatus::completed));
    }
};

}  // namespace autoexec::test
