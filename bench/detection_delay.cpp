// How long after an agent's report does the executor see it, and the caller have the result?
//
// Paced load, and an agent in a thread of its own that takes a random time for each command. The
// limit is a bare handler posted from that thread: what waking the executor's thread costs anyway.

#include "autoexec/executor.hpp"

#include "light_agent.hpp"
#include "measure.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <cstdlib>
#include <map>
#include <mutex>
#include <random>
#include <thread>

using namespace autoexec;
using namespace autoexec::bench;
using std::chrono::milliseconds;

namespace {

using steady = std::chrono::steady_clock;

constexpr std::size_t count = 400;  // of each run
constexpr milliseconds pace{5};     // between two commands
constexpr int min_ms = 20;          // what the agent takes
constexpr int max_ms = 120;

/// When what happened, by execution.
class Times {
public:
    void note(const std::string& id)
    {
        const auto now = steady::now();
        const std::lock_guard lock(mutex_);
        times_[id] = now;
    }
    [[nodiscard]] std::map<std::string, steady::time_point> all() const
    {
        const std::lock_guard lock(mutex_);
        return times_;
    }

private:
    mutable std::mutex mutex_;
    std::map<std::string, steady::time_point> times_;
};

std::vector<double> between(const Times& from, const Times& to)
{
    std::vector<double> micros;
    const auto starts = from.all();
    for (const auto& [id, end] : to.all())
        micros.push_back(std::chrono::duration<double, std::micro>(end - starts.at(id)).count());
    return micros;
}

struct EndSink final : EventSink {
    Times ends;
    void publish(const Event& event) override
    {
        if (event.type == EventType::execution_completed) ends.note(event.execution_id);
    }
};

/// Tells the agent of commands, and the executor of nothing: it has to poll.
class DeafNotifier final : public Notifier {
public:
    explicit DeafNotifier(std::shared_ptr<Notifier> agents) : agents_(std::move(agents)) {}
    Subscription watch(const std::filesystem::path&, std::function<void()>) override { return {}; }
    void notify(const std::filesystem::path& worktree) override { agents_->notify(worktree); }

private:
    std::shared_ptr<Notifier> agents_;
};

LightAgent::Delay random_delay(const asio::any_io_executor& ex)
{
    return [ex, random = std::mt19937(1)](std::function<void()> report) mutable {
        const auto timer = std::make_shared<asio::steady_timer>(ex);
        timer->expires_after(milliseconds(std::uniform_int_distribution(min_ms, max_ms)(random)));
        timer->async_wait([timer, report](error_code) { report(); });
    };
}

asio::awaitable<void> run_one(BackgroundAgentAutoExecutor& executor, std::filesystem::path tree,
                              Times& returned)
{
    CommandRequest request("/review", std::move(tree));
    const auto result = co_await executor.execute_command(std::move(request));
    returned.note(result.execution_id);
}

void rethrow(std::exception_ptr failure)
{
    if (failure) std::rethrow_exception(failure);
}

asio::awaitable<void> run_paced(BackgroundAgentAutoExecutor& executor,
                                const std::vector<std::filesystem::path>& trees, Times& returned)
{
    const auto ex = co_await asio::this_coro::executor;
    asio::steady_timer timer(ex, steady::now());
    for (const auto& tree : trees) {
        asio::co_spawn(ex, run_one(executor, tree, returned), rethrow);
        timer.expires_at(timer.expiry() + pace);
        co_await timer.async_wait(asio::use_awaitable);
    }
}

struct Delays {
    std::vector<double> seen;
    std::vector<double> returned;
};

Delays engine(bool by_notifier, milliseconds polling)
{
    const Scratch scratch;
    const auto trees = scratch.make_trees(count);
    asio::io_context agent_ctx(1);
    auto guard = asio::make_work_guard(agent_ctx);
    const auto notifier = local_notifier();
    const auto agent = std::make_shared<LightAgent>(agent_ctx.get_executor(), notifier);
    Times reported;
    agent->delay = random_delay(agent_ctx.get_executor());
    agent->reported = [&](const std::string& id) { reported.note(id); };
    agent->look_after(trees);
    std::thread agent_thread([&] { agent_ctx.run(); });

    asio::io_context ctx(1);
    const auto sink = std::make_shared<EndSink>();
    Times returned;
    {
        ExecutorOptions options;
        options.project_root = scratch.path();
        options.polling_interval = polling;
        options.adaptive_polling = false;
        options.notifier = notifier;
        if (!by_notifier) options.notifier = std::make_shared<DeafNotifier>(notifier);
        BackgroundAgentAutoExecutor executor(ctx.get_executor(), options);
        executor.subscribe(sink);
        asio::co_spawn(ctx, run_paced(executor, trees, returned), rethrow);
        ctx.run();
    }
    guard.reset();
    agent_ctx.stop();
    agent_thread.join();
    return {between(reported, sink->ends), between(reported, returned)};
}

// From one thread's post to the other's handler, at the same pace.
Delays bare_post()
{
    asio::io_context ctx(1);
    auto guard = asio::make_work_guard(ctx);
    std::thread engine_thread([&] { ctx.run(); });
    Delays delays;
    auto next = steady::now();
    for (std::size_t i = 0; i < count; ++i) {
        next += pace;
        std::this_thread::sleep_until(next);
        const auto start = steady::now();
        asio::post(ctx, [&delays, start] {
            delays.seen.push_back(
                std::chrono::duration<double, std::micro>(steady::now() - start).count());
        });
    }
    guard.reset();
    engine_thread.join();
    delays.returned = delays.seen;
    return delays;
}

}  // namespace

int main()
{
    raise_descriptor_limit();
    constexpr milliseconds fast_polling{100};
    struct Way {
        std::string name;
        std::function<Delays()> run;
        std::vector<double> seen50, seen99, returned50, returned99;
    };
    std::vector<Way> ways(3);
    ways[0].name = "a bare post, the limit";
    ways[0].run = bare_post;
    ways[1].name = "notified";
    ways[1].run = [] { return engine(true, std::chrono::seconds{30}); };
    ways[2].name = "polling at 0.1 s";
    ways[2].run = [] { return engine(false, fast_polling); };
    for (int round = 0; round < 5; ++round) {
        for (auto& way : ways) {
            const auto delays = way.run();
            way.seen50.push_back(quantile(delays.seen, 0.5));
            way.seen99.push_back(quantile(delays.seen, 0.99));
            way.returned50.push_back(quantile(delays.returned, 0.5));
            way.returned99.push_back(quantile(delays.returned, 0.99));
        }
    }
    const auto& limit = ways.front();
    say("From the agent's report, µs (and as a multiple of the limit)");
    say("  {:<24}{:>18}{:>18}{:>18}{:>18}", "", "recorded, p50", "p99", "returned, p50", "p99");
    const auto cell = [](const std::vector<double>& values, const std::vector<double>& base) {
        return fmt::format("{:.0f} ({:.1f}×)", median(values), median(values) / median(base));
    };
    for (const auto& way : ways)
        say("  {:<24}{:>18}{:>18}{:>18}{:>18}", way.name, cell(way.seen50, limit.seen50),
            cell(way.seen99, limit.seen99), cell(way.returned50, limit.returned50),
            cell(way.returned99, limit.returned99));
    say("  Polling can't be better than half its interval, {} ms, at the median.",
        fast_polling.count() / 2);
}
