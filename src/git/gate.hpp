#pragma once

#include "autoexec/ports.hpp"

#include <boost/asio/awaitable.hpp>

#include <cstddef>
#include <deque>
#include <memory>

namespace autoexec::git {

/// Lets a number of coroutines in at a time, in the order of their coming. Thread safety: none; one
/// strand. Must outlive who waits.
class Gate {
public:
    Gate(std::shared_ptr<Clock> clock, std::size_t width) : clock_(std::move(clock)), free_(width)
    {}

    /// `leave` must follow.
    asio::awaitable<void> enter();
    void leave();

private:
    struct Waiter {
        std::unique_ptr<Timer> timer;
        bool admitted = false;
    };

    std::shared_ptr<Clock> clock_;
    std::size_t free_;
    std::deque<Waiter*> line_;
};

}  // namespace autoexec::git
