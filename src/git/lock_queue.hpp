#pragma once

#include "autoexec/clock.hpp"

#include "async/fifo_semaphore.hpp"
#include "async/short_names.hpp"
#include "files/safe_files.hpp"
#include "git/interrupt.hpp"

#include <boost/asio/awaitable.hpp>

#include <chrono>
#include <filesystem>
#include <memory>
#include <string>

namespace autoexec::git {

/// The lock of a repository, a file in its common directory. It guards changes of the list of
/// worktrees, for milliseconds. Within a process it is FIFO; between processes it is polled,
/// because waiting for a file lock would block a thread.
///
/// Thread safety: none; one strand. Must outlive its waiters.
class LockQueue {
public:
    LockQueue(std::filesystem::path file, std::shared_ptr<Clock> clock,
              std::chrono::milliseconds timeout)
        : file_(std::move(file)), clock_(std::move(clock)), timeout_(timeout), queue_(1)
    {}

    /// Returns an empty text when the lock is acquired, otherwise the reason. `release` must
    /// follow: see `Lock`. The time-out starts when this call is the first of this process in the
    /// queue.
    asio::awaitable<std::string> acquire(
        std::shared_ptr<const Interrupt> interrupt = std::make_shared<const Interrupt>());
    void release();

    /// Valid only while the lock is held.
    [[nodiscard]] int descriptor() const noexcept { return held_.get(); }

private:
    std::string open();

    std::filesystem::path file_;
    std::shared_ptr<Clock> clock_;
    std::chrono::milliseconds timeout_;
    /// A slot of `queue_`, and its alarm.
    struct Turn {
        Turn(async::FifoSemaphore& queue, std::unique_ptr<Timer> a)
            : alarm(std::move(a)), slot(queue, *alarm)
        {}
        std::unique_ptr<Timer> alarm;
        async::SemaphoreGuard slot;
    };

    async::FifoSemaphore queue_;
    std::unique_ptr<Turn> turn_;  ///< Of the holder of the lock.
    files::UniqueFd held_;
};

/// Leaves a queue whose lock is held, when destroyed.
class Lock {
public:
    explicit Lock(LockQueue& queue) : queue_(queue) {}
    ~Lock() { queue_.release(); }
    Lock(const Lock&) = delete;
    Lock& operator=(const Lock&) = delete;

private:
    LockQueue& queue_;
};

}  // namespace autoexec::git
