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
    int max_backups = 5;                         ///< `.1` (newest) … `.5`; zero: all are kept.
    /// A file with the key of the hashes that chain the lines: at least 16 bytes, readable by its
    /// owner only. Empty: no key, so a program that can write the log can compute them again.
    std::filesystem::path key_file;

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

/// Which events a query returns. Empty members match everything.
struct AuditFilter {
    std::optional<std::string> workflow_id;
    std::optional<std::string> step_id;
    std::optional<std::string> event_type;
    std::optional<std::string> execution_id;
    std::optional<std::string> attempt_id;
    std::optional<std::string> worktree;
    std::optional<std::string> text;  ///< A part of a string, or of the line as it is written.
    std::optional<std::chrono::system_clock::time_point> since;
    std::optional<std::chrono::system_clock::time_point> until;  ///< Not included.
    std::size_t limit = 100;                                     ///< Newest first. Zero: all.
    std::string cursor;  ///< `AuditPage::next` of the page before; empty: from the newest.
};

/// A part of the answer to a query.
struct AuditPage {
    std::vector<boost::json::object> events;  ///< Newest first.
    std::string next;                 ///< Cursor of the next page; empty: this was the last.
    std::uint64_t skipped_lines = 0;  ///< Lines that are no events.
    /// The log of the cursor was removed, or the cursor is malformed: there are no events.
    bool cursor_is_lost = false;
};

/// What is wrong with a line of the audit log.
enum class AuditProblemKind {
    edited,      ///< The line is not as it was written.
    removed,     ///< Lines before it are missing.
    misplaced,   ///< It was repeated or moved.
    foreign,     ///< It was not written by this program, or its hash was removed.
    other_key,   ///< It was hashed with another key, or without one, so it cannot be checked.
    torn,        ///< It was not written to its end: its writer was killed, or the disk was full.
    unreadable,  ///< The file cannot be read.
};
std::string_view to_string(AuditProblemKind kind) noexcept;

/// A line that is not as it was written, or a file that cannot be read.
struct AuditProblem {
    AuditProblemKind kind = AuditProblemKind::edited;
    std::filesystem::path file;
    std::uint64_t line = 0;  ///< From 1; zero: the whole file.
    std::uint64_t seq = 0;   ///< Its number in the chain; zero: it has none.
    std::string sentence;
};

/// The result of `AuditLogger::verify`.
struct AuditVerification {
    std::uint64_t lines = 0;
    std::uint64_t chained_lines = 0;
    std::uint64_t first_seq = 0;         ///< More than 1: older lines were rotated away or removed.
    std::uint64_t last_seq = 0;          ///< Lines after it may have been removed.
    std::uint64_t unchained_lines = 0;   ///< Before the first chained one: of an earlier version.
    std::vector<AuditProblem> problems;  ///< In the order of the lines; at most 1,000.
    std::uint64_t further_problems = 0;

    /// True: no line was changed, removed, moved or added; torn ones do not count.
    [[nodiscard]] bool is_intact() const noexcept;
};
boost::json::object to_json(const AuditVerification& verification);

}  // namespace autoexec::inline v1
