#pragma once

#include <autoexec/audit.hpp>
#include <autoexec/event_sink.hpp>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/json/object.hpp>

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string_view>
#include <vector>

namespace autoexec {

/// The structured trail of all that happened: `execution_audit.log`, rotated. Format:
/// `doc/file-protocol.md`. Text must be redacted before it comes here.
///
/// Thread safety: logging is safe from any thread; lines are written on an internal strand, and
/// what gathers during a write goes out as one write. Several processes may share a log: they
/// take turns by a lock that is never waited for. Queries are safe from any thread, read the
/// log and its backups and block meanwhile; they see what has been flushed.
///
/// Lifetime: `async_stop`, then destroy. Lines not yet written when it is destroyed are written
/// by the destructor.
class AuditLogger : public EventSink {
public:
    explicit AuditLogger(asio::any_io_executor ex, AuditOptions options = {});
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
                                 std::string_view command, double duration_ms);
    /// Appends the event `execution_failed`.
    void log_execution_failed(std::string_view workflow_id, std::string_view step_id,
                              std::string_view command, std::string_view error,
                              std::optional<double> duration_ms = {});

    /// The events as JSON objects, newest first, the log's backups included. Lines that are no
    /// event are skipped.
    [[nodiscard]] std::vector<boost::json::object> query_events(
        const AuditFilter& filter = {}) const;

    void publish(const Event& event) override;
    bool full() const noexcept override;

    /// Completes when all logged lines are written (`Durability::power`: synced).
    /// `errc::records_delayed` when another process has held the log for 5 s, or a write error:
    /// the lines stay and are tried again. Cancellation is ignored.
    asio::awaitable<error_code> flush() override;

    /// Writes what is left, then refuses more. Idempotent.
    asio::awaitable<error_code> async_stop();

    [[nodiscard]] UnwrittenRecords unwritten() const override;

    /// Lines that were refused, after `async_stop` or at twice `queue_limit`, or lost to an error
    /// at the very end.
    [[nodiscard]] std::uint64_t lost_lines() const noexcept;

private:
    struct Impl;
    std::shared_ptr<Impl> impl_;
};

}  // namespace autoexec
