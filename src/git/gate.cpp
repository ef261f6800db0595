#include "git/gate.hpp"

#include <boost/asio/this_coro.hpp>

#include <algorithm>

namespace autoexec::git {

asio::awaitable<void> Gate::enter()
{
    if (free_ > 0) {
        --free_;
        co_return;
    }
    Waiter waiter(*this);
    waiter.timer = clock_->make_timer(co_await asio::this_coro::executor);
    line_.push_back(&waiter);
    while (!waiter.admitted) co_await waiter.timer->wait_until(time_point::max());
    waiter.inside = true;
}

// One that was destroyed while it waited must not be admitted, nor keep what was passed on to it.
Gate::Waiter::~Waiter()
{
    std::erase(gate.line_, this);
    if (admitted && !inside) gate.leave();
}

void Gate::leave()
{
    if (line_.empty()) {
        ++free_;
        return;
    }
    // Passed on, so that who comes later is not faster.
    line_.front()->admitted = true;
    line_.front()->timer->wake();
    line_.pop_front();
}

}  // namespace autoexec::git
