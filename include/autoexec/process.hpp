#pragma once

#include <autoexec/command.hpp>
#include <autoexec/error.hpp>

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace autoexec::inline v1 {

/// A program to run, supervised: when it ends or is stopped, all its descendants end.
struct ProcessSpec {
    std::vector<std::string> argv;         ///< Not empty; `argv[0]` is looked up in PATH.
    std::filesystem::path directory;       ///< Working directory.
    std::vector<std::string> environment;  ///< The whole environment, as `NAME=value`.
    std::string input;                     ///< Standard input; empty: `/dev/null`.
    bool interactive = false;  ///< Standard input is what `Process::write` writes, not `input`.
    std::chrono::milliseconds stop_grace = std::chrono::seconds{10};  ///< From TERM to KILL.
    /// Time before TERM if this process dies: for programs that end by themselves and should not be
    /// interrupted.
    std::chrono::milliseconds orphan_grace{0};
    /// Borrowed descriptors, four at most, that stay open until the program and all descendants
    /// have ended: a lock on one of them is held that long, even if this process dies. The program
    /// itself does not get them.
    std::vector<int> held;
};

/// How the command ended, as the program itself reports.
struct ProcessReport {
    bool completed = true;
    CommandError error;  ///< Unless completed.
};

/// How a program ended.
struct ProcessExit {
    std::optional<int> exit_code;
    std::optional<int> signal;
    std::string error;  ///< Why it did not start, or why its end is unknown; else empty.
    error_code reason;  ///< The error of the system if the program did not start.
    std::chrono::microseconds cpu{0};  ///< User and system time, including descendants.
    std::int64_t peak_memory_kib = 0;  ///< Of the largest process.
    /// Decides instead of the agent's outcome rule and the exit code. Only a spawner that runs
    /// something else than programs sets it.
    std::optional<ProcessReport> report;
};

/// Which stream a program wrote to.
enum class OutputStream { standard_output, standard_error };

}  // namespace autoexec::inline v1
