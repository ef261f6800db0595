#include "support/executor_fixture.hpp"

#include "protocol/layout.hpp"
#include "records/locked_file.hpp"
#include "records/log_file.hpp"
#include "records/running.hpp"

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

void leave_record(const std::filesystem::path& project, const protocol::RunningRecord& record)
{
    records::RunningRecords its(project);
    REQUIRE_FALSE(its.put(record));
}

UnsharedRecord::UnsharedRecord(const std::filesystem::path& project,
                               const protocol::RunningRecord& record)
{
    error_code ec;
    const auto folder = records::Folder{project, layout::running}.create(ec);
    file_ = records::create_locked(folder.get(), records::locked_name(record.attempt_id),
                                   record.attempt_id, protocol::format_running(record), ec);
    REQUIRE_FALSE(ec);
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
    o.free_resources = [] { return FreeResources(); };
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
    CHECK(records::list_running(project.path()).empty());
    const auto ends = std::ranges::count_if(sink->events, [](const Event& event) {
        const bool is_end = event.type == EventType::execution_completed ||
                            event.type == EventType::execution_failed ||
                            event.type == EventType::execution_cancelled;
        return is_end && !event.attempt_id.empty();  // without one, it was cancelled before it
    });
    CHECK(static_cast<std::size_t>(ends) == tree.published.size());
    CHECK(sink->metrics().size() == tree.published.size());
    if (!ec) CHECK(result.error.has_value() == (result.status != ExecutionStatus::completed));
}

}  // namespace autoexec::test
