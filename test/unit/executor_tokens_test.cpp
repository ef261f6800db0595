#include "support/executor_fixture.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/bind_allocator.hpp>
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/bind_executor.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/deferred.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/experimental/awaitable_operators.hpp>
#include <boost/asio/experimental/parallel_group.hpp>
#include <boost/asio/strand.hpp>
#include <boost/asio/thread_pool.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/use_future.hpp>

#include <doctest/doctest.h>

#include <future>
#include <memory_resource>
#include <optional>
#include <thread>

using namespace autoexec;
using namespace autoexec::test;
using namespace std::chrono_literals;

namespace {

/// A token that starts nothing and gives the initiation's executor.
struct ExecutorProbe {};

}  // namespace

template <class Signature>
struct boost::asio::async_result<ExecutorProbe, Signature> {
    template <class Initiation, class... Args>
    static any_io_executor initiate(Initiation&& initiation, ExecutorProbe, Args&&...)
    {
        return initiation.get_executor();
    }
};

namespace {

/// Every command completes as soon as it is published.
struct QuickTree : ExecutorFixture {
    QuickTree()
    {
        tree.on_publish = [this] { tree.complete(); };
    }

    /// Runs a coroutine to its end, and says what it threw.
    template <class Body>
    std::exception_ptr run(Body body, asio::cancellation_slot slot = {})
    {
        std::exception_ptr thrown;
        bool ended = false;
        asio::co_spawn(ctx, std::move(body),
                       asio::bind_cancellation_slot(slot, [&](std::exception_ptr e) {
                           thrown = e;
                           ended = true;
                       }));
        clock->run(ctx);
        CHECK(ended);
        return thrown;
    }
};

std::string what_of(const std::exception_ptr& e)
{
    try {
        if (e) std::rethrow_exception(e);
    } catch (const std::exception& error) {
        return error.what();
    }
    return {};
}

error_code code_of(const std::exception_ptr& e)
{
    try {
        if (e) std::rethrow_exception(e);
    } catch (const system_error& error) {
        return error.code();
    }
    return {};
}

}  // namespace

TEST_SUITE_BEGIN("executor tokens");

TEST_CASE_FIXTURE(QuickTree, "a handler is never called inside the function that starts")
{
    bool starting = false;
    int calls = 0;
    const auto begin = [&](CommandRequest r) {
        starting = true;
        make().async_execute_command(std::move(r), [&](error_code, const ExecutionResult&) {
            CHECK_FALSE(starting);
            ++calls;
        });
        starting = false;
    };
    begin(request());
    begin(request(""));  // refused at once
    clock->run(ctx);
    asio::post(ctx, [&] {
        begin(request());
        begin(request(""));
    });
    clock->run(ctx);
    CHECK(calls == 4);
}

TEST_CASE_FIXTURE(QuickTree, "a handler may start the next command")
{
    int left = 5;
    std::function<void()> next = [&] {
        make().async_execute_command(request(), [&](error_code e, const ExecutionResult& r) {
            CHECK_FALSE(e);
            CHECK(r.status == ExecutionStatus::completed);
            if (--left > 0) next();
        });
    };
    next();
    clock->run(ctx);
    CHECK(left == 0);
    CHECK(tree.published.size() == 5);
}

TEST_CASE_FIXTURE(QuickTree, "a handler may destroy the executor")
{
    make().async_execute_command(request(),
                                 [&](error_code, const ExecutionResult&) { executor.reset(); });
    clock->run(ctx);
    CHECK_FALSE(executor);
}

TEST_CASE_FIXTURE(QuickTree, "a handler need only be movable")
{
    auto owned = std::make_unique<int>(0);
    auto* const calls = owned.get();
    make().async_execute_command(
        request(), [o = std::move(owned), this](error_code e, ExecutionResult r) mutable {
            ++*o;
            ec = e;
            result = std::move(r);
            CHECK(*o == 1);
            executor->async_execute_command(request(""), [keep = std::move(o)](auto&&...) {});
        });
    CHECK(*calls == 0);
    clock->run(ctx);
    CHECK(result.status == ExecutionStatus::completed);
}

