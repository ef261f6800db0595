#include "async/fifo_semaphore.hpp"

#include "support/virtual_clock.hpp"

#include <doctest/doctest.h>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>

#include <memory>
#include <optional>
#include <string>

using namespace autoexec;
using namespace autoexec::test;

namespace {

struct Semaphore {
    asio::io_context io;
    std::shared_ptr<VirtualClock> clock = std::make_shared<VirtualClock>();
    async::FifoSemaphore semaphore{1};
    std::string log;

    std::unique_ptr<Timer> alarm() { return clock->make_timer(io.get_executor()); }

    void enter(char name, int priority = 0)
    {
        asio::co_spawn(io, user(name, priority), asio::detached);
    }

private:
    asio::awaitable<void> user(char name, int priority)
    {
        const auto timer = clock->make_timer(co_await asio::this_coro::executor);
        async::SemaphoreGuard slot(semaphore, *timer, priority);
        co_await slot.admission();
        log.push_back(name);
        co_await timer->wait_until(clock->now() + std::chrono::seconds(1));
    }
};

}  // namespace

TEST_SUITE_BEGIN("fifo_semaphore");

TEST_CASE_FIXTURE(Semaphore, "slots are granted in the order of asking")
{
    for (const char name : {'a', 'b', 'c', 'd'}) enter(name);
    clock->run(io);
    CHECK(log == "abcd");
    CHECK(semaphore.idle());
}

TEST_CASE_FIXTURE(Semaphore, "those of a higher priority are first")
{
    enter('a');
    enter('b');
    enter('c', -1);
    enter('d', 5);
    enter('e');
    enter('f', 5);
    clock->run(io);
    CHECK(log == "adfbec");
    CHECK(semaphore.idle());
}

TEST_CASE_FIXTURE(Semaphore, "a waiter that leaves the queue is passed over")
{
    const auto timer = alarm();
    std::optional<async::SemaphoreGuard> first(std::in_place, semaphore, *timer);
    std::optional<async::SemaphoreGuard> second(std::in_place, semaphore, *timer);
    const async::SemaphoreGuard third(semaphore, *timer);
    CHECK(first->admitted());
    CHECK_FALSE(second->admitted());
    second.reset();
    CHECK_FALSE(third.admitted());
    first.reset();
    CHECK(third.admitted());
}

TEST_CASE_FIXTURE(Semaphore, "an admitted waiter that has not resumed gives its slot back")
{
    const auto timer = alarm();
    std::optional<async::SemaphoreGuard> first(std::in_place, semaphore, *timer);
    std::optional<async::SemaphoreGuard> second(std::in_place, semaphore, *timer);
    const async::SemaphoreGuard third(semaphore, *timer);
    first.reset();
    second.reset();
    CHECK(third.admitted());
}

TEST_CASE_FIXTURE(Semaphore, "the number of slots can change while some wait")
{
    const auto timer = alarm();
    std::optional<async::SemaphoreGuard> first(std::in_place, semaphore, *timer);
    std::optional<async::SemaphoreGuard> second(std::in_place, semaphore, *timer);
    const async::SemaphoreGuard third(semaphore, *timer);
    semaphore.set_slots(2);
    CHECK(second->admitted());
    CHECK_FALSE(third.admitted());
    semaphore.set_slots(1);
    first.reset();
    CHECK_FALSE(third.admitted());
    second.reset();
    CHECK(third.admitted());
    semaphore.set_slots(0);
    const async::SemaphoreGuard fourth(semaphore, *timer);
    CHECK(fourth.admitted());
}

namespace {

struct Source final : async::SlotSource {
    int left = 1;
    int lowest = 0;             ///< The others leave a slot to this priority and higher ones.
    std::optional<int> wanted;  ///< By others, with this priority.

    bool acquire(int priority) override
    {
        if (priority < lowest || left == 0) return false;
        --left;
        return true;
    }
    void release() override { ++left; }
    bool others_wait(int priority) override { return wanted && *wanted >= priority; }
};

}  // namespace

TEST_CASE_FIXTURE(Semaphore, "a slot needs one of the source, in the order of asking")
{
    Source source;
    async::FifoSemaphore shared(2, &source);
    const auto timer = alarm();
    std::optional<async::SemaphoreGuard> first(std::in_place, shared, *timer);
    const async::SemaphoreGuard second(shared, *timer);
    CHECK(first->admitted());
    CHECK_FALSE(second.admitted());
    CHECK(shared.priority_at_source() == 0);
    ++source.left;
    const async::SemaphoreGuard third(shared, *timer);
    CHECK_FALSE(third.admitted());
    shared.retry();
    CHECK(second.admitted());
    CHECK_FALSE(shared.priority_at_source());  // it waits for a slot of this semaphore
    first.reset();
    CHECK(third.admitted());
    CHECK(source.left == 0);
}

TEST_CASE_FIXTURE(Semaphore, "a slot that others wait for goes back to the source")
{
    Source source;
    async::FifoSemaphore shared(1, &source);
    const auto timer = alarm();
    std::optional<async::SemaphoreGuard> first(std::in_place, shared, *timer);
    std::optional<async::SemaphoreGuard> second(std::in_place, shared, *timer);
    source.wanted = 0;
    first.reset();
    CHECK_FALSE(second->admitted());
    CHECK(source.left == 1);
    shared.retry();
    CHECK(second->admitted());
    second.reset();
    CHECK(source.left == 1);
    CHECK(shared.idle());
}

TEST_CASE_FIXTURE(Semaphore, "a slot is kept for a higher priority than that of others")
{
    Source source;
    async::FifoSemaphore shared(1, &source);
    const auto timer = alarm();
    std::optional<async::SemaphoreGuard> first(std::in_place, shared, *timer);
    std::optional<async::SemaphoreGuard> low(std::in_place, shared, *timer);
    std::optional<async::SemaphoreGuard> high(std::in_place, shared, *timer, 1);
    source.wanted = 0;
    first.reset();
    CHECK(high->admitted());
    high.reset();
    CHECK_FALSE(low->admitted());
    CHECK(source.left == 1);
}

TEST_CASE_FIXTURE(Semaphore, "a newcomer asks the source before those of a lower priority")
{
    Source source;
    source.lowest = 1;
    async::FifoSemaphore shared(2, &source);
    const auto timer = alarm();
    const async::SemaphoreGuard low(shared, *timer);
    CHECK(shared.priority_at_source() == 0);
    const async::SemaphoreGuard high(shared, *timer, 1);
    const async::SemaphoreGuard next(shared, *timer, 1);
    CHECK_FALSE(low.admitted());
    CHECK(high.admitted());
    CHECK_FALSE(next.admitted());
    CHECK(shared.priority_at_source() == 1);
}

TEST_SUITE_END();
