#include "git/gate.hpp"

#include <boost/asio/this_coro.hpp>

namespace autoexec::git {

asio::awaitable<void> Gate::enter()
{
    if (free_ > 0) {
        --free_;
        co_return;
    }
    Waiter waiter;
    waiter.timer = clock_->make_timer(co_await asio::this_coro::executor);
    line_.push_back(&waiter);
    while (!waiter.admitted) co_await waiter.timer->wait_until(time_point::max());
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
