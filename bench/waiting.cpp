// What does an execution cost that only waits for its agent: memory, descriptors, CPU? And is the
// event loop on time while many wait and some end?
//
// The limit is as many coroutines, each waiting on a timer of its own.
//
// usage: waiting timers|autoexec|polling|worktrees|memory COUNT INTERVAL_MS WINDOW_MS BEFORE_MS
//        waiting loop COUNT ENDS_A_SECOND WINDOW_MS
// BEFORE_MS: how long they wait before the window. After 10 s each unclaimed command is recorded.

#include "autoexec/executor.hpp"

#include "async/short_names.hpp"
#include "light_agent.hpp"
#include "measure.hpp"

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <malloc.h>

using namespace autoexec;
using namespace autoexec::bench;
using std::chrono::milliseconds;
using steady = std::chrono::steady_clock;

namespace {

constexpr std::size_t descriptors_of_waiter = 2;  // as the executor counts; it holds one
const std::string command = "/review --file src/api.py";

/// A worktree of which nothing is in files, as another transport would have it.
class NoFiles final : public Mailbox {
public:
    error_code try_lock() override { return {}; }
    std::optional<std::string> live_claim() override { return std::nullopt; }
    error_code prepare() override { return {}; }
    error_code publish(const PublishedFiles&, Durability) override { return {}; }
    std::vector<FoundFile> look() override { return {}; }
    ClaimState claim(const std::string&) override { return ClaimState::none; }
    bool offer_again(const std::string&) override { return false; }
    error_code withdraw(const std::string&) override { return {}; }
    error_code request_stop(const std::string&) override { return {}; }
    error_code answer(const std::string&, const std::string&) override { return {}; }
    error_code clean(const std::string&, bool) override { return {}; }
    bool lost() override { return false; }
    ArtifactState artifact(const std::string&) override { return {}; }
};

class NoFilesHandoff final : public Handoff {
public:
    std::unique_ptr<Mailbox> open(const std::filesystem::path&, error_code&, std::string&) override
    {
        return std::make_unique<NoFiles>();
    }
};

double heap_bytes()
{
    const auto info = ::mallinfo2();
    return static_cast<double>(info.uordblks + info.hblkhd);
}

struct Window {
    milliseconds before;
    milliseconds length;
};

// `start` lets the waiters begin; then the CPU time in the window is taken.
template <class Start>
Figures watch(asio::io_context& ctx, std::size_t count, Window window, Start&& start)
{
    const auto descriptors = static_cast<double>(open_descriptors());
    const auto heap = heap_bytes();
    start();
    const auto waiters = static_cast<double>(count);
    const auto bytes = (heap_bytes() - heap) / waiters;
    const auto descriptors_of_one =
        (static_cast<double>(open_descriptors()) - descriptors) / waiters;
    ctx.run_for(window.before);
    const auto cost = cost_of([&] { ctx.run_for(window.length); });
    return {{"count", waiters},
            {"bytes", bytes},
            {"descriptors", descriptors_of_one},
            {"idle", cost.cpu / cost.wall}};
}

asio::awaitable<void> tick(milliseconds interval, milliseconds first)
{
    asio::steady_timer timer(co_await asio::this_coro::executor, first);
    for (;;) {
        co_await timer.async_wait(asio::use_awaitable);
        timer.expires_after(interval);
    }
}

Figures bare_timers(std::size_t count, milliseconds interval, Window window)
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

ExecutorOptions make_options(const std::filesystem::path& project, milliseconds interval,
                             std::shared_ptr<Notifier> notifier)
{
    ExecutorOptions options;
    options.project_root = project;
    options.polling_interval = interval;
    options.adaptive_polling = false;
    options.start_timeout = milliseconds{0};
    options.notifier = std::move(notifier);
    return options;
}

/// Each with a cancellation signal, as a server has it.
class Waiters {
public:
    explicit Waiters(std::size_t count) : signals_(count) {}

