// A command that runs out of time, one that is retried, and one that Ctrl-C cancels.
#include "scratch.hpp"

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>

#include <csignal>
#include <iostream>

namespace asio = boost::asio;
using namespace std::chrono_literals;

int main()
{
    const Scratch scratch;
    asio::io_context ctx;

    auto options = scratch.options();
    options.executor.retry.initial_delay = 500ms;
    autoexec::Session session(ctx, options);

    asio::cancellation_signal cancel;  // destroyed before the io_context
    asio::signal_set signals(ctx, SIGINT, SIGTERM);
    signals.async_wait([&](autoexec::error_code ec, int) {
        // Partial: the agent is asked to stop, and the result comes when it has.
        if (!ec) cancel.emit(asio::cancellation_type::partial);
    });

    int left = 3;
    const auto print = [&](autoexec::error_code, const autoexec::ExecutionResult& result) {
        std::cout << result.command << ": " << to_string(result.status) << " after "
                  << result.attempts << " attempt(s), " << result.duration.count() << " ms\n";
        if (--left == 0) signals.cancel();
    };

    autoexec::CommandRequest hangs("sleep 60", scratch.worktree("hangs"));
    hangs.timeout = 1s;
    // An exit code of 75 (EX_TEMPFAIL) says that it is worth another try.
    const autoexec::CommandRequest unsure("test $AUTOEXEC_ATTEMPT = 3 || exit 75",
                                          scratch.worktree("unsure"));
    autoexec::CommandRequest waits("sleep 61", scratch.worktree("waits"));
    waits.timeout = 4s;

    std::cout << "Press Ctrl-C within 4 seconds.\n";
    session.async_run(hangs, print);
    session.async_run(unsure, print);
    session.async_run(waits, asio::bind_cancellation_slot(cancel.slot(), print));
    ctx.run();
}
