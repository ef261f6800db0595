#include "async/fifo_semaphore.hpp"

#include <algorithm>

namespace autoexec::async {

void FifoSemaphore::join(Ticket& ticket)
{
    if (taken_ < slots_ && waiting_.empty()) {
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

void FifoSemaphore::set_slots(std::size_t slots)
{
    slots_ = slots == 0 ? std::size_t(-1) : slots;
    admit_waiting();
}

// The slot passes straight to the next in the queue: a later caller cannot overtake it.
void FifoSemaphore::admit_waiting()
{
    while (taken_ < slots_ && !waiting_.empty()) {
        auto* const next = waiting_.front();
        waiting_.pop_front();
        ++taken_;
        next->admitted = true;
        next->alarm->wake();
    }
}

asio::awaitable<void> SemaphoreGuard::admission()
{
    while (!ticket_.admitted) co_await ticket_.alarm->wait_until(time_point::max());
}

}  // namespace autoexec::async
