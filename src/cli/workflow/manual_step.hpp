#pragma once

#include "cli/subcommand.hpp"
#include "workflow/journal/journal.hpp"

/// What `autoexec workflow done`, `fail` and `autoexec answer` share.
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

/// Prints what a person is to do in a manual step that waits; returns the exit code.
int show_step(const ManualStepOptions& options);

/// The keys of a manual step that waits.
boost::json::object to_json(const RunEntry& run, const StepEntry& step);

}  // namespace autoexec::cli
