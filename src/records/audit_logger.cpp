#include "autoexec/audit_logger.hpp"

#include "async/launch.hpp"
#include "protocol/record_lines.hpp"
#include "records/audit_reader.hpp"
#include "records/line_writer.hpp"

#include <utility>

namespace autoexec::inline v1 {
namespace {

AuditOptions checked(AuditOptions options)
{
    if (options.max_bytes == 0) throw system_error(errc::invalid_options, "max_bytes");
    if (options.max_backups < 0) throw system_error(errc::invalid_options, "max_backups");
    if (options.queue_limit == 0) throw system_error(errc::invalid_options, "queue_limit");
    if (!options.clock) options.clock = system_clock();
    return options;
}

records::LineWriter::Options writer_options(const AuditOptions& options,
                                            const records::Folder& location)
{
    records::LineWriter::Options writer;
    writer.folder = location;
    writer.rotation.max_bytes = options.max_bytes;
    writer.rotation.backups = options.max_backups;
    writer.durability = options.durability;
    writer.queue_limit = options.queue_limit;
    writer.clock = options.clock;
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

AuditRecord record_of(const Event& event)
{
    AuditRecord record(std::string(to_string(event.type)));
    record.workflow_id = event.workflow_id;
    record.step_id = event.step_id;
    if (!event.command.empty()) record.command = event.command;
    if (!event.status.empty()) record.status = event.status;
    record.details = event.details;
    record.more["execution_id"] = event.execution_id;
    record.more["attempt_id"] = event.attempt_id;
    record.more["attempt"] = event.attempt;
    record.more["worktree"] = event.worktree.string();
    if (event.time != decltype(event.time){}) record.time = event.time;
    return record;
}

}  // namespace

struct AuditLogger::Impl {
    Impl(const asio::any_io_executor& e, AuditOptions opts)
        : ex(e),
          options(checked(std::move(opts))),
          location(records::Folder::of(options.audit_dir, options.project_root, "audit")),
          writer(std::make_shared<records::LineWriter>(ex, writer_options(options, location)))
    {}

    asio::any_io_executor ex;
    AuditOptions options;
    records::Folder location;
    std::shared_ptr<records::LineWriter> writer;
};

AuditLogger::AuditLogger(asio::any_io_executor ex, AuditOptions options)
    : impl_(std::make_shared<Impl>(ex, std::move(options)))
{}

AuditLogger::~AuditLogger()
{
    impl_->writer->close();
}

void AuditLogger::log_event(AuditRecord record)
{
    const auto line = protocol::format_audit(record, impl_->options.clock->system_now());
    impl_->writer->push(std::string(records::audit_log_name), line);
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
    return records::read_audit(impl_->location, filter, impl_->options.max_backups);
}

void AuditLogger::publish(const Event& event)
{
    // The first arrives every second from every agent; neither is recorded.
    if (event.type == EventType::progress_updated || event.type == EventType::command_unclaimed)
        return;
    try {
        log_event(record_of(event));
    } catch (...) {
        impl_->writer->count_lost();
    }
}

bool AuditLogger::full() const noexcept
{
    return impl_->writer->full();
}

asio::awaitable<error_code> AuditLogger::flush()
{
    return records::LineWriter::flush(impl_->writer);
}

void AuditLogger::start_stop(std::shared_ptr<Impl> impl, Handler handler)
{
    async::launch(async::Strand(impl->ex), records::LineWriter::stop(impl->writer),
                  std::move(handler));
}

asio::awaitable<error_code> AuditLogger::stop()
{
    return records::LineWriter::stop(impl_->writer);
}

asio::any_io_executor AuditLogger::get_executor() const noexcept
{
    return impl_->ex;
}

UnwrittenRecords AuditLogger::unwritten() const
{
    return impl_->writer->unwritten();
}

std::uint64_t AuditLogger::lost_lines() const noexcept
{
    return impl_->writer->lost_lines();
}

}  // namespace autoexec::inline v1
