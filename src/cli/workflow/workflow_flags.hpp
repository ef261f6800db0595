#pragma once

#include "cli/cli.hpp"

#include <chrono>
#include <optional>
#include <string>
#include <vector>

namespace CLI {
class App;
class Option;
}  // namespace CLI

/// Options of several subcommands of `autoexec workflow`.
namespace autoexec::cli {

/// Of `run` and `resume`.
struct WorkflowFlags {
    CommonOptions common;
    SessionFlags session;
    std::string agent;
    std::vector<std::string> params;  ///< NAME=VALUE
    std::optional<std::string> prompt;
    std::optional<int> retry;
    std::optional<std::chrono::milliseconds> timeout;
    bool fail_fast = false;
    bool lenient = false;           ///< Unknown keys of the workflow are warnings.
    std::optional<bool> automatic;  ///< Absent: as configured.
};

void add_workflow_flags(CLI::App& app, WorkflowFlags& flags);
CLI::Option* add_lenient(CLI::App& app, bool& lenient);
CLI::Option* add_run_id(CLI::App& app, const char* name, std::string& run, const char* help);

}  // namespace autoexec::cli
