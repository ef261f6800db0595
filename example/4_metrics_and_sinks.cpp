// Metrics of your own, and a sink of your own.
#include "scratch.hpp"

#include "autoexec/executor.hpp"

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
        slowest_ms = std::max(slowest_ms, metric.duration_ms);
        return ExecutionMetricsCollector::record_execution(std::move(metric));
    }

    double slowest_ms = 0;
};

/// Tells somebody about failures: a chat, a pager. It must neither block nor throw.
class Alarm : public autoexec::EventSink {
public:
    void publish(const autoexec::Event& event) override
    {
        if (event.type == autoexec::EventType::execution_failed)
            std::cout << "ALARM: " << event.command << ' ' << boost::json::serialize(event.details)
                      << '\n';
    }
};

asio::awaitable<void> run(autoexec::BackgroundAgentAutoExecutor& engine,
                          autoexec::BackgroundAgent& agent, std::filesystem::path tree)
{
    for (const std::string command : {"true", "exit 3", "sleep 0.1"}) {
        const autoexec::CommandRequest request(command, tree);
        co_await engine.execute_command(request);
    }
    co_await engine.async_stop();  // what it recorded is written now
    co_await agent.async_stop();
}

int main()
{
    const Scratch scratch;
    asio::io_context ctx;

    autoexec::MetricsOptions where;
    where.project_root = scratch.root();
    const auto metrics = std::make_shared<MyMetrics>(ctx.get_executor(), where);
    autoexec::ExecutorOptions options;
    options.project_root = scratch.root();
    options.notifier = autoexec::local_notifier();
    options.agent_in_process = true;
    options.metrics = metrics;
    autoexec::BackgroundAgentAutoExecutor engine(ctx.get_executor(), options);
    engine.subscribe(std::make_shared<Alarm>());

    autoexec::BackgroundAgent agent(ctx.get_executor(), scratch.shell_agent(options.notifier));
    const auto tree = scratch.worktree("tree");
    agent.add_worktree(tree);
    asio::co_spawn(ctx, agent.run(), asio::detached);
    asio::co_spawn(ctx, run(engine, agent, tree), asio::detached);
    ctx.run();

    std::cout << "slowest: " << metrics->slowest_ms << " ms\n"
              << boost::json::serialize(to_json(metrics->get_summary())) << '\n';
}
