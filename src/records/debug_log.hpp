#pragma once

#include "autoexec/event_sink.hpp"

#include <filesystem>
#include <memory>

namespace autoexec::records {

/// `.tapps-agents/logs/autoexec.log`
std::filesystem::path debug_log_path(const std::filesystem::path& project_root);

/// Starts or stops writing log messages of all levels to that file: redacted, mode 0600, rotated at
/// 10 MiB with 3 backups. The terminal's output does not change.
void set_debug_log(const std::filesystem::path& project_root, bool on);

/// Logs every event.
std::shared_ptr<EventSink> logging_sink();

}  // namespace autoexec::records
