#pragma once

#include <chrono>
#include <cstddef>
#include <filesystem>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

/// What all subcommands share.
namespace autoexec::cli {

/// `doc/cli.md` lists them for users.
enum ExitCode {
    exit_completed = 0,
    exit_failed = 1,     ///< A command failed or timed out.
    exit_usage = 2,      ///< A usage error.
    exit_invalid = 3,    ///< A file of the project is invalid.
    exit_internal = 4,   ///< An internal or system error.
    exit_unhealthy = 5,  ///< `autoexec health`: commands cannot run.
    exit_input = 6,      ///< A command needed a person's answer (`--fail-on-input`).
    exit_timeout = 124,  ///< `autoexec wait --timeout`: not all have ended, as of timeout(1).
    exit_cancelled = 130,
};

/// Ends the subcommand. Each problem is printed as a message; without one, the reason has been
/// printed.
struct Failure : std::runtime_error {
    explicit Failure(ExitCode exit_code, std::vector<std::string> messages = {})
        : std::runtime_error("failure"), code(exit_code), problems(std::move(messages))
    {}

    ExitCode code;
    std::vector<std::string> problems;
    std::string advice;      ///< Lines that follow the problems.
    std::string error_code;  ///< For programs; empty: that of the exit code.
};

/// `usage`, `invalid_file` …: the class of an error, for programs.
std::string_view error_code_of(ExitCode code) noexcept;

struct CommonOptions {
    std::filesystem::path project;  ///< Empty: found from the current directory.
    bool json = false;
};

/// For subcommands that run commands.
struct SessionFlags {
    std::optional<std::size_t> jobs;
    std::optional<std::chrono::milliseconds> total_timeout;
    std::optional<std::chrono::milliseconds> polling_interval;
    std::optional<std::chrono::milliseconds> stop_grace;
    std::optional<double> max_cost;         ///< In USD; zero: no limit.
    std::optional<std::size_t> max_tokens;  ///< Zero: no limit.
    // The same for each command.
    std::optional<double> max_cost_per_command;
    std::optional<std::size_t> max_tokens_per_command;
    bool external_agent = false;
    bool wait_for_worktree = false;
    bool fail_on_input = false;
    bool quiet = false;
};

}  // namespace autoexec::cli
