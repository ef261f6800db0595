// Runs one program in the current folder, with an agent in this process.
// usage: example_1_run_command [PROGRAM ARGUMENT...]
#include "autoexec/agent.hpp"
#include "autoexec/executor.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>

#include <filesystem>
#include <iostream>

namespace asio = boost::asio;

asio::awaitable<void> run(autoexec::BackgroundAgentAutoExecutor& engine,
                          autoexec::BackgroundAgent& agent, std::vector<std::string> program)
{
    try {
        const autoexec::CommandRequest request(std::move(program), std::filesystem::current_path());
        const auto result = co_await engine.execute_command(request);
        std::cout << result.command << ": " << to_string(result.status) << " after "
                  << result.duration.count() << " ms\n"
                  << result.output;
        if (result.error) std::cout << result.error->message << '\n';
    } catch (const autoexec::system_error& e) {  // the engine could not do its job
        std::cerr << e.what() << '\n';
    }
    co_await engine.async_stop();
    co_await agent.async_stop();
}

int main(int argc, char** argv)
{
    std::vector<std::string> program(argv + 1, argv + argc);
    if (program.empty()) program = {"uname", "-sr"};
    asio::io_context ctx;

    autoexec::ExecutorOptions options;
    options.notifier = autoexec::local_notifier();  // engine and agent need not poll
    options.agent_in_process = true;
    autoexec::BackgroundAgentAutoExecutor engine(ctx.get_executor(), options);

    // An agent that runs programs as they are, and gives texts to a shell. `load_agents` reads
    // others from a file.
    autoexec::AgentDefinition runner;
    runner.name = "runner";
    runner.accept_argv = true;
    runner.templates.push_back({{{"/bin/sh"}, {"-c"}, {autoexec::Placeholder::command}}});
    autoexec::AgentOptions agent_options;
    agent_options.agents.agents.push_back(runner);
    agent_options.worktrees = {std::filesystem::current_path()};
    agent_options.find_worktrees = false;
    agent_options.notifier = options.notifier;
    autoexec::BackgroundAgent agent(ctx.get_executor(), agent_options);

    asio::co_spawn(ctx, agent.run(), asio::detached);
    asio::co_spawn(ctx, run(engine, agent, program), asio::detached);
    ctx.run();
}
