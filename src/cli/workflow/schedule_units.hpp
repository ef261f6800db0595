#pragma once

#include <boost/json/object.hpp>

#include <chrono>
#include <cstddef>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

/// The systemd units of a scheduled workflow, as text. Pure.
namespace autoexec::cli {

struct WorkflowSchedule {
    std::filesystem::path project;
    std::filesystem::path file;         ///< Absolute.
    std::vector<std::string> calendar;  ///< Expressions for `OnCalendar`.
    std::vector<std::string> words;     ///< Further ones of `autoexec workflow run`.
    std::filesystem::path program;      ///< The program autoexec.
};

inline constexpr std::string_view schedule_prefix = "autoexec-schedule-";
/// Larger timers are not read.
inline constexpr std::size_t max_unit_bytes = 64 * 1024;

/// The name of its units, without `.timer` and `.service`. One schedule for each file of a project.
std::string unit_name(const WorkflowSchedule& schedule);

/// Why its paths and words cannot be written into a unit; empty: they can.
std::string unit_problem(const WorkflowSchedule& schedule);

/// The command line that a trigger starts.
std::vector<std::string> words_of(const WorkflowSchedule& schedule);

std::string timer_unit(const WorkflowSchedule& schedule);
std::string service_unit(const WorkflowSchedule& schedule);

/// What a timer was made from; nothing if it is not one of these.
std::optional<WorkflowSchedule> read_timer(std::string_view unit);

/// A word of a command line of a unit.
std::string unit_word(std::string_view word);

/// `*-*-* 0/2:00:00` for 2 h; nothing for an interval that divides neither an hour, a day nor is a
/// day or a week.
std::optional<std::string> calendar_of_interval(std::chrono::milliseconds interval);

/// `*-*-* 03:00:00` for `03:00`, `Mon *-*-* 03:00:00` for `Mon 03:00`; other expressions of systemd
/// as they are. Nothing if it cannot be one.
std::optional<std::string> calendar_of_time(std::string_view text);

}  // namespace autoexec::cli
