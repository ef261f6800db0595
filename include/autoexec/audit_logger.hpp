#pragma once

#include <autoexec/audit.hpp>
#include <autoexec/detail/initiation.hpp>
#include <autoexec/event_sink.hpp>

#include <boost/asio/any_completion_handler.hpp>
#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/deferred.hpp>
#include <boost/asio/execution_context.hpp>
#include <boost/json/object.hpp>

#include <chrono>
#include <concepts>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <ratio>
#include <string_view>
#include <utility>
#include <vector>

namespace autoexec::inline v1 {

/// The audit log of all events: `execution_audit.log`, rotated. Format: `doc/file-protocol.md`.
/// Text must be redacted before it is passed here.
///
/// Thread safety: logging is safe from any thread; lines are written on an internal strand, and
/// lines that arrive during a write are written together. Several processes may share a log: a
/// lock, which no write waits for, separates their writes. Queries are safe from any thread, and
/// block while they read the log and its backups; they return what has been flushed.
///
/// Lifetime: `async_stop`, then destroy. Lines not yet written when it is destroyed are written
/// by the destructor.
class AuditLogger : public EventSink {
public:
    /// Of the handlers that have none of their own.
    using executor_type = boost::asio::any_io_executor;

    /// Throws `system_error` (`errc::invalid_options`) that names the option.
    explicit AuditLogger(executor_type ex, AuditOptions options = {});
    template <class ExecutionContext>
    requires std::convertible_to<ExecutionContext&, boost::asio::execution_context&>
    explicit AuditLogger(ExecutionContext& context, AuditOptions options = {})
        : AuditLogger(executor_type(context.get_executor()), std::move(options))
    {}
    ~AuditLogger() override;

    /// Appends an event.
    virtual void log_event(AuditRecord record);
    /// Appends the event `command_detected`.
    void log_command_detected(std::string_view workflow_id, std::string_view step_id,
                              std::string_view command, const std::filesystem::path& command_file);
    /// Appends the event `execution_started`.
    void log_execution_started(std::string_view workflow_id, std::string_view step_id,
                               std::string_view command);
    /// Appends the event `execution_completed`.
    void log_execution_completed(std::string_view workflow_id, std::string_view step_id,
                                 std::string_view command,
                                 std::chrono::duration<double, std::milli> duration);
    /// Appends the event `execution_failed`.
    void log_execution_failed(
        std::string_view workflow_id, std::string_view step_id, std::string_view command,
        std::string_view error,
        std::optional<std::chrono::duration<double, std::milli>> duration = {});

    /// The events as JSON objects, newest first, including those of the backups. Invalid
    /// lines are skipped.
    [[nodiscard]] std::vector<boost::json::object> query_events(
        const AuditFilter& filter = {}) const;

    void publish(const Event& event) override;
    bool full() const noexcept override;

    /// Completes when all logged lines are written (`Durability::power`: synced).
    /// `errc::records_delayed` when another process has held the log for 5 s, or a write error:
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
    struct Impl;
    using Handler = boost::asio::any_completion_handler<void(error_code)>;
    static void start_stop(std::shared_ptr<Impl> impl, Handler handler);

    std::shared_ptr<Impl> impl_;
};

}  // namespace autoexec::inline v1
