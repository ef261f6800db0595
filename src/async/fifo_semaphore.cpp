#include "async/fifo_semaphore.hpp"

#include <algorithm>
#include <iterator>

namespace autoexec::async {

bool FifoSemaphore::take(int priority)
{
    if (taken_ >= slots_ || (source_ != nullptr && !source_->acquire(priority))) return false;
    ++taken_;
    return true;
}

void FifoSemaphore::join(Ticket& ticket)
{
    auto place = waiting_.end();
    while (place != waiting_.begin() && (*std::prev(place))->priority < ticket.priority) --place;
    ticket.admitted = place == waiting_.begin() && take(ticket.priority);
    if (!ticket.admitted) waiting_.insert(place, &ticket);
}

// The slot passes straight to the next in the queue: a later caller cannot overtake it.
void FifoSemaphore::leave(Ticket& ticket)
{
    if (!ticket.admitted) {
        waiting_.erase(std::find(waiting_.begin(), waiting_.end(), &ticket));
        return;
    }
    const bool has_next = taken_ <= slots_ && !waiting_.empty();
    if (has_next && (source_ == nullptr || !source_->others_wait(waiting_.front()->priority)))
        return admit_first();
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
    while (!waiting_.empty() && take(waiting_.front()->priority)) admit_first();
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
