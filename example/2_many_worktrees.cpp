// Runs a command in twelve worktrees, at most four at a time, and tells what happens.
#include "scratch.hpp"

#include "autoexec/executor.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>

#include <iostream>

namespace asio = boost::asio;

// Called on the engine's strand: no lock is needed as long as one engine has it.
class Progress : public autoexec::EventSink {
public:
    void publish(const autoexec::Event& event) override
    {
        if (event.type == autoexec::EventType::execution_started) ++in_flight_;
        if (event.metric) --in_flight_;  // the end of an attempt, whichever it is
        std::cout << event.worktree.filename().string() << ' ' << to_string(event.type);
        if (event.progress) std::cout << ": " << event.progress->message;
        std::cout << " (" << in_flight_ << " in flight)\n";
    }

private:
    int in_flight_ = 0;
};

int main()
{
    const Scratch scratch;
    asio::io_context ctx;

    autoexec::ExecutorOptions options;
    options.project_root = scratch.root();
    options.notifier = autoexec::local_notifier();
    options.agent_in_process = true;
    options.max_parallel = 4;
    autoexec::BackgroundAgentAutoExecutor engine(ctx.get_executor(), options);
    engine.subscribe(std::make_shared<Progress>());

    auto agent_options = scratch.shell_agent(options.notifier);
    agent_options.heartbeat_interval =
        std::chrono::milliseconds{100};  // how often progress is reported
    autoexec::BackgroundAgent agent(ctx.get_executor(), agent_options);
    asio::co_spawn(ctx, agent.run(), asio::detached);

    int left = 12;
    for (int i = 1; i <= 12; ++i) {
        const auto tree = scratch.worktree("tree-" + std::to_string(i));
        agent.add_worktree(tree);
        const autoexec::CommandRequest request("echo halfway; sleep 0.2; touch result", tree);
        engine.async_execute_command(request, [&](autoexec::error_code, auto) {
            if (--left == 0) asio::co_spawn(ctx, agent.async_stop(), asio::detached);
        });
    }
    ctx.run();
}
