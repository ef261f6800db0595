// The same operation with a callback, a future and a coroutine.
#include "scratch.hpp"

#include "autoexec/executor.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/use_future.hpp>

#include <iostream>
#include <thread>

namespace asio = boost::asio;

asio::awaitable<void> with_a_coroutine(autoexec::BackgroundAgentAutoExecutor& engine,
                                       autoexec::CommandRequest request)
{
    // Without as_tuple, an error is thrown as a system_error; `execute_command` is that form.
    const auto [ec, result] = co_await engine.async_execute_command(
        std::move(request), asio::as_tuple(asio::use_awaitable));
    std::cout << "coroutine: " << to_string(result.status) << ' ' << ec.message() << '\n';
}

int main()
{
    const Scratch scratch;
    asio::io_context ctx;
    auto work = asio::make_work_guard(ctx);
    std::thread thread([&] { ctx.run(); });

    autoexec::ExecutorOptions options;
    options.project_root = scratch.root();
    options.notifier = autoexec::local_notifier();
    options.agent_in_process = true;
    autoexec::BackgroundAgentAutoExecutor engine(ctx.get_executor(), options);
    autoexec::BackgroundAgent agent(ctx.get_executor(), scratch.shell_agent(options.notifier));
    const auto tree = scratch.worktree("tree");
    agent.add_worktree(tree);
    asio::co_spawn(ctx, agent.run(), asio::detached);

    // Commands for one worktree run one after the other, in this order.
    const autoexec::CommandRequest request("date", tree);
    engine.async_execute_command(
        request, [](autoexec::error_code ec, const autoexec::ExecutionResult& result) {
            std::cout << "callback: " << to_string(result.status) << ' ' << ec.message() << '\n';
        });
    auto future = engine.async_execute_command(request, asio::use_future);
    auto other = asio::co_spawn(ctx, with_a_coroutine(engine, request), asio::use_future);

    const auto result = future.get();  // throws for an error
    std::cout << "future: " << to_string(result.status) << '\n';
    other.get();

    asio::co_spawn(ctx, engine.async_stop(), asio::use_future).get();
    asio::co_spawn(ctx, agent.async_stop(), asio::use_future).get();
    work.reset();
    thread.join();
}
