#include "support/executor_fixture.hpp"

#include <boost/asio/bind_cancellation_slot.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <filesystem>
#include <utility>

namespace autoexec::test {

void RecordingSink::publish(const Event& event)
{
    events.push_back(event);
}

std::size_t RecordingSink::count(EventType type) const
{
    return static_cast<std::size_t>(
        std::count_if(events.begin(), events.end(), [&](auto& e) { return e.type == type; }));
}

std::vector<ExecutionMetric> RecordingSink::metrics() const
{
    std::vector<ExecutionMetric> found;
    for (const auto& event : events)
        if (event.metric) found.push_back(*event.metric);
    return found;
}

ExecutorFixture::ExecutorFixture() = default;

ExecutorFixture::~ExecutorFixture() = default;

ExecutorOptions ExecutorFixture::plain_options()
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

BackgroundAgentAutoExecutor& ExecutorFixture::make()
{
    if (!executor) {
        executor = std::make_unique<BackgroundAgentAutoExecutor>(ctx.get_executor(), options);
        executor->subscribe(sink);
    }
    return *executor;
}

CommandRequest ExecutorFixture::request(std::string command)
{
    return {std::move(command), "/tree"};
}

void ExecutorFixture::start(CommandRequest r)
{
    auto handler = [this](error_code e, ExecutionResult x) {
        ++results;
        ec = e;
        result = std::move(x);
    };
    make().async_execute_command(std::move(r),
                                 asio::bind_cancellation_slot(cancel.slot(), handler));
}

void ExecutorFixture::execute(CommandRequest r)
{
    start(std::move(r));
    clock->run(ctx);
    check_end();
}

void ExecutorFixture::execute()
{
    execute(request());
}

void ExecutorFixture::check_end()
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

}  // namespace autoexec::test
