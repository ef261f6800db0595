#pragma once

#include <autoexec/audit.hpp>
#include <autoexec/record_sink.hpp>

#include <boost/asio/execution_context.hpp>
#include <boost/json/object.hpp>

#include <chrono>
#include <concepts>
#include <filesystem>
#include <memory>
#include <optional>
#include <ratio>
#include <string_view>
#include <utility>
#include <vector>

namespace autoexec::records {
class AuditChain;
}

namespace autoexec::inline v1 {

/// The audit log of all events: `execution_audit.log`, rotated. Format: `doc/file-protocol.md`.
/// Text must be redacted before it is passed here.
///
/// Thread safety, lifetime: as `RecordSink`.
class AuditLogger : public RecordSink {
public:
    /// Throws `system_error` (`errc::invalid_options`) that names the option.
    explicit AuditLogger(executor_type ex, AuditOptions options = {});
    template <class ExecutionContext>
    requires std::convertible_to<ExecutionContext&, boost::asio::execution_context&>
    explicit AuditLogger(ExecutionContext& context, AuditOptions options = {})
        : AuditLogger(executor_type(context.get_executor()), std::move(options))
    {}

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
    /// A page of them. Blocks while it reads the files, in at most 16 MB of memory and that of the
    /// result.
    [[nodiscard]] AuditPage query(const AuditFilter& filter = {}) const;

    /// Checks the chain of hashes through the log and its backups. It does not show that the newest
    /// or the oldest lines were removed; nor, without a key, that all hashes were computed again.
    /// Blocks while it reads the files.
    [[nodiscard]] AuditVerification verify() const;

    void publish(const Event& event) override;

private:
    AuditLogger(executor_type ex, const AuditOptions& options,
                std::shared_ptr<const records::AuditChain> chain);

    std::shared_ptr<const records::AuditChain> chain_;
};

}  // namespace autoexec::inline v1
