#include "autoexec/testing/virtual_clock.hpp"

#include "async/short_names.hpp"
#include "autoexec/error.hpp"

#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <algorithm>
#include <cstdint>
#include <stdexcept>
#include <utility>

namespace autoexec::inline v1::testing {

class VirtualClock::VirtualTimer final : public Timer {
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

std::chrono::system_clock::time_point VirtualClock::system_now() const noexcept
{
    return epoch +
           std::chrono::duration_cast<std::chrono::system_clock::duration>(elapsed() + suspended_);
}

std::unique_ptr<Timer> VirtualClock::make_timer(const asio::any_io_executor& ex)
{
    return std::make_unique<VirtualTimer>(*this, ex);
}

void VirtualClock::at(std::chrono::nanoseconds t, std::function<void()> what)
{
    events_.emplace(time_point{t}, std::move(what));
}

void VirtualClock::run(asio::io_context& ctx)
{
    ctx.restart();
    while (ctx.poll(), !ctx.stopped()) {
        if (events_.empty()) throw std::logic_error("VirtualClock: nothing left to wait for");
        fire_next();
    }
}

void VirtualClock::run_until(asio::io_context& ctx, std::chrono::nanoseconds t)
{
    ctx.restart();
    while (ctx.poll(),
           !ctx.stopped() && !events_.empty() && events_.begin()->first <= time_point{t})
        fire_next();
    now_ = std::max(now_, time_point{t});
}

bool VirtualClock::step(asio::io_context& ctx)
{
    if (ctx.poll_one() > 0) return true;
    if (ctx.stopped() || events_.empty()) return false;
    fire_next();
    return true;
}

void VirtualClock::fire_next()
{
    const auto event = events_.extract(events_.begin());
    now_ = std::max(now_, event.key());
    event.mapped()();
}

}  // namespace autoexec::inline v1::testing