TEST_CASE_FIXTURE(QuickTree, "a handler's allocator gets back all that it gave")
{
    struct Counting : std::pmr::memory_resource {
        std::size_t given = 0;
        void* do_allocate(std::size_t n, std::size_t alignment) override
        {
            given += n;
            return std::pmr::new_delete_resource()->allocate(n, alignment);
        }
        void do_deallocate(void* p, std::size_t n, std::size_t alignment) override
        {
            given -= n;
            std::pmr::new_delete_resource()->deallocate(p, n, alignment);
        }
        bool do_is_equal(const memory_resource& other) const noexcept override
        {
            return this == &other;
        }
    } memory;
    make().async_execute_command(
        request(), asio::bind_allocator(std::pmr::polymorphic_allocator<std::byte>(&memory),
                                        [&](error_code, const ExecutionResult&) { ++results; }));
    clock->run(ctx);
    CHECK(results == 1);
    CHECK(memory.given == 0);
}

TEST_CASE_FIXTURE(QuickTree, "deferred starts nothing until it is called")
{
    {
        auto operation = make().async_execute_command(request(), asio::deferred);
        auto unused = make().async_execute_command(request());  // the default token
        clock->run(ctx);
        CHECK(tree.published.empty());
        std::move(operation)([&](error_code e, ExecutionResult r) {
            ec = e;
            result = std::move(r);
        });
    }
    clock->run(ctx);
    CHECK(result.status == ExecutionStatus::completed);
    CHECK(tree.published.size() == 1);
}

TEST_CASE_FIXTURE(QuickTree, "detached: it runs to its end all the same")
{
    make().async_execute_command(request(), asio::detached);
    executor.reset();
    clock->run(ctx);
    CHECK(tree.published.size() == 1);
    CHECK(sink->count(EventType::execution_completed) == 1);
}

TEST_CASE_FIXTURE(QuickTree, "use_awaitable throws the sentence; as_tuple gives it as a value")
{
    const auto thrown = run([&]() -> asio::awaitable<void> {
        auto r = co_await make().async_execute_command(request(), asio::use_awaitable);
        CHECK(r.status == ExecutionStatus::completed);
        auto operation =
            make().async_execute_command(request(""), asio::as_tuple(asio::use_awaitable));
        auto [e, refused] = co_await std::move(operation);
        CHECK(e == errc::invalid_command);
        REQUIRE(refused.error);
        CHECK(refused.error->message.find("is empty") != std::string::npos);
        co_await make().async_execute_command(request(""), asio::use_awaitable);
    });
    CHECK(code_of(thrown) == errc::invalid_command);
}

TEST_CASE_FIXTURE(QuickTree, "the awaitable form throws an error whose text is for a person")
{
    tree.lock_error = errc::worktree_busy;
    const auto thrown =
        run([&]() -> asio::awaitable<void> { co_await make().execute_command(request()); });
    CHECK(code_of(thrown) == errc::worktree_busy);
    CHECK(what_of(thrown).find("Another executor is running a command in the worktree '/tree'") !=
          std::string::npos);
}

TEST_CASE_FIXTURE(QuickTree, "the awaitable of a destroyed executor still works")
{
    auto work = make().execute_command(request());
    executor.reset();
    const auto thrown = run([&]() -> asio::awaitable<void> {
        auto r = co_await std::move(work);
        CHECK(r.status == ExecutionStatus::completed);
    });
    CHECK_FALSE(thrown);
    // One that nobody awaits starts nothing.
    {
        auto unused = make().execute_command(request());
    }
    CHECK(tree.published.size() == 1);
}

TEST_CASE_FIXTURE(QuickTree, "two awaitables at once, each with its own result")
{
    using namespace asio::experimental::awaitable_operators;
    handoff->at("/other").on_publish = [this] { handoff->at("/other").fail("boom"); };
    const auto thrown = run([&]() -> asio::awaitable<void> {
        auto both = make().execute_command(request()) &&
                    make().execute_command(CommandRequest("test", "/other"));
        auto [one, two] = co_await std::move(both);
        CHECK(one.status == ExecutionStatus::completed);
        CHECK(two.status == ExecutionStatus::failed);
    });
    CHECK_FALSE(thrown);
}

