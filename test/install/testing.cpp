// A test of an application: its commands are answered by a mock agent, in virtual time.
#include <autoexec/executor.hpp>
#include <autoexec/testing/mock_background_agent.hpp>
#include <autoexec/testing/virtual_clock.hpp>

#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>

#include <iostream>

namespace asio = boost::asio;
namespace testing = autoexec::testing;

int main()
{
    const testing::TemporaryProject project;
    const auto tree = project.make_worktree("tree");
    const auto clock = std::make_shared<testing::VirtualClock>();

    testing::MockAgentOptions mock_options;
    mock_options.worktrees = {tree};
    mock_options.clock = clock;
    mock_options.reply.delay = std::chrono::minutes{50};
    mock_options.reply.artifacts = {"report.md"};
    autoexec::ExecutorOptions options;
    options.project_root = project.path();
    options.clock = clock;
    options.tree_state = [](std::filesystem::path) -> asio::awaitable<std::string> {
        co_return std::string();
    };

    asio::io_context ctx;
    autoexec::BackgroundAgentAutoExecutor executor(ctx, options);
    testing::MockBackgroundAgent mock(ctx, mock_options);
    autoexec::CommandRequest request("write a report", tree);
    request.expected_artifacts = {"report.md"};
    bool completed = false;
    mock.async_run(asio::detached);
    executor.async_execute_command(request, [&](auto, const autoexec::ExecutionResult& result) {
        completed = result.status == autoexec::ExecutionStatus::completed &&
                    result.verified == autoexec::Verification::all;
        mock.async_stop(asio::detached);
        executor.async_stop(asio::detached);
    });
    clock->run(ctx);
    std::cout << (completed ? "The mock agent completed the command\n" : "It did not complete\n");
    return completed && mock.commands().size() == 1 ? 0 : 1;
}
