#pragma once

#include "async/short_names.hpp"
#include "autoexec/clock.hpp"

#include <cstddef>
#include <list>
#include <optional>

namespace autoexec::async {

/// What a semaphore needs for each of its slots in addition, shared with others.
class SlotSource {
public:
    virtual ~SlotSource() = default;

    /// False: there is none now for this priority. The owner of the semaphore calls `retry` when
    /// there may be one.
    virtual bool acquire(int priority) = 0;
    virtual void release() = 0;
    /// True if others wait with at least this priority, so that what is released is for them first.
    [[nodiscard]] virtual bool others_wait(int priority) = 0;
};

/// A semaphore whose slots are granted by priority, those of the same priority in the order of
/// asking. Thread safety: none; use it on one strand. It must outlive its guards.
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

    /// The priority of the first in the queue, if that waits for the source alone.
    [[nodiscard]] std::optional<int> priority_at_source() const noexcept
    {
        const bool needs_source = source_ != nullptr && taken_ < slots_ && !waiting_.empty();
        return needs_source ? std::optional(waiting_.front()->priority) : std::nullopt;
    }
    /// Asks the source again.
    void retry() { admit_waiting(); }

private:
    friend class SemaphoreGuard;
    struct Ticket {
        Timer* alarm = nullptr;
        int priority = 0;  ///< Higher ones are admitted first.
        bool admitted = false;
    };

    void join(Ticket& ticket);
    void leave(Ticket& ticket);
    [[nodiscard]] bool take(int priority);
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
    SemaphoreGuard(FifoSemaphore& semaphore, Timer& alarm, int priority = 0) : semaphore_(semaphore)
    {
        ticket_.alarm = &alarm;
        ticket_.priority = priority;
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
