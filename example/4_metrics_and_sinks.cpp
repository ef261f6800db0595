// Metrics of your own, and a sink of your own.
#include "scratch.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/json/serialize.hpp>

#include <algorithm>
#include <iostream>

namespace asio = boost::asio;

/// Also knows the slowest attempt. What it does not override goes to the daily files, as usual.
class MyMetrics : public autoexec::ExecutionMetricsCollector {
public:
    using ExecutionMetricsCollector::ExecutionMetricsCollector;

    autoexec::ExecutionMetric record_execution(autoexec::ExecutionMetric metric) override
    {
        slowest = std::max(slowest, metric.duration);
        return ExecutionMetricsCollector::record_execution(std::move(metric));
    }

    std::chrono::duration<double, std::milli> slowest{0};
};

/// Reports failures: to a chat, to a pager. It must neither block nor throw.
class Alarm : public autoexec::EventSink {
public:
    void publish(const autoexec::Event& event) override
    {
        if (event.type == autoexec::EventType::execution_failed)
            std::cout << "ALARM: " << event.command << ' ' << boost::json::serialize(event.details)
                      << '\n';
    }
};

asio::awaitable<void> run(autoexec::Session& session, std::filesystem::path tree)
{
    for (const std::string command : {"true", "exit 3", "sleep 0.1"}) {
        const autoexec::CommandRequest request(command, tree);
        co_await session.run(request);
    }
    co_await session.async_stop();  // what it recorded is written now
}

int main()
{
    const Scratch scratch;
    asio::io_context ctx;

    autoexec::MetricsOptions where;
    where.project_root = scratch.root();
    const auto metrics = std::make_shared<MyMetrics>(ctx, where);
    auto options = scratch.options();
    options.executor.metrics = metrics;
    autoexec::Session session(ctx, options);
    session.executor().subscribe(std::make_shared<Alarm>());

    asio::co_spawn(ctx, run(session, scratch.worktree("tree")), asio::detached);
    ctx.run();

    std::cout << "slowest: " << metrics->slowest.count() << " ms\n"
              << boost::json::serialize(to_json(metrics->get_summary())) << '\n';
}
