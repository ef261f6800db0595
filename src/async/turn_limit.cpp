#include "async/turn_limit.hpp"

#include <boost/asio/post.hpp>

#include <algorithm>
#include <utility>

namespace autoexec::async {

/// A place in the queue.
class TurnLimit::Ticket {
public:
    Ticket(State& state, Timer& alarm) : state_(state), alarm_(alarm)
    {
        place_ = state_.waiting.insert(state_.waiting.end(), this);
    }
    ~Ticket()
    {
        if (!admitted_) state_.waiting.erase(place_);
    }
    Ticket(const Ticket&) = delete;
    Ticket& operator=(const Ticket&) = delete;

    [[nodiscard]] bool admitted() const noexcept { return admitted_; }
    /// It has left the queue.
    void admit()
    {
        admitted_ = true;
        alarm_.wake();
    }

private:
    State& state_;
    Timer& alarm_;
    std::list<Ticket*>::iterator place_;
    bool admitted_ = false;
};

bool TurnLimit::enter()
{
    auto& state = *state_;
    if (state.used >= state.per_turn || !state.waiting.empty()) return false;
    ++state.used;
    state.end_turn_later();
    return true;
}

asio::awaitable<void> TurnLimit::admission(Timer& alarm)
{
    const auto state = state_;
    Ticket ticket(*state, alarm);  // not const: it is admitted
    while (!ticket.admitted()) co_await alarm.wait_until(time_point::max());
}

void TurnLimit::State::begin_turn()
{
    turn_ends = false;
    used = 0;
    while (used < per_turn && !waiting.empty()) {
        auto* const next = waiting.front();
        waiting.pop_front();
        ++used;
        next->admit();
    }
    if (used > 0) end_turn_later();
}

// What is posted runs after the handlers that are ready now, those of other strands included.
void TurnLimit::State::end_turn_later()
{
    if (std::exchange(turn_ends, true)) return;
    asio::post(strand, [weak = weak_from_this()] {
        if (const auto self = weak.lock()) self->begin_turn();
    });
}

}  // namespace autoexec::async