TEST_CASE_FIXTURE(QuickTree, "use_future, with the context on another thread")
{
    options.clock.reset();  // the real one: another thread cannot turn the virtual one
    options.polling_interval = 1ms;
    auto future = make().async_execute_command(request(), asio::use_future);
    auto refused = make().async_execute_command(request(""), asio::use_future);
    std::thread thread([&] { ctx.run(); });
    CHECK(future.get().status == ExecutionStatus::completed);
    // The thread sanitizer cannot see how the library counts the owners of an exception.
    thread.join();
    CHECK_THROWS_AS(refused.get(), system_error);
}

TEST_CASE_FIXTURE(QuickTree, "a handler runs on the executor it is bound to")
{
    asio::thread_pool pool(1);
    const auto its = asio::make_strand(pool);
    std::promise<bool> there;
    const auto handler = [&](error_code, const ExecutionResult&) {
        there.set_value(its.running_in_this_thread());
    };
    make().async_execute_command(request(), asio::bind_executor(its, handler));
    clock->run(ctx);
    CHECK(there.get_future().get());
    pool.join();
}

TEST_CASE_FIXTURE(ExecutorFixture, "a handler that blocks holds up nothing but its own thread")
{
    options.clock.reset();
    options.polling_interval = 1ms;
    options.handoff = handoff;
    handoff->at("/one").on_publish = [this] { handoff->at("/one").complete(); };
    handoff->at("/two").on_publish = [this] { handoff->at("/two").complete(); };
    asio::thread_pool pool(2);
    {
        BackgroundAgentAutoExecutor shared(pool.get_executor(), options);
        std::promise<std::future_status> seen;
        shared.async_execute_command(
            CommandRequest("a", "/one"), [&](error_code, const ExecutionResult&) {
                auto other =
                    shared.async_execute_command(CommandRequest("b", "/two"), asio::use_future);
                seen.set_value(other.wait_for(20s));
            });
        CHECK(seen.get_future().get() == std::future_status::ready);
        pool.join();
    }
}

TEST_CASE_FIXTURE(ExecutorFixture, "cancellation comes through every kind of token")
{
    std::exception_ptr thrown;
    const auto keep = [&](error_code e, ExecutionResult r) {
        ++results;
        ec = e;
        result = std::move(r);
    };
    SUBCASE("deferred")
    {
        make().async_execute_command(
            request(), asio::deferred)(asio::bind_cancellation_slot(cancel.slot(), keep));
    }
    SUBCASE("use_awaitable")
    {
        asio::co_spawn(ctx, make().async_execute_command(request(), asio::use_awaitable),
                       asio::bind_cancellation_slot(cancel.slot(),
                                                    [&](std::exception_ptr e, ExecutionResult r) {
                                                        thrown = e;
                                                        keep({}, std::move(r));
                                                    }));
    }
    SUBCASE("the awaitable form")
    {
        asio::co_spawn(ctx, make().execute_command(request()),
                       asio::bind_cancellation_slot(cancel.slot(),
                                                    [&](std::exception_ptr e, ExecutionResult r) {
                                                        thrown = e;
                                                        keep({}, std::move(r));
                                                    }));
    }
    SUBCASE("on another executor")
    {
        make().async_execute_command(
            request(), asio::bind_cancellation_slot(
                           cancel.slot(), asio::bind_executor(asio::make_strand(ctx), keep)));
    }
    clock->at(7s, [&] { cancel.emit(asio::cancellation_type::terminal); });
    clock->run(ctx);
    CHECK_FALSE(thrown);
    CHECK(result.status == ExecutionStatus::cancelled);
    CHECK(result.duration == 7s);
    check_end();
}

