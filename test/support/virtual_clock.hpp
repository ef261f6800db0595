#pragma once

#include "autoexec/ports.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <algorithm>
#include <functional>
#include <map>
#include <memory>
#include <stdexcept>
#include <utility>

namespace autoexec::test {

/// Time that moves only when nothing else can run. Single-threaded.
class VirtualClock final : public Clock {
public:
    time_point now() const noexcept override { return now_; }

    std::chrono::system_clock::time_point system_now() const noexcept override
    {
        return epoch + std::chrono::duration_cast<std::chrono::system_clock::duration>(elapsed());
    }

    std::unique_ptr<Timer> make_timer(const asio::any_io_executor& ex) override
    {
        return std::make_unique<VirtualTimer>(*this, ex);
    }

    std::chrono::nanoseconds elapsed() const noexcept { return now_.time_since_epoch(); }

    /// Calls `what` when the virtual time is `t` after the start.
    void at(std::chrono::nanoseconds t, std::function<void()> what)
    {
        events_.emplace(time_point{t}, std::move(what));
    }

    /// Runs `ctx` until it has no work left, jumping from one event to the next.
    /// Throws when work remains but no event can ever wake it: a deadlock in the code under test.
    void run(asio::io_context& ctx)
    {
        ctx.restart();
        while (ctx.poll(), !ctx.stopped()) {
            if (events_.empty()) throw std::logic_error("VirtualClock: nothing left to wait for");
            fire_next();
        }
    }

    /// Runs `ctx` until the virtual time is `t` after the start, or no work is left.
    void run_until(asio::io_context& ctx, std::chrono::nanoseconds t)
    {
        ctx.restart();
        while (ctx.poll(),
               !ctx.stopped() && !events_.empty() && events_.begin()->first <= time_point{t})
            fire_next();
        now_ = std::max(now_, time_point{t});
    }

    /// Runs one handler or, where none is ready, jumps to the next event. False when nothing is
    /// left.
    bool step(asio::io_context& ctx)
    {
        if (ctx.poll_one() > 0) return true;
        if (ctx.stopped() || events_.empty()) return false;
        fire_next();
        return true;
    }

    static constexpr std::chrono::system_clock::time_point epoch{
        std::chrono::sys_days{std::chrono::year{2026} / std::chrono::January / 20}};

private:
    class VirtualTimer final : public Timer {
    public:
        VirtualTimer(VirtualClock& clock, const asio::any_io_executor& ex)
            : clock_(clock), parked_(std::make_shared<asio::steady_timer>(ex))
        {}

        asio::awaitable<void> wait_until(time_point t) override
        {
            if (!woken_ && clock_.now_ < t) {
                parked_->expires_at(time_point::max());
                ++wait_;
                if (t != time_point::max()) {  // else only a wake-up ends it
                    clock_.events_.emplace(t, [weak = std::weak_ptr(parked_), id = wait_, this] {
                        if (const auto timer = weak.lock(); timer && id == wait_) timer->cancel();
                    });
                }
                error_code ignored;
                co_await parked_->async_wait(asio::redirect_error(asio::use_awaitable, ignored));
                ++wait_;
            }
            woken_ = false;
        }

        void wake() override
        {
            woken_ = true;
            parked_->cancel();
        }

    private:
        VirtualClock& clock_;
        std::shared_ptr<asio::steady_timer> parked_;
        std::uint64_t wait_ = 0;  // an event of an earlier wait must not end this one
        bool woken_ = false;
    };

    void fire_next()
    {
        const auto event = events_.extract(events_.begin());
        now_ = std::max(now_, event.key());
        event.mapped()();
    }

    time_point now_{};
    std::multimap<time_point, std::function<void()>> events_;
};

}  // namespace autoexec::test
