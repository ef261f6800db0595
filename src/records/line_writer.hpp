#pragma once

#include "async/short_names.hpp"
#include "autoexec/clock.hpp"
#include "autoexec/error.hpp"
#include "autoexec/event.hpp"
#include "records/log_file.hpp"

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/strand.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

namespace autoexec::records {

/// A bounded queue of lines that is drained on a strand. Lines that arrive during a write form the
/// next one. Lines stay queued until they are written.
///
/// Thread safety: all functions may be called from any thread.
///
/// Lifetime: owned by `shared_ptr`; release it before the execution context is destroyed.
class LineWriter : public std::enable_shared_from_this<LineWriter> {
public:
    struct Options {
        Folder folder;
        Rotation rotation;
        Durability durability = Durability::process;
        std::size_t queue_limit = 65536;
        std::shared_ptr<Clock> clock;  ///< Not null.
        Disk* disk = &Disk::real();
        std::shared_ptr<const AuditChain> chain;  ///< Null: lines are not chained.
    };

    static constexpr std::size_t max_batch = std::size_t{1} << 20;  ///< Bytes of a write, about.
    static constexpr std::size_t max_spare = 16;                    ///< Batches.
    static constexpr std::chrono::seconds max_wait{1};              ///< `Durability::none`
    static constexpr std::chrono::milliseconds lock_interval{
        5};  ///< Between attempts to get a held lock.
    static constexpr std::chrono::seconds lock_timeout{
        5};  ///< After that, a held lock is an error.
    static constexpr std::chrono::seconds retry_interval{1};  ///< After an error.

    LineWriter(const asio::any_io_executor& ex, Options options);

    /// `line` has no newline. At twice the limit, lines are rejected and counted.
    void push(std::string_view file, std::string_view line);
    bool full() const noexcept;

    /// Writes at once. Completes when all lines pushed before are written, or with the error that
    /// prevented it; then the lines stay queued.
    static asio::awaitable<error_code> flush(std::shared_ptr<LineWriter> self);

    /// Rejects further lines, then flushes; an error ends the retries.
    static asio::awaitable<error_code> stop(std::shared_ptr<LineWriter> self);

    /// Final attempt: writes the remaining lines on this thread, with a short wait for a held lock.
    /// Lines that still remain are lost; that is logged, unless `stop` has reported it.
    void close() noexcept;

    void count_lost() noexcept;
    std::uint64_t lost_lines() const noexcept;
    UnwrittenRecords unwritten() const;

private:
    struct Batch {
        void append(std::string_view line);

        std::string file;
        std::string lines;
        std::uint64_t count = 0;  // of the lines that are not written
        std::size_t written = 0;  // bytes
    };

    static asio::awaitable<void> drain(std::shared_ptr<LineWriter> self);
    static asio::awaitable<error_code> written(std::shared_ptr<LineWriter> self,
                                               std::uint64_t target);
    Batch& batch_for(std::string_view file, std::size_t size);
    void keep_memory(std::string& lines);
    bool claim_run() noexcept;
    void ensure_running();
    void start_drain();
    bool pending() const;
    bool continues(error_code ec);
    error_code write();
    error_code write_front();
    LogFile& file_of(const std::string& name);
    void record_problem(const std::string& file, error_code ec);
    void log_lost() const;
    error_code after_lock_wait(error_code ec);
    void report(error_code ec);
    asio::awaitable<void> sleep(std::chrono::nanoseconds duration);
    void wake();

    const Options options_;
    asio::strand<asio::any_io_executor> strand_;

    mutable std::mutex mutex_;  // guards these; never held during a system call
    std::deque<Batch> queue_;
    std::vector<std::string> spare_;  // memory of written batches: the system takes long to give it
    std::uint64_t pushed_ = 0;        // lines, as are the next three
    std::uint64_t done_ = 0;
    std::uint64_t ahead_ = 0;  ///< Written, but not done: older ones are not written.
    std::uint64_t refused_ = 0;
    bool running_ = false;  // a drain is active
    bool stopped_ = false;
    bool abandoned_ = false;
    std::string failing_file_;  // of the last write that failed, with its reason
    error_code failure_;

    std::mutex io_mutex_;  // guards these; contended only when the owner is destroyed early
    std::deque<Batch> batches_;
    std::map<std::string, LogFile> files_;
    bool of_several_files_ = false;

    // Only on the strand:
    std::unique_ptr<Timer> timer_;
    asio::steady_timer progress_;  // never expires; cancelled to wake all flushes
    int flushing_ = 0;
    bool sleeping_ = false;
    std::uint64_t failures_ = 0;
    error_code last_error_;
    time_point busy_since_ = time_point::max();
};

/// A message: how many records wait to be written, where, and why.
std::string queued_sentence(const UnwrittenRecords& records);

/// The same for lost records.
std::string lost_sentence(const UnwrittenRecords& records);

}  // namespace autoexec::records
