#pragma once

#include <autoexec/clock.hpp>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/io_context.hpp>

#include <chrono>
#include <functional>
#include <map>
#include <memory>

namespace autoexec::inline v1::testing {

/// A clock whose time moves only when nothing else can run: a test of an hour's work takes
/// milliseconds. Give it to both sides (`ExecutorOptions::clock`, `MockAgentOptions::clock`), and
/// call `run` instead of `io_context::run`. Single-threaded; programs that really run do not
/// follow it.
class VirtualClock final : public Clock {
public:
    /// The date and time at the start.
    static constexpr std::chrono::system_clock::time_point epoch{
        std::chrono::sys_days{std::chrono::year{2026} / std::chrono::January / 20}};

    time_point now() const noexcept override { return now_; }
    std::chrono::system_clock::time_point system_now() const noexcept override;
    std::unique_ptr<Timer> make_timer(const boost::asio::any_io_executor& ex) override;

    /// The virtual time since the start, without that of `suspend`.
    [[nodiscard]] std::chrono::nanoseconds elapsed() const noexcept
    {
        return now_.time_since_epoch();
    }

    /// As if the machine were suspended for that long: the date and time advance, and monotonic
    /// time does not.
    void suspend(std::chrono::nanoseconds time) { suspended_ += time; }

    /// Calls `what` when the virtual time is `t` after the start.
    void at(std::chrono::nanoseconds t, std::function<void()> what);

    /// Runs `ctx` until it has no work left, jumping from one event to the next. Throws
    /// `std::logic_error` when work remains but no event can ever wake it: a deadlock.
    void run(boost::asio::io_context& ctx);

    /// Runs `ctx` until the virtual time is `t` after the start, or no work is left.
    void run_until(boost::asio::io_context& ctx, std::chrono::nanoseconds t);

    /// Runs one handler or, if none is ready, jumps to the next event. Returns false when nothing
    /// is left.
    bool step(boost::asio::io_context& ctx);

private:
    class VirtualTimer;

    void fire_next();

    time_point now_{};
    std::chrono::nanoseconds suspended_{0};
    std::multimap<time_point, std::function<void()>> events_;
};

}  // namespace autoexec::inline v1::testing
