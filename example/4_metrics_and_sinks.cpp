// Fields of your own in the metrics, and a sink of your own.
#include "scratch.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/json/serialize.hpp>

#include <chrono>
#include <iostream>

namespace asio = boost::asio;

/// Added to the line of each attempt in `metrics/attempts_YYYY-MM-DD.jsonl`.
boost::json::object fields_of(const autoexec::ExecutionMetric& attempt)
{
    const bool is_slow = attempt.duration > std::chrono::milliseconds{50};
    return {{"team", "payments"}, {"slow", is_slow}};
}

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
    where.custom = fields_of;
    const auto metrics = std::make_shared<autoexec::ExecutionMetricsCollector>(ctx, where);
    auto options = scratch.options();
    options.executor.metrics = metrics;
    autoexec::Session session(ctx, options);
    session.executor().subscribe(std::make_shared<Alarm>());

    asio::co_spawn(ctx, run(session, scratch.worktree("tree")), asio::detached);
    ctx.run();

    for (const auto& attempt : metrics->get_metrics())
        std::cout << attempt.command << ' ' << boost::json::serialize(attempt.custom) << '\n';
    std::cout << boost::json::serialize(to_json(metrics->get_summary())) << '\n';
}
