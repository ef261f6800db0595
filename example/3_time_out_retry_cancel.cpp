// A command that runs out of time, one that is tried again, and one that Ctrl-C cancels.
#include "scratch.hpp"

#include "autoexec/executor.hpp"

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
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

    autoexec::ExecutorOptions options;
    options.project_root = scratch.root();
    options.notifier = autoexec::local_notifier();
    options.agent_in_process = true;
    options.retry.initial_delay = 500ms;
    autoexec::BackgroundAgentAutoExecutor engine(ctx.get_executor(), options);
    autoexec::BackgroundAgent agent(ctx.get_executor(), scratch.shell_agent(options.notifier));
    asio::co_spawn(ctx, agent.run(), asio::detached);

    asio::cancellation_signal cancel;  // destroyed before the io_context
    asio::signal_set signals(ctx, SIGINT, SIGTERM);
    signals.async_wait([&](autoexec::error_code ec, int) {
        // Partial: the agent is asked to stop, and the result comes when it has.
        if (!ec) cancel.emit(asio::cancellation_type::partial);
    });

    int left = 3;
    const auto told = [&](autoexec::error_code, const autoexec::ExecutionResult& result) {
        std::cout << result.command << ": " << to_string(result.status) << " after "
                  << result.attempts << " attempt(s), " << result.duration.count() << " ms\n";
        if (--left > 0) return;
        signals.cancel();
        asio::co_spawn(ctx, agent.async_stop(), asio::detached);
    };

    autoexec::CommandRequest hangs("sleep 60", scratch.worktree("hangs"));
    hangs.timeout = 1s;
    // An exit code of 75 (EX_TEMPFAIL) says that it is worth another try.
    const autoexec::CommandRequest unsure("test $AUTOEXEC_ATTEMPT = 3 || exit 75",
                                          scratch.worktree("unsure"));
    autoexec::CommandRequest waits("sleep 61", scratch.worktree("waits"));
    waits.timeout = 4s;
    for (const auto& request : {hangs, unsure, waits}) agent.add_worktree(request.worktree);

    std::cout << "Press Ctrl-C within 4 seconds.\n";
    engine.async_execute_command(hangs, told);
    engine.async_execute_command(unsure, told);
    engine.async_execute_command(waits, asio::bind_cancellation_slot(cancel.slot(), told));
    ctx.run();
}
