// The same operation with a callback, a future and a coroutine.
#include "scratch.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/use_future.hpp>

#include <iostream>
#include <thread>

namespace asio = boost::asio;

asio::awaitable<void> with_a_coroutine(autoexec::Session& session, autoexec::CommandRequest request)
{
    // Without as_tuple, an error is thrown as a system_error; `run` is that form.
    const auto [ec, result] =
        co_await session.async_run(std::move(request), asio::as_tuple(asio::use_awaitable));
    std::cout << "coroutine: " << to_string(result.status) << ' ' << ec.message() << '\n';
}

int main()
{
    const Scratch scratch;
    asio::io_context ctx;
    auto work = asio::make_work_guard(ctx);
    std::thread thread([&] { ctx.run(); });
    autoexec::Session session(ctx, scratch.options());

    // Commands for one worktree run one after the other, in this order.
    const autoexec::CommandRequest request("date", scratch.worktree("tree"));
    session.async_run(
        request, [](autoexec::error_code ec, const autoexec::ExecutionResult& result) {
            std::cout << "callback: " << to_string(result.status) << ' ' << ec.message() << '\n';
        });
    auto future = session.async_run(request, asio::use_future);
    auto other = asio::co_spawn(ctx, with_a_coroutine(session, request), asio::use_future);

    const auto result = future.get();  // throws for an error
    std::cout << "future: " << to_string(result.status) << '\n';
    other.get();
    work.reset();
    thread.join();
}