TEST_CASE_FIXTURE(ExecutorFixture, "a cancelled coroutine stays cancelled after its command")
{
    std::optional<ExecutionStatus> first;
    bool second = false;
    std::exception_ptr thrown;
    auto body = [&]() -> asio::awaitable<void> {
        auto r = co_await make().execute_command(request());
        first = r.status;
        co_await make().execute_command(request());
        second = true;
    };
    asio::co_spawn(
        ctx, body,
        asio::bind_cancellation_slot(cancel.slot(), [&](std::exception_ptr e) { thrown = e; }));
    clock->at(7s, [&] { cancel.emit(asio::cancellation_type::terminal); });
    clock->run(ctx);
    CHECK(first == ExecutionStatus::cancelled);
    CHECK_FALSE(second);
    CHECK(code_of(thrown) == asio::error::operation_aborted);
    CHECK(tree.published.size() == 1);
}

TEST_CASE_FIXTURE(ExecutorFixture,
                  "a coroutine that lets partial cancellation through gets a gentle stop")
{
    tree.on_publish = [&] { tree.take(); };
    std::optional<ExecutionResult> r;
    auto body = [&]() -> asio::awaitable<void> {
        co_await asio::this_coro::reset_cancellation_state(asio::enable_total_cancellation());
        auto got = co_await make().execute_command(request());
        r = std::move(got);
    };
    asio::co_spawn(ctx, body, asio::bind_cancellation_slot(cancel.slot(), asio::detached));
    clock->at(7s, [&] { cancel.emit(asio::cancellation_type::partial); });
    clock->at(9s, [&] { tree.complete(); });
    clock->run(ctx);
    REQUIRE(r);
    CHECK(r->status == ExecutionStatus::cancelled);
    CHECK(r->duration == 9s);
}

TEST_CASE_FIXTURE(ExecutorFixture, "cancelling before the start, twice, and after the end")
{
    auto signal = std::make_unique<asio::cancellation_signal>();
    const auto begin = [&] {
        make().async_execute_command(
            request(),
            asio::bind_cancellation_slot(signal->slot(), [&](error_code, ExecutionResult r) {
                ++results;
                result = std::move(r);
            }));
    };
    signal->emit(asio::cancellation_type::terminal);  // there is nothing yet
    begin();
    clock->at(7s, [&] {
        for (int i = 0; i < 3; ++i) signal->emit(asio::cancellation_type::total);
    });
    clock->run(ctx);
    CHECK(result.status == ExecutionStatus::cancelled);
    signal->emit(asio::cancellation_type::terminal);
    clock->run(ctx);
    CHECK(results == 1);

    // The signal may go at once after it was emitted.
    begin();
    clock->at(17s, [&] {
        signal->emit(asio::cancellation_type::terminal);
        signal.reset();
    });
    clock->run(ctx);
    CHECK(results == 2);
    CHECK(result.status == ExecutionStatus::cancelled);
    CHECK(result.duration == 10s);
}

TEST_CASE("a signal may outlive the command, the executor, and the context")
{
    asio::cancellation_signal signal;
    {
        ExecutorFixture fixture;
        fixture.make().async_execute_command(
            ExecutorFixture::request(),
            asio::bind_cancellation_slot(signal.slot(), [](error_code, const ExecutionResult&) {}));
        fixture.clock->run_until(fixture.ctx, 7s);
    }
    signal.emit(asio::cancellation_type::terminal);
}

TEST_CASE_FIXTURE(ExecutorFixture, "signals emitted on other threads as their commands end")
{
    options.clock.reset();
    options.polling_interval = 1ms;
    constexpr int rounds = 200;
    asio::thread_pool pool(2);
    auto& one = handoff->at("/one");
    one.on_publish = [&] { one.complete(); };
    BackgroundAgentAutoExecutor shared(pool.get_executor(), options);
    int ended = 0;
    for (int i = 0; i < rounds; ++i) {
        auto signal = std::make_unique<asio::cancellation_signal>();
        std::promise<void> done;
        shared.async_execute_command(
            CommandRequest("a", "/one"),
            asio::bind_cancellation_slot(signal->slot(), [&](error_code e, ExecutionResult r) {
                CHECK_FALSE(e);
                CHECK((r.status == ExecutionStatus::completed ||
                       r.status == ExecutionStatus::cancelled));
                ++ended;
                done.set_value();
            }));
        if (i % 2 == 0) std::this_thread::yield();
        signal->emit(asio::cancellation_type::terminal);
        signal.reset();
        done.get_future().wait();
    }
    pool.join();
    CHECK(ended == rounds);
}

