#include "executor/impl.hpp"

#include <algorithm>

namespace autoexec {

void Turnstile::join(Ticket& ticket)
{
    if (free_ > 0 && waiting_.empty()) {
        --free_;
        ++taken_;
        ticket.admitted = true;
    } else {
        waiting_.push_back(&ticket);
    }
}

void Turnstile::leave(Ticket& ticket)
{
    if (!ticket.admitted) {
        waiting_.erase(std::find(waiting_.begin(), waiting_.end(), &ticket));
        return;
    }
    if (waiting_.empty()) {
        ++free_;
        --taken_;
        return;
    }
    // The place goes straight to the next in line: nobody can slip in between.
    auto* const next = waiting_.front();
    waiting_.pop_front();
    next->admitted = true;
    next->alarm->wake();
}

}  // namespace autoexec
