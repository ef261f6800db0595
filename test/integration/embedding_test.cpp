#include "autoexec/session.hpp"
#include "autoexec/testing/mock_background_agent.hpp"
#include "support/temporary_folder.hpp"

#include <boost/asio/detached.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/strand.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstddef>
#include <filesystem>
#include <iterator>
#include <memory>
#include <string>
#include <thread>
#include <vector>

using namespace autoexec;
using namespace autoexec::test;
using namespace std::chrono_literals;
namespace asio = boost::asio;
namespace fs = std::filesystem;

namespace {

std::size_t threads_of_this_process()
{
    return static_cast<std::size_t>(std::distance(fs::directory_iterator("/proc/self/task"), {}));
}

/// Runs a context on four threads until it has no work.
template <class Start>
void run_on_four_threads(asio::io_context& ctx, Start start)
{
    auto work = asio::make_work_guard(ctx);
    std::vector<std::thread> threads;
    for (int i = 0; i < 4; ++i) threads.emplace_back([&ctx] { ctx.run(); });
    start();
    work.reset();
    for (auto& thread : threads) thread.join();
}

SessionOptions options_of(const TemporaryFolder& project)
{
    SessionOptions options;
    options.executor.project_root = project.path();
    options.agent.spawner = supervised_spawner(AUTOEXEC_BINARY_DIR "/autoexec-supervise");
    return options;
}

fs::path make_tree(const TemporaryFolder& project, int number)
{
    auto tree = project / ("tree" + std::to_string(number));
    fs::create_directory(tree);
    return tree;
}

/// An executor and an agent in one process, which see each other by file events.
struct BothSides {
    static constexpr int trees = 20;

    explicit BothSides(asio::io_context& ctx)
    {
        ExecutorOptions options;
        options.project_root = project.path();
        options.notifier = file_notifier(ctx.get_executor(), {project.path()});
        options.max_parallel = 8;
        options.retry.initial_delay = 1ms;
        executor = std::make_unique<BackgroundAgentAutoExecutor>(ctx, options);

        testing::MockAgentOptions mock;
        mock.notifier = options.notifier;
        for (int i = 0; i < trees; ++i) mock.worktrees.push_back(make_tree(project, i));
        mock.on_command = [](const testing::MockCommand& command) {
            testing::MockReply reply;
            reply.delay = 1ms;
            if (command.command == "fail") reply.outcome = testing::MockOutcome::fail;
            if (command.command == "never") reply.outcome = testing::MockOutcome::never;
            return reply;
        };
        agent = std::make_unique<testing::MockBackgroundAgent>(ctx, mock);
        agent->async_run(asio::detached);
    }

    TemporaryFolder project;
    std::unique_ptr<BackgroundAgentAutoExecutor> executor;
    std::unique_ptr<testing::MockBackgroundAgent> agent;
};

}  // namespace

TEST_SUITE_BEGIN("embedding");

TEST_CASE("an engine whose context four threads run gives each command one result")
{
    constexpr int commands = 200;
    std::array<std::atomic<int>, commands> results{};
    std::atomic<int> ended = 0;
    std::atomic<int> unexpected = 0;
    asio::io_context ctx;
    BothSides sides(ctx);
    const auto start = [&](int i) {
        const auto* const command = i % 10 == 0 ? "never" : i % 3 == 0 ? "fail" : "build";
        const auto expected = i % 10 == 0  ? ExecutionStatus::cancelled
                              : i % 3 == 0 ? ExecutionStatus::failed
                                           : ExecutionStatus::completed;
        CommandRequest request(command,
                               sides.project / ("tree" + std::to_string(i % BothSides::trees)));
        request.execution_id = std::to_string(i);
        sides.executor->async_execute_command(
            request, [&, i, expected](error_code ec, const ExecutionResult& result) {
                ++results[static_cast<std::size_t>(i)];
                if (ec || result.status != expected) ++unexpected;
                if (++ended < commands) return;
                sides.agent->async_stop(asio::detached);
                sides.executor->async_stop(asio::detached);
            });
        // Also before it has begun.
        if (i % 10 == 0) sides.executor->cancel(request.execution_id);
    };
    run_on_four_threads(ctx, [&] {
        for (int i = 0; i < commands; ++i) start(i);
    });
    CHECK(ended == commands);
    CHECK(unexpected == 0);
    CHECK(std::all_of(results.begin(), results.end(), [](const auto& n) { return n == 1; }));
}

TEST_CASE("handlers of a session whose executor is a strand run on that strand")
{
    constexpr int commands = 12;
    const TemporaryFolder project;
    asio::io_context ctx;
    const auto strand = asio::make_strand(ctx);
    int completed = 0;  // on the strand alone
    int elsewhere = 0;
    run_on_four_threads(ctx, [&] {
        Session session(strand, options_of(project));
        for (int i = 0; i < commands; ++i)
            session.async_run(CommandRequest("true", make_tree(project, i)),
                              [&](error_code, const ExecutionResult& result) {
                                  completed += result.status == ExecutionStatus::completed;
                                  elsewhere += !strand.running_in_this_thread();
                              });
    });
    CHECK(completed == commands);
    CHECK(elsewhere == 0);
}

TEST_CASE("the library starts no threads")
{
    const TemporaryFolder project;
    const auto before = threads_of_this_process();
    std::size_t most = before;
    asio::io_context ctx(1);
    auto options = options_of(project);
    options.executor.notifier = file_notifier(ctx.get_executor(), {project.path()});
    options.executor.durability = Durability::power;
    Session session(ctx, options);
    int completed = 0;
    for (int i = 0; i < 3; ++i)
        session.async_run(CommandRequest("echo text; sleep 0.1", make_tree(project, i)),
                          [&](error_code, const ExecutionResult& result) {
                              completed += result.status == ExecutionStatus::completed;
                          });
    while (ctx.run_one() > 0) most = std::max(most, threads_of_this_process());
    CHECK(completed == 3);
    CHECK(most == before);
}

TEST_SUITE_END();
