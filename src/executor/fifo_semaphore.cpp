#include "executor/executor_impl.hpp"

#include <algorithm>

namespace autoexec {

void FifoSemaphore::join(Ticket& ticket)
{
    if (taken_ < places_ && waiting_.empty()) {
        ++taken_;
        ticket.admitted = true;
    } else {
        waiting_.push_back(&ticket);
    }
}

void FifoSemaphore::leave(Ticket& ticket)
{
    if (!ticket.admitted) {
        waiting_.erase(std::find(waiting_.begin(), waiting_.end(), &ticket));
        return;
    }
    --taken_;
    admit_waiting();
}

void FifoSemaphore::set_places(std::size_t places)
{
    places_ = places == 0 ? std::size_t(-1) : places;
    admit_waiting();
}

// The place goes straight to the next in line: nobody can slip in between.
void FifoSemaphore::admit_waiting()
{
    while (taken_ < places_ && !waiting_.empty()) {
        auto* const next = waiting_.front();
        waiting_.pop_front();
        ++taken_;
        next->admitted = true;
        next->alarm->wake();
    }
}

}  // namespace autoexec
