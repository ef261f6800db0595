#pragma once

#include "cli/subcommand.hpp"

/// What `autoexec workflow done` and `fail` share.
namespace autoexec::cli {

struct ManualStepOptions : CommonOptions {
    std::string step;
    std::string run;  ///< Empty: the one in which that step waits.
    std::string reason;
    bool done = true;
};

void add_manual_step(CLI::App& app, ManualStepOptions& options);

/// Writes the marker that ends a manual step; returns the exit code.
int mark_step(const ManualStepOptions& options);

}  // namespace autoexec::cli
