#pragma once

#include <autoexec/command.hpp>
#include <autoexec/file.hpp>

#include <boost/json/object.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace autoexec::inline v1 {

class Clock;

/// How an `AuditLogger` works.
struct AuditOptions {
    /// The folder of the log; empty: `<project_root>/.tapps-agents/audit`.
    std::filesystem::path audit_dir;
    /// Empty: the current directory.
    std::filesystem::path project_root;

    std::uint64_t max_bytes = 10 * 1024 * 1024;  ///< Rotated before the line that would reach it.
    int max_backups = 5;  ///< `.1` (newest) … `.5`; zero: truncate instead.

    Durability durability = Durability::process;
    /// Lines that may wait in memory. With this many `full()` is true; with twice as many, further
    /// lines are refused. Not zero.
    std::size_t queue_limit = 65536;
    /// Null: the real clock.
    std::shared_ptr<Clock> clock;
};

/// An event for `log_event`. All members except the type are optional.
struct AuditRecord : Correlation {
    explicit AuditRecord(std::string type) : event_type(std::move(type)) {}

    std::string event_type;
    std::optional<std::string> command;
    std::optional<std::string> status;
    boost::json::object details;
    boost::json::object more;  ///< Further keys, after `details` and the ids.
    std::optional<std::chrono::system_clock::time_point> time;  ///< Empty: now.
};

/// Which events `AuditLogger::query_events` returns.
struct AuditFilter {
    // Empty ones match everything.
    std::optional<std::string> workflow_id;
    std::optional<std::string> step_id;
    std::optional<std::string> event_type;
    std::optional<std::string> execution_id;
    std::size_t limit = 100;  ///< Newest first. Zero: all.
};

}  // namespace autoexec::inline v1