TEST_CASE_FIXTURE(QuickTree, "adapters of deferred change what the operation gives, and its start")
{
    using namespace asio::experimental;
    auto both = make_parallel_group(make().async_execute_command(request(), asio::deferred),
                                    make().async_execute_command(request(""), asio::deferred));
    both.async_wait(wait_for_all(), [&](auto order, error_code first, ExecutionResult done,
                                        error_code second, const ExecutionResult&) {
        CHECK(order.size() == 2);
        CHECK_FALSE(first);
        CHECK(done.status == ExecutionStatus::completed);
        CHECK(second == errc::invalid_command);
        ++results;
    });
    auto chain =
        make().async_execute_command(request(), asio::deferred([](error_code, ExecutionResult r) {
                                         return asio::deferred.values(r.attempts);
                                     }));
    std::move(chain)([&](int attempts) {
        CHECK(attempts == 1);
        ++results;
    });
    auto as_tuple = make().async_execute_command(request(""), asio::as_tuple(asio::deferred));
    std::move(as_tuple)([&](std::tuple<error_code, ExecutionResult> t) {
        CHECK(std::get<0>(t) == errc::invalid_command);
        ++results;
    });
    clock->run(ctx);
    CHECK(results == 3);
}

TEST_CASE_FIXTURE(QuickTree, "the first of two operations cancels the other one")
{
    auto group = asio::experimental::make_parallel_group(
        make().async_execute_command(request(), asio::deferred),
        make().async_execute_command(CommandRequest("waits", "/other"), asio::deferred));
    group.async_wait(
        asio::experimental::wait_for_one(),
        [&](auto, error_code, const ExecutionResult& one, error_code, const ExecutionResult& two) {
            CHECK(one.status == ExecutionStatus::completed);
            CHECK(two.status == ExecutionStatus::cancelled);
            ++results;
        });
    clock->run(ctx);
    CHECK(results == 1);
}

TEST_CASE_FIXTURE(QuickTree, "an operation tells its executor to the token")
{
    const asio::any_io_executor ex = ctx.get_executor();
    CHECK(make().get_executor() == ex);
    CHECK(make().async_execute_command(request(), ExecutorProbe{}) == ex);
    CHECK(make().async_poll_for_completion("/tree", {}, 1s, ExecutorProbe{}) == ex);
    CHECK(make().async_recover(ExecutorProbe{}) == ex);
    CHECK(make().async_stop(ExecutorProbe{}) == ex);
}

TEST_CASE_FIXTURE(ExecutorFixture, "the other operations take tokens, too")
{
    std::optional<std::size_t> interrupted;
    make().async_recover([&](error_code e, std::vector<InterruptedAttempt> found) {
        CHECK_FALSE(e);
        interrupted = found.size();
    });
    auto& watched = handoff->at("/watched");
    make().async_poll_for_completion("/watched", {}, 60s, [&](error_code e, ExecutionResult r) {
        CHECK_FALSE(e);
        CHECK(r.status == ExecutionStatus::completed);
        ++results;
    });
    clock->at(7s, [&] { watched.write_text(R"({"status": "completed"})"); });
    clock->run(ctx);
    CHECK(results == 1);
    make().async_adopt(AttemptReference("execution", "attempt", 1), CommandRequest("", "/tree"),
                       [&](error_code e, auto&&) {
                           CHECK(e == errc::invalid_command);
                           ++results;
                       });
    clock->run(ctx);
    CHECK(results == 2);
    make().async_stop([&](error_code e) {
        CHECK_FALSE(e);
        ++results;
    });
    clock->run(ctx);
    CHECK(interrupted == 0U);
    CHECK(results == 3);
}

TEST_SUITE_END();
