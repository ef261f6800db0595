#include "async/short_names.hpp"
#include "autoexec/ports.hpp"

#include <boost/asio/error.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <utility>

namespace autoexec::inline v1 {
namespace {

// Each distinct expiry costs a system call; rounded to a grid, thousands of waiters share a few.
time_point round_up_to_ms(time_point t)
{
    if (t == time_point::max()) return t;
    return std::chrono::ceil<std::chrono::milliseconds>(t);
}

// Not a coroutine of its own: thousands wait.
class SystemTimer final : public Timer {
public:
    explicit SystemTimer(const asio::any_io_executor& ex) : timer_(ex) {}

    asio::awaitable<void> wait_until(time_point t) override
    {
        if (std::exchange(woken_, false)) return nothing();
        result_ = asio::error::would_block;
        timer_.expires_at(round_up_to_ms(t));
        return timer_.async_wait(asio::redirect_error(asio::use_awaitable, result_));
    }

    void wake() override
    {
        if (result_ == asio::error::would_block)
            timer_.cancel();
        else
            woken_ = true;
    }

private:
    static asio::awaitable<void> nothing() { co_return; }

    asio::steady_timer timer_;
    // `would_block` until the waiting coroutine continues. If a cancellation throws at its
    // `co_await`, the wait does not begin, and the next `wake` is lost: such a coroutine must not
    // wait again.
    error_code result_;
    bool woken_ = false;
};

class SystemClock final : public Clock {
public:
    time_point now() const noexcept override { return std::chrono::steady_clock::now(); }

    std::chrono::system_clock::time_point system_now() const noexcept override
    {
        return std::chrono::system_clock::now();
    }

    std::unique_ptr<Timer> make_timer(const asio::any_io_executor& ex) override
    {
        return std::make_unique<SystemTimer>(ex);
    }
};

}  // namespace

std::shared_ptr<Clock> system_clock()
{
    return std::make_shared<SystemClock>();
}

}  // namespace autoexec::inline v1
