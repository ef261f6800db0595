// Runs a command in twelve worktrees, at most four at a time, and prints what happens.
#include "scratch.hpp"

#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>

#include <iostream>

// Called on the executor's strand: no lock is needed as long as one executor has it.
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
    boost::asio::io_context ctx;

    auto options = scratch.options();
    options.executor.max_parallel = 4;
    // How often progress is reported.
    options.agent.heartbeat_interval = std::chrono::milliseconds{100};
    autoexec::Session session(ctx, options);
    session.executor().subscribe(std::make_shared<Progress>());

    for (int i = 1; i <= 12; ++i) {
        const auto tree = scratch.worktree("tree-" + std::to_string(i));
        session.async_run({"echo halfway; sleep 0.2; touch result", tree}, boost::asio::detached);
    }
    ctx.run();
}
