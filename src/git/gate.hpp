#pragma once

#include "autoexec/clock.hpp"

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

    /// `leave` must follow: see `Turn`.
    asio::awaitable<void> enter();
    void leave();

private:
    struct Waiter {
        explicit Waiter(Gate& g) : gate(g) {}
        ~Waiter();
        Waiter(const Waiter&) = delete;
        Waiter& operator=(const Waiter&) = delete;

        Gate& gate;
        std::unique_ptr<Timer> timer;
        bool admitted = false;
        bool inside = false;
    };

    std::shared_ptr<Clock> clock_;
    std::size_t free_;
    std::deque<Waiter*> line_;
};

/// Leaves what was entered when it goes, however that comes about.
template <class Door>
class Turn {
public:
    explicit Turn(Door& door) : door_(&door) {}
    ~Turn()
    {
        if (door_ != nullptr) door_->leave();
    }
    Turn(const Turn&) = delete;
    Turn& operator=(const Turn&) = delete;

    /// Somebody else leaves.
    void keep() noexcept { door_ = nullptr; }

private:
    Door* door_;
};

}  // namespace autoexec::git
