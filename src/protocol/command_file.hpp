#pragma once

#include "autoexec/command.hpp"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

/// Text ↔ struct for the command, simple, metadata and cancel files. Pure.
namespace autoexec::protocol {

inline constexpr std::size_t command_file_limit = 1024 * 1024;

/// The content of `.cursor-skill-command.txt`. Only `command` is required.
struct CommandFile : Correlation {
    std::string command;
    std::optional<std::chrono::system_clock::time_point> created_at;
    std::vector<std::string> expected_artifacts;
    std::string worktree_path;

    // Fields of this project, absent in files of the original, as are the ids of execution and
    // attempt.
    std::string agent;
    std::vector<std::string> argv;
    std::vector<std::string> env_refs;
    std::map<std::string, std::string> env;
    std::string working_directory;
    std::string model;
    std::optional<double> deadline_seconds;

    // What the attempt may use; absent: no limit.
    std::optional<double> max_cost;  ///< USD
    std::optional<std::int64_t> max_tokens;

    // Of a retry: the session of the program in the attempt before, and why that failed.
    std::string session;
    std::string failure;
};

/// True for letters, digits, `-`, `_`, `.` and `:`, at most 200, that no program takes for an
/// option.
bool is_session_id(std::string_view text);

/// True for at most 200 bytes without control characters that no program takes for an option.
bool is_model_name(std::string_view text);

/// True for letters, digits and `_`, no digit first.
bool is_variable_name(std::string_view name);

/// True for only white space, which an executor rejects like an empty command.
bool is_blank_command(std::string_view command);

/// Why a text cannot be part of a command: it `contains a NUL character`, or `is not UTF-8`. Empty:
/// it can.
std::string command_flaw(std::string_view text);

/// The exact command, unredacted.
std::string format_command(const CommandFile& file);

/// The metadata file, which stores `redacted_command`.
std::string format_metadata(const CommandFile& file, std::string_view redacted_command);

/// `problem` is set to one sentence if the text is not a command file.
std::optional<CommandFile> parse_command(std::string_view text, std::string& problem);

/// `.cursor-skill-cancel.json`
struct CancelFile : Correlation {  ///< Without workflow, step and number.
    std::string reason;            ///< cancelled, timeout, interrupted
    std::optional<std::chrono::system_clock::time_point> requested_at;
};

std::string format_cancel(const CancelFile& file);
std::optional<CancelFile> parse_cancel(std::string_view text);

}  // namespace autoexec::protocol
