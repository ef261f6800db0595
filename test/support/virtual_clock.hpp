#pragma once

#include "async/short_names.hpp"
#include "autoexec/ports.hpp"

#include <boost/asio/io_context.hpp>

#include <chrono>
#include <functional>
#include <map>
#include <memory>

namespace autoexec::test {

/// Time that moves only when nothing else can run. Single-threaded.
class VirtualClock final : public Clock {
public:
    time_point now() const noexcept override { return now_; }

    std::chrono::system_clock::time_point system_now() const noexcept override;

    std::unique_ptr<Timer> make_timer(const asio::any_io_executor& ex) override;

    std::chrono::nanoseconds elapsed() const noexcept { return now_.time_since_epoch(); }

    /// Calls `what` when the virtual time is `t` after the start.
    void at(std::chrono::nanoseconds t, std::function<void()> what);

    /// Runs `ctx` until it has no work left, jumping from one event to the next.
    /// Throws when work remains but no event can ever wake it: a deadlock in the code under test.
    void run(asio::io_context& ctx);

    /// Runs `ctx` until the virtual time is `t` after the start, or no work is left.
    void run_until(asio::io_context& ctx, std::chrono::nanoseconds t);

    /// Runs one handler or, where none is ready, jumps to the next event. False when nothing is
    /// left.
    bool step(asio::io_context& ctx);

    static constexpr std::chrono::system_clock::time_point epoch{
        std::chrono::sys_days{std::chrono::year{2026} / std::chrono::January / 20}};

private:
    class VirtualTimer;

    void fire_next();

    time_point now_{};
    std::multimap<time_point, std::function<void()>> events_;
};

}  // namespace autoexec::test
