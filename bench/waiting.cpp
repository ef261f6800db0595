// What does an execution cost that only waits for its agent: memory, descriptors, CPU?
//
// The limit is as many coroutines, each waiting on a timer of its own.

#include "autoexec/executor.hpp"

#include "async/short_names.hpp"
#include "measure.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <malloc.h>

using namespace autoexec;
using namespace autoexec::bench;
using std::chrono::milliseconds;

namespace {

constexpr std::size_t wanted = 10'000;
constexpr std::size_t descriptors_each = 4;  // at most

double heap_bytes()
{
    const auto info = ::mallinfo2();
    return static_cast<double>(info.uordblks + info.hblkhd);
}

struct Waiting {
    double bytes = 0;        ///< Of each waiter, as is the next one.
    double descriptors = 0;  ///< One of them is the worktree's.
    double cpu = 0;          ///< Share of one core while nothing happens.
};

// `start` lets the waiters begin; then the time is taken for `window`.
template <class Start>
Waiting watch(asio::io_context& ctx, std::size_t count, milliseconds window, Start&& start)
{
    const auto descriptors = static_cast<double>(open_descriptors());
    const auto heap = heap_bytes();
    start();
    const auto waiters = static_cast<double>(count);
    Waiting w;
    w.bytes = (heap_bytes() - heap) / waiters;
    w.descriptors = (static_cast<double>(open_descriptors()) - descriptors) / waiters;
    const auto cost = cost_of([&] { ctx.run_for(window); });
    w.cpu = cost.cpu / cost.wall;
    return w;
}

asio::awaitable<void> tick(milliseconds interval, milliseconds first)
{
    asio::steady_timer timer(co_await asio::this_coro::executor, first);
    for (;;) {
        co_await timer.async_wait(asio::use_awaitable);
        timer.expires_after(interval);
    }
}

Waiting bare_timers(std::size_t count, milliseconds interval, milliseconds window)
{
    asio::io_context ctx(1);
    return watch(ctx, count, window, [&] {
        for (std::size_t i = 0; i < count; ++i) {
            const auto first = interval + milliseconds(i % 1000);
            asio::co_spawn(ctx, tick(interval, first), asio::detached);
        }
        ctx.poll();
    });
}

Waiting executions(const std::vector<std::filesystem::path>& trees,
                   const std::filesystem::path& project, milliseconds interval, milliseconds window)
{
    asio::io_context ctx(1);
    ExecutorOptions options;
    options.project_root = project;
    options.polling_interval = interval;
    options.adaptive_polling = false;
    options.start_timeout = milliseconds{0};
    options.notifier = local_notifier();
    BackgroundAgentAutoExecutor executor(ctx.get_executor(), options);
    const auto measured = watch(ctx, trees.size(), window, [&] {
        for (const auto& tree : trees) {
            CommandRequest request("/review --file src/api.py", tree);
            request.workflow_id = "bench";
            asio::co_spawn(ctx, executor.execute_command(std::move(request)), asio::detached);
        }
        ctx.poll();
    });
    asio::co_spawn(ctx, executor.stop(), asio::detached);
    ctx.run();
    return measured;
}

void print(const char* name, const std::vector<Waiting>& all)
{
    std::vector<double> cpu, bytes, descriptors;
    for (const auto& w : all) {
        cpu.push_back(100 * w.cpu);
        bytes.push_back(w.bytes);
        descriptors.push_back(w.descriptors);
    }
    say("  {:<36}{:>12.0f}{:>14.1f}{:>16.3f}", name, median(bytes), median(descriptors),
        median(cpu));
}

}  // namespace

int main()
{
    const auto count = std::min(wanted, (raise_descriptor_limit() - 200) / descriptors_each);
    const Scratch scratch;
    const auto trees = scratch.make_trees(count);

    constexpr milliseconds often{1000};
    constexpr milliseconds window{4000};
    std::vector<Waiting> timers, polling;
    for (int round = 0; round < 5; ++round) {
        timers.push_back(bare_timers(count, often, window));
        polling.push_back(executions(trees, scratch.path(), often, window));
    }
    // A whole interval, so that each of them looks once.
    constexpr milliseconds seldom{30'000};
    const auto whole = seldom + often;
    const std::vector<Waiting> rare_timers{bare_timers(count, seldom, whole)};
    const std::vector<Waiting> notified{executions(trees, scratch.path(), seldom, whole)};

    say("{} that wait", count);
    say("  {:<36}{:>12}{:>14}{:>16}", "", "bytes each", "descriptors", "% of one core");
    print("a timer each, every second", timers);
    print("executions, polling every second", polling);
    print("a timer each, every 30 s", rare_timers);
    print("executions, notified, polling at 30 s", notified);
    std::vector<double> ratios;
    for (std::size_t i = 0; i < timers.size(); ++i)
        ratios.push_back(polling[i].cpu / timers[i].cpu);
    say("  A look costs as much as {:.1f} bare timers.", median(ratios));
}