    void start_all(BackgroundAgentAutoExecutor& executor,
                   const std::vector<std::filesystem::path>& trees)
    {
        for (std::size_t i = 0; i < trees.size(); ++i) {
            CommandRequest request(command, trees[i]);
            request.workflow_id = "bench";
            executor.async_execute_command(
                std::move(request), asio::bind_cancellation_slot(
                                        signals_[i].slot(), [](error_code, ExecutionResult) {}));
        }
    }

private:
    std::vector<asio::cancellation_signal> signals_;
};

// Of its text, once.
double bytes_of_request(const std::filesystem::path& tree)
{
    return static_cast<double>(command.size() + tree.native().size());
}

enum class Trees { folders, in_git, none };

std::vector<std::filesystem::path> make_trees(const Scratch& scratch, std::size_t count, Trees kind)
{
    if (kind != Trees::none) return scratch.make_trees(count, kind == Trees::in_git);
    std::vector<std::filesystem::path> trees;
    for (std::size_t i = 0; i < count; ++i)
        trees.push_back(scratch.path() / fmt::format("tree-{}", i));
    return trees;
}

Figures executions(std::size_t count, bool events, Trees kind, milliseconds interval, Window window)
{
    const Scratch scratch;
    const auto trees = make_trees(scratch, count, kind);
    asio::io_context ctx(1);
    const auto notifier = events ? make_notifier(ctx, scratch.path()) : null_notifier();
    auto options = make_options(scratch.path(), interval, notifier);
    if (kind == Trees::none) options.handoff = std::make_shared<NoFilesHandoff>();
    BackgroundAgentAutoExecutor executor(ctx.get_executor(), options);
    Waiters waiters(count);
    auto figures = watch(ctx, count, window, [&] {
        waiters.start_all(executor, trees);
        ctx.poll();
    });
    for (auto& [name, value] : figures)
        if (name == std::string_view("bytes")) value -= bytes_of_request(trees.front());
    asio::co_spawn(ctx, executor.stop(), asio::detached);
    ctx.run();
    return figures;
}

asio::awaitable<void> beat(std::vector<double>& lags, milliseconds window)
{
    asio::steady_timer timer(co_await asio::this_coro::executor, steady::now());
    const auto end = steady::now() + window;
    while (steady::now() < end) {
        timer.expires_at(std::max(timer.expiry() + milliseconds(1), steady::now()));
        co_await timer.async_wait(asio::use_awaitable);
        lags.push_back(
            std::chrono::duration<double, std::micro>(steady::now() - timer.expiry()).count());
    }
}

// How late a timer is that expires each millisecond.
Figures lag_of_loop(std::size_t count, double ends_a_second, milliseconds window)
{
    const Scratch scratch;
    const auto trees = scratch.make_trees(count);
    asio::io_context ctx(1);
    const auto options =
        make_options(scratch.path(), std::chrono::seconds{5}, make_notifier(ctx, scratch.path()));
    const auto agent =
        std::make_shared<LightAgent>(ctx.get_executor(), options.notifier, scratch.path());
    std::size_t claimed = 0;
    std::vector<std::shared_ptr<asio::steady_timer>> timers;
    steady::time_point start;
    agent->delay = [&](std::function<void()> report) {
        const auto timer = std::make_shared<asio::steady_timer>(ctx);
        if (++claimed == count) start = steady::now();
        timer->expires_at(steady::time_point::max());
        timers.push_back(timer);
        timer->async_wait([report](error_code) { report(); });
    };
    agent->look_after(trees);
    BackgroundAgentAutoExecutor executor(ctx.get_executor(), options);
    Waiters waiters(count);
    waiters.start_all(executor, trees);
    while (claimed < count) ctx.run_one();
    ctx.poll();
    ctx.restart();  // it stops where nothing is in flight

    for (std::size_t i = 0; i < count; ++i) {
        const auto after =
            std::chrono::duration<double>(static_cast<double>(i + 1) / ends_a_second);
        if (after > window) break;
        const auto timer = std::make_shared<asio::steady_timer>(
            ctx, std::chrono::duration_cast<steady::duration>(after));
        timer->async_wait([waiting = timers[i], timer](error_code) { waiting->cancel(); });
    }
    std::vector<double> lags;
    asio::co_spawn(ctx, beat(lags, window), asio::detached);
    ctx.run_for(window + milliseconds(100));
    return {{"count", static_cast<double>(count)},
            {"p50", quantile(lags, 0.5)},
            {"p99", quantile(lags, 0.99)}};
}

}  // namespace

int main(int argc, char** argv)
{
    const Arguments arguments(argc, argv);
    const bool without_files = arguments.way() == "timers" || arguments.way() == "memory";
    const auto wanted = arguments.number(0, 1000);
    const bool with_agent = arguments.way() == "loop";
    const auto count = without_files
                           ? wanted
                           : within_descriptors(wanted, with_agent ? descriptors_in_flight
                                                                   : descriptors_of_waiter);
    const auto second = arguments.number(1, 1000);
    const milliseconds interval(second);
    const milliseconds length(arguments.number(2, 4000));
    const Window window{milliseconds(arguments.number(3, 0)), length};
    if (arguments.way() == "timers")
        print_figures(bare_timers(count, interval, window));
    else if (!with_agent)
        print_figures(executions(count, arguments.way() != "polling" && !without_files,
                                 arguments.way() == "worktrees" ? Trees::in_git
                                 : without_files                ? Trees::none
                                                                : Trees::folders,
                                 interval, window));
    else
        print_figures(lag_of_loop(count, static_cast<double>(second), length));
    std::fflush(stdout);
    std::_Exit(0);  // without waiting for what still runs
}
