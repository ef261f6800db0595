#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>

#include <chrono>
#include <memory>

namespace autoexec::inline v1 {

/// A timer for one coroutine. Not thread-safe: use it on the executor that it was made for.
class Timer {
public:
    virtual ~Timer() = default;

    /// Completes at `t`, at `wake()`, or when the coroutine is cancelled, whichever is first;
    /// at once if `wake()` was called since the last wait. Does not throw.
    virtual boost::asio::awaitable<void> wait_until(std::chrono::steady_clock::time_point t) = 0;
    /// Ends the current wait, or else the next one.
    virtual void wake() = 0;
};

/// The time, and timers that use it. Tests replace it.
class Clock {
public:
    /// Of the monotonic clock.
    using time_point = std::chrono::steady_clock::time_point;

    virtual ~Clock() = default;
    /// Monotonic, for deadlines. It does not advance while the machine is suspended, so neither do
    /// time-outs: a program that did not run has used nothing of its time.
    virtual time_point now() const noexcept = 0;
    /// The date and time, for records.
    virtual std::chrono::system_clock::time_point system_now() const noexcept = 0;
    /// A timer for one coroutine on `ex`.
    virtual std::unique_ptr<Timer> make_timer(const boost::asio::any_io_executor& ex) = 0;
};

/// The real clock: `steady_timer`s, rounded up to a grid of 1 ms.
std::shared_ptr<Clock> system_clock();

}  // namespace autoexec::inline v1
