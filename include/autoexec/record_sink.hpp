#pragma once

#include <autoexec/detail/initiation.hpp>
#include <autoexec/event_sink.hpp>

#include <boost/asio/any_completion_handler.hpp>
#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/deferred.hpp>

#include <cstdint>
#include <memory>

namespace autoexec::inline v1 {

/// An event sink that writes lines to files: `AuditLogger`, `ExecutionMetricsCollector`.
///
/// Thread safety: recording is safe from any thread; lines are written on an internal strand, and
/// lines that arrive during a write are written together. Several processes may share the files: a
/// lock, which no write waits for, separates their writes. Queries are safe from any thread, and
/// block while they read the files; they return what has been flushed.
///
/// Lifetime: `async_stop`, then destroy. Lines not yet written when it is destroyed are written by
/// the destructor.
class RecordSink : public EventSink {
public:
    /// Of the handlers that have none of their own.
    using executor_type = boost::asio::any_io_executor;

    ~RecordSink() override;
    RecordSink(const RecordSink&) = delete;
    RecordSink& operator=(const RecordSink&) = delete;

    bool full() const noexcept override;

    /// Completes when all recorded lines are written (`Durability::power`: synced).
    /// `errc::records_delayed` when another process has held the file for 5 s, or a write error:
    /// the lines are kept, and writing them is retried. Cancellation is ignored.
    boost::asio::awaitable<error_code> flush() override;

    /// Writes the remaining lines, then refuses more. Idempotent.
    ///
    /// Signature: `void(error_code)`.
    ///
    /// Errors: as `flush`. What was not written is lost: see `lost_lines`.
    ///
    /// Executor: the handler is posted to its associated executor, by default `get_executor()`.
    ///
    /// Thread safety: may be started on any thread.
    ///
    /// Cancellation: ignored.
    ///
    /// Lifetime: the object may be destroyed meanwhile; the operation continues.
    template <boost::asio::completion_token_for<void(error_code)> Token = boost::asio::deferred_t>
    auto async_stop(Token&& token = {})
    {
        return boost::asio::async_initiate<Token, void(error_code)>(
            detail::Initiation(get_executor(), impl_, &start_stop), token);
    }

    /// `async_stop` as an awaitable, which returns the error like `flush`.
    boost::asio::awaitable<error_code> stop();

    /// The executor that it was constructed with.
    [[nodiscard]] executor_type get_executor() const noexcept;

    [[nodiscard]] UnwrittenRecords unwritten() const override;

    /// Lines that were refused, after `async_stop` or at twice `queue_limit`, or lost to an error
    /// at the very end.
    [[nodiscard]] std::uint64_t lost_lines() const noexcept;

private:
    friend class AuditLogger;
    friend class ExecutionMetricsCollector;
    struct Impl;
    explicit RecordSink(std::shared_ptr<Impl> impl);

    using Handler = boost::asio::any_completion_handler<void(error_code)>;
    static void start_stop(std::shared_ptr<Impl> impl, Handler handler);

    std::shared_ptr<Impl> impl_;
};

}  // namespace autoexec::inline v1
