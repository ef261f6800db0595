#include "async/turn_limit.hpp"
#include "support/executor_fixture.hpp"
#include "support/sweep.hpp"

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/strand.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <cstddef>
#include <functional>
#include <memory>
#include <numeric>
#include <string>
#include <vector>

using namespace autoexec;
using namespace autoexec::test;
using namespace std::chrono_literals;

namespace {

/// A handler of the application that is always ready: it counts how much happens between two of its
/// turns.
class Heartbeat {
public:
    Heartbeat(asio::io_context& ctx, std::function<std::size_t()> done,
              std::function<bool()> finished)
        : ctx_(ctx), done_(std::move(done)), finished_(std::move(finished)), last_(done_())
    {}

    void beat()
    {
        const auto now = done_();
        most_ = std::max(most_, now - last_);
        last_ = now;
        if (++beats_ < 1'000'000 && !finished_()) asio::post(ctx_, [this] { beat(); });
    }
    [[nodiscard]] std::size_t most() const noexcept { return most_; }

private:
    asio::io_context& ctx_;
    std::function<std::size_t()> done_;
    std::function<bool()> finished_;
    std::size_t last_;
    std::size_t most_ = 0;
    std::size_t beats_ = 0;
};

/// Coroutines that all ask to continue at once.
struct Crowd {
    static constexpr std::size_t per_turn = 4;

    explicit Crowd(std::size_t size)
    {
        for (std::size_t i = 0; i < size; ++i)
            asio::co_spawn(strand, one(i),
                           asio::bind_cancellation_slot(slot_of(i), asio::detached));
    }
    asio::cancellation_slot slot_of(std::size_t i)
    {
        return i == 7 ? cancel.slot() : asio::cancellation_slot();
    }

    asio::awaitable<void> one(std::size_t i)
    {
        co_await asio::this_coro::throw_if_cancelled(false);
        const auto alarm = clock->make_timer(strand);
        if (!turns.enter()) co_await turns.admission(*alarm);
        order.push_back(i);
    }

    std::shared_ptr<VirtualClock> clock = std::make_shared<VirtualClock>();
    std::vector<std::size_t> order;
    asio::io_context ctx;
    asio::cancellation_signal cancel;
    asio::strand<asio::any_io_executor> strand{ctx.get_executor()};
    async::TurnLimit turns{strand, per_turn};
};

std::vector<std::size_t> numbers(std::size_t count)
{
    std::vector<std::size_t> all(count);
    std::iota(all.begin(), all.end(), std::size_t{0});
    return all;
}

/// Starts that many commands, which all end at the same time, and counts both.
struct Burst : ExecutorFixture {
    struct Counter final : EventSink {
        std::size_t started = 0;
        std::size_t ended = 0;
        void publish(const Event& event) override
        {
            if (event.type == EventType::execution_started) ++started;
            if (event.metric) ++ended;
        }
    };

    void begin(std::size_t count)
    {
        // Without the sink that keeps all events.
        executor = std::make_unique<BackgroundAgentAutoExecutor>(ctx.get_executor(), options);
        executor->subscribe(counter);
        for (std::size_t i = 0; i < count; ++i) {
            const auto path = "/tree" + std::to_string(i);
            auto& its = handoff->at(path);
            its.on_publish = [this, &its] {
                its.take();
                clock->at(7s, [&its] { its.complete(); });
            };
            executor->async_execute_command(
                CommandRequest("build", path),
                [this, i](error_code, const ExecutionResult&) { order.push_back(i); });
        }
    }

    std::shared_ptr<Counter> counter = std::make_shared<Counter>();
    std::vector<std::size_t> order;
};

}  // namespace

TEST_SUITE_BEGIN("turn limit");

TEST_CASE("a turn of the loop continues at most so many coroutines, first come, first served")
{
    Crowd crowd(50);
    const auto done = [&] { return crowd.order.size(); };
    Heartbeat heartbeat(crowd.ctx, done, [&] { return done() == 50; });
    heartbeat.beat();
    SUBCASE("alone") {}
    SUBCASE("one of them is cancelled: it keeps its turn")
    {
        asio::post(crowd.ctx, [&] { crowd.cancel.emit(asio::cancellation_type::terminal); });
    }
    crowd.clock->run(crowd.ctx);
    CHECK(crowd.order == numbers(50));
    CHECK(heartbeat.most() == Crowd::per_turn);
}

TEST_CASE("few coroutines do not wait for a turn")
{
    Crowd crowd(0);
    for (std::size_t i = 0; i < Crowd::per_turn; ++i) CHECK(crowd.turns.enter());
    CHECK_FALSE(crowd.turns.enter());
    crowd.ctx.run();  // nothing is left to do
    CHECK(crowd.turns.enter());
}

TEST_CASE("the context may end while coroutines wait for their turn")
{
    Crowd crowd(50);
    crowd.ctx.run_one();
    CHECK(crowd.order.size() < 50);
}

TEST_CASE_FIXTURE(Burst,
                  "the loop stays responsive while thousands of commands start, and end at once" *
                      doctest::test_suite("sweep"))
{
    const std::size_t count = sweep_rounds(1000, 50'000);
    options.notifier = std::make_shared<CoveringNotifier>();
    begin(count);
    Heartbeat starts(
        ctx, [this] { return counter->started; }, [&] { return counter->started == count; });
    starts.beat();
    Heartbeat ends(
        ctx, [this] { return counter->ended; }, [&] { return counter->ended == count; });
    clock->at(8s, [&] {
        for (std::size_t i = 0; i < count; ++i)
            options.notifier->notify("/tree" + std::to_string(i));
        ends.beat();
    });
    clock->run(ctx);
    CHECK(order == numbers(count));
    CHECK(starts.most() <= 16);
    CHECK(ends.most() <= 16);
}

TEST_SUITE_END();
