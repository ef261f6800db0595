#pragma once

#include "async/short_names.hpp"
#include "autoexec/clock.hpp"

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/strand.hpp>

#include <cstddef>
#include <list>
#include <memory>

namespace autoexec::async {

/// Lets only so many coroutines of a strand continue in one turn of the event loop, and the others
/// in the next turns, in order: thousands that are woken at once do not hold up what else the
/// context runs. Thread safety: none; use it on the strand.
class TurnLimit {
public:
    TurnLimit(asio::strand<asio::any_io_executor> strand, std::size_t per_turn)
        : state_(std::make_shared<State>(std::move(strand), per_turn))
    {}

    /// True if the caller may continue in this turn; else it awaits `admission`.
    bool enter();
    /// Completes in the first turn with room, whether the coroutine is cancelled or not. `alarm` is
    /// that of the coroutine.
    asio::awaitable<void> admission(Timer& alarm);

private:
    class Ticket;
    struct State : std::enable_shared_from_this<State> {
        State(asio::strand<asio::any_io_executor> s, std::size_t n)
            : strand(std::move(s)), per_turn(n)
        {}

        void begin_turn();
        void end_turn_later();

        asio::strand<asio::any_io_executor> strand;
        std::size_t per_turn;
        std::size_t used = 0;
        bool turn_ends = false;
        std::list<Ticket*> waiting;
    };

    std::shared_ptr<State> state_;
};

}  // namespace autoexec::async
