#pragma once

#include "async/short_names.hpp"
#include "autoexec/clock.hpp"

#include <cstddef>
#include <list>

namespace autoexec::async {

/// What a semaphore needs for each of its slots in addition, shared with others.
class SlotSource {
public:
    virtual ~SlotSource() = default;

    /// False: there is none now. The owner of the semaphore calls `retry` when there may be one.
    virtual bool acquire() = 0;
    virtual void release() = 0;
    /// True if others wait, so that what is released is for them first.
    [[nodiscard]] virtual bool others_wait() = 0;
};

/// A semaphore whose slots are granted in the order of asking. Thread safety: none; use it on one
/// strand. It must outlive its guards.
class FifoSemaphore {
public:
    /// Zero slots: no limit. The source, if any, must outlive this.
    explicit FifoSemaphore(std::size_t slots, SlotSource* source = nullptr) : source_(source)
    {
        set_slots(slots);
    }

    /// With fewer, those that are taken stay taken.
    void set_slots(std::size_t slots);
    [[nodiscard]] bool idle() const noexcept { return waiting_.empty() && taken_ == 0; }

    /// The first in the queue waits for the source alone.
    [[nodiscard]] bool needs_source() const noexcept
    {
        return source_ != nullptr && taken_ < slots_ && !waiting_.empty();
    }
    /// Asks the source again.
    void retry() { admit_waiting(); }

private:
    friend class SemaphoreGuard;
    struct Ticket {
        Timer* alarm = nullptr;
        bool admitted = false;
    };

    void join(Ticket& ticket);
    void leave(Ticket& ticket);
    [[nodiscard]] bool take();
    void admit_waiting();
    void admit_first();

    SlotSource* source_;
    std::size_t slots_ = 0;
    std::size_t taken_ = 0;
    std::list<Ticket*> waiting_;  // std::deque allocates 512 bytes even when empty
};

/// Takes a slot or queues for one; when destroyed, gives the slot back or leaves the queue.
class SemaphoreGuard {
public:
    /// `alarm` is woken when the slot is granted.
    SemaphoreGuard(FifoSemaphore& semaphore, Timer& alarm) : semaphore_(semaphore)
    {
        ticket_.alarm = &alarm;
        semaphore_.join(ticket_);
    }
    ~SemaphoreGuard() { semaphore_.leave(ticket_); }
    SemaphoreGuard(const SemaphoreGuard&) = delete;
    SemaphoreGuard& operator=(const SemaphoreGuard&) = delete;

    [[nodiscard]] bool admitted() const noexcept { return ticket_.admitted; }

    /// Waits on the alarm until the slot is granted. Where cancellation can end the wait, call
    /// `admitted` in a loop of your own instead.
    asio::awaitable<void> admission();

private:
    FifoSemaphore& semaphore_;
    FifoSemaphore::Ticket ticket_;
};

}  // namespace autoexec::async
