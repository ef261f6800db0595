#include "autoexec/audit_logger.hpp"

#include "protocol/record_lines.hpp"
#include "records/audit_chain.hpp"
#include "records/audit_verification.hpp"
#include "records/queries.hpp"
#include "records/record_sink_impl.hpp"

#include <typeinfo>
#include <utility>

namespace autoexec::inline v1 {
namespace {

records::LineWriter::Options writer_options(const AuditOptions& options,
                                            std::shared_ptr<const records::AuditChain> chain)
{
    if (options.max_bytes == 0) throw system_error(errc::invalid_options, "max_bytes");
    if (options.max_backups < 0) throw system_error(errc::invalid_options, "max_backups");
    records::LineWriter::Options writer;
    writer.folder = records::Folder::of(options.audit_dir, options.project_root, "audit");
    writer.rotation = {options.max_bytes, options.max_backups};
    writer.durability = options.durability;
    writer.queue_limit = options.queue_limit;
    writer.clock = options.clock;
    writer.chain = std::move(chain);
    return writer;
}

AuditRecord record_of(std::string type, std::string_view workflow_id, std::string_view step_id,
                      std::string_view command)
{
    const auto unless_empty = [](std::string_view text) {
        return text.empty() ? std::nullopt : std::optional(std::string(text));
    };
    AuditRecord record(std::move(type));
    record.workflow_id = unless_empty(workflow_id);
    record.step_id = unless_empty(step_id);
    record.command = unless_empty(command);
    return record;
}

// Progress comes every second from every agent, and a wait from every command that waits.
bool is_of_log(EventType type)
{
    switch (type) {
        case EventType::progress_updated:
        case EventType::command_unclaimed:
        case EventType::waiting_for_agent:
        case EventType::waiting_for_resume:
        case EventType::waiting_for_slot:
        case EventType::waiting_for_worktree:
            return false;
        default:
            return true;
    }
}

AuditRecord record_of(const Event& event)
{
    AuditRecord record(std::string(to_string(event.type)));
    record.ids() = event.ids();
    if (!event.command.empty()) record.command = event.command;
    if (event.status) record.status = to_string(*event.status);
    record.details = event.details;
    record.more["worktree"] = event.worktree.string();
    if (event.time != decltype(event.time){}) record.time = event.time;
    return record;
}

}  // namespace

AuditLogger::AuditLogger(asio::any_io_executor ex, AuditOptions options)
    : AuditLogger(
          std::move(ex), options,
          std::make_shared<const records::AuditChain>(records::read_audit_key(options.key_file)))
{}

AuditLogger::AuditLogger(asio::any_io_executor ex, const AuditOptions& options,
                         std::shared_ptr<const records::AuditChain> chain)
    : RecordSink(std::make_shared<Impl>(std::move(ex), writer_options(options, chain))),
      chain_(std::move(chain))
{}

void AuditLogger::log_event(AuditRecord record)
{
    const auto line = protocol::format_audit(record, impl_->clock->system_now());
    impl_->writer->push(records::audit_log_name, line);
}

void AuditLogger::log_command_detected(std::string_view workflow_id, std::string_view step_id,
                                       std::string_view command,
                                       const std::filesystem::path& command_file)
{
    auto record = record_of("command_detected", workflow_id, step_id, command);
    record.details["command_file"] = command_file.string();
    log_event(std::move(record));
}

void AuditLogger::log_execution_started(std::string_view workflow_id, std::string_view step_id,
                                        std::string_view command)
{
    auto record = record_of("execution_started", workflow_id, step_id, command);
    record.status = "started";
    log_event(std::move(record));
}

void AuditLogger::log_execution_completed(std::string_view workflow_id, std::string_view step_id,
                                          std::string_view command,
                                          std::chrono::duration<double, std::milli> duration)
{
    auto record = record_of("execution_completed", workflow_id, step_id, command);
    record.status = "completed";
    record.details["duration_ms"] = duration.count();
    log_event(std::move(record));
}

void AuditLogger::log_execution_failed(
    std::string_view workflow_id, std::string_view step_id, std::string_view command,
    std::string_view error, std::optional<std::chrono::duration<double, std::milli>> duration)
{
    auto record = record_of("execution_failed", workflow_id, step_id, command);
    record.status = "failed";
    record.details["error"] = error.empty() ? "Execution failed" : error;
    record.details["duration_ms"] = nullptr;
    if (duration) record.details["duration_ms"] = duration->count();
    log_event(std::move(record));
}

std::vector<boost::json::object> AuditLogger::query_events(const AuditFilter& filter) const
{
    return query(filter).events;
}

AuditPage AuditLogger::query(const AuditFilter& filter) const
{
    return records::read_audit(impl_->folder, filter);
}

AuditVerification AuditLogger::verify() const
{
    return records::verify_audit(impl_->folder, *chain_);
}

void AuditLogger::publish(const Event& event)
{
    if (!is_of_log(event.type)) return;
    try {
        // A subclass may have its own `log_event`. Without one, nothing of the event is copied.
        if (typeid(*this) != typeid(AuditLogger)) return log_event(record_of(event));
        const bool has_time = event.time != decltype(event.time){};
        const auto time = has_time ? event.time : impl_->clock->system_now();
        impl_->writer->push(records::audit_log_name, protocol::format_audit(event, time));
    } catch (...) {
        impl_->writer->count_lost();
    }
}

}  // namespace autoexec::inline v1
