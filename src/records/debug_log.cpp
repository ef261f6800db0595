#include "records/debug_log.hpp"

#include "autoexec/redaction.hpp"
#include "logging/log.hpp"
#include "protocol/layout.hpp"
#include "records/log_file.hpp"
#include "text/json.hpp"
#include "text/text.hpp"

#include <spdlog/sinks/base_sink.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <mutex>
#include <string>
#include <vector>

namespace autoexec::records {
namespace {

constexpr char file_name[] = "autoexec.log";
constexpr std::uint64_t file_limit = 10 * 1024 * 1024;
constexpr int backups = 3;
constexpr std::size_t waiting_limit = 1024 * 1024;
constexpr char pattern[] = "%Y-%m-%d %H:%M:%S.%e %P %l %v";

/// A log sink. Lines that cannot be written, because another process is writing or the disk is
/// full, are retried with the next ones; if there are too many, the oldest are dropped.
class FileSink final : public spdlog::sinks::base_sink<std::mutex> {
public:
    explicit FileSink(const std::filesystem::path& project_root)
        : file_(Folder::of({}, project_root, "logs"), {file_limit, backups}, Durability::none,
                Disk::real())
    {
        set_pattern_(pattern);
    }
    ~FileSink() override { write(); }

private:
    void sink_it_(const spdlog::details::log_msg& message) override
    {
        spdlog::memory_buf_t formatted;
        formatter_->format(message, formatted);
        std::string_view line(formatted.data(), formatted.size());
        while (line.ends_with('\n')) line.remove_suffix(1);
        waiting_ += text::printable(redactor_.redact(line)) + "\n";
        write();
    }
    void flush_() override { write(); }

    void write()
    {
        std::string_view rest = waiting_;
        (void)file_.append(file_name, rest);
        if (rest.size() > waiting_limit) {
            rest.remove_prefix(rest.size() - waiting_limit);
            rest.remove_prefix(std::min(rest.size(), rest.find('\n') + 1));
        }
        waiting_ = std::string(rest);
    }

    Redactor redactor_;
    LogFile file_;
    std::string waiting_;
};

struct LoggingSink final : EventSink {
    void publish(const Event& event) override
    {
        if (!spdlog::should_log(spdlog::level::debug)) return;
        logging::log(logging::LogLevel::debug, "{} {} attempt {} in {}: {} {}",
                     to_string(event.type), event.execution_id, event.attempt,
                     event.worktree.string(), event.status ? to_string(*event.status) : "-",
                     text::dump_line(event.details));
    }
};

bool is_file_sink(const spdlog::sink_ptr& sink)
{
    return dynamic_cast<const FileSink*>(sink.get()) != nullptr;
}

}  // namespace

std::filesystem::path debug_log_path(const std::filesystem::path& project_root)
{
    return project_root / layout::logs / file_name;
}

void set_debug_log(const std::filesystem::path& project_root, bool on)
{
    auto& logger = *spdlog::default_logger_raw();
    auto& sinks = logger.sinks();
    const bool was_on = std::any_of(sinks.begin(), sinks.end(), is_file_sink);
    if (on == was_on) return;
    if (on) {
        for (const auto& sink : sinks) sink->set_level(logger.level());
        logger.set_level(spdlog::level::debug);
        sinks.push_back(std::make_shared<FileSink>(project_root));
    } else {
        std::erase_if(sinks, is_file_sink);
        for (const auto& sink : sinks) logger.set_level(sink->level());
    }
}

std::shared_ptr<EventSink> logging_sink()
{
    return std::make_shared<LoggingSink>();
}

}  // namespace autoexec::records
