#include "async/fifo_semaphore.hpp"

#include <algorithm>

namespace autoexec::async {

bool FifoSemaphore::take()
{
    if (taken_ >= slots_ || (source_ != nullptr && !source_->acquire())) return false;
    ++taken_;
    return true;
}

void FifoSemaphore::join(Ticket& ticket)
{
    ticket.admitted = waiting_.empty() && take();
    if (!ticket.admitted) waiting_.push_back(&ticket);
}

// The slot passes straight to the next in the queue: a later caller cannot overtake it.
void FifoSemaphore::leave(Ticket& ticket)
{
    if (!ticket.admitted) {
        waiting_.erase(std::find(waiting_.begin(), waiting_.end(), &ticket));
        return;
    }
    const bool has_next = taken_ <= slots_ && !waiting_.empty();
    if (has_next && (source_ == nullptr || !source_->others_wait())) return admit_first();
    --taken_;
    if (source_ != nullptr) source_->release();
}

void FifoSemaphore::set_slots(std::size_t slots)
{
    slots_ = slots == 0 ? std::size_t(-1) : slots;
    admit_waiting();
}

void FifoSemaphore::admit_waiting()
{
    while (!waiting_.empty() && take()) admit_first();
}

void FifoSemaphore::admit_first()
{
    auto* const next = waiting_.front();
    waiting_.pop_front();
    next->admitted = true;
    next->alarm->wake();
}

asio::awaitable<void> SemaphoreGuard::admission()
{
    while (!ticket_.admitted) co_await ticket_.alarm->wait_until(time_point::max());
}

}  // namespace autoexec::async
