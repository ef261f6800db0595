#pragma once

#include "autoexec/command.hpp"
#include "autoexec/config.hpp"
#include "autoexec/event.hpp"

#include <boost/json/object.hpp>

#include <chrono>
#include <cstddef>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

/// What a person is notified of, and in which words. Pure.
namespace autoexec::notify {

/// The settings `notify.*` have their names.
enum class Kind { needs_input, failed, completed, run_ended, budget };
std::string_view to_string(Kind kind) noexcept;

/// Whether the configuration asks for notifications of this kind.
bool is_wanted(const NotifyConfig& config, Kind kind) noexcept;

struct Notification {
    Kind kind = Kind::completed;
    std::string subject;  ///< Two with the same one are about the same thing; empty: unique.
    std::string text;     ///< One line, safe for a terminal, at most 300 bytes.
    boost::json::object message;  ///< For programs.
};

/// The end of an execution that was not cancelled.
Notification notification_of(const ExecutionResult& result);

/// An event of the type `input_needed`.
Notification notification_of(const Event& question);

/// No command starts, for this reason. Once a UTC day.
Notification notification_of_budget(std::string_view reason,
                                    std::chrono::system_clock::time_point now);

/// As JSON on one line: the message, its `kind`, `text` and `project`.
std::string program_input(const Notification& notification,
                          const std::filesystem::path& project_root);

/// The call of `notify-send`. Its body is markup with escape sequences: nothing of the text is
/// taken for either.
std::vector<std::string> desktop_call(std::string_view text,
                                      const std::filesystem::path& project_root);

/// What a terminal is sent: the bell and, unless `TERM` is that of a terminal that would print it,
/// the text as a notification (OSC 9).
std::string terminal_bytes(std::string_view text, std::string_view term);

/// One line of at most `max_bytes`, safe for a terminal.
std::string one_line(std::string_view text, std::size_t max_bytes);

}  // namespace autoexec::notify
