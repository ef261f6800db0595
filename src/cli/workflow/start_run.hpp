#pragma once

#include "cli/workflow/setup.hpp"
#include "protocol/workflow_journal.hpp"

#include <optional>
#include <string>

namespace autoexec::cli {

/// How a new run is started.
struct StartRunOptions : WorkflowFlags {
    std::string path;
    std::string worktree;  ///< Empty: as the workflow specifies.
    bool in_place = false;
    std::string base;        ///< Empty: HEAD.
    std::string merge_into;  ///< Empty: no branch of the user's.
    bool with_changes = false;
    bool dry_run = false;
    bool strict = false;
    bool detach = false;
    /// Of a run that is run again: has the parameters and variables that are not given.
    std::optional<protocol::RunStarted> earlier;
};

void add_dry_run_and_detach(CLI::App& app, StartRunOptions& options);

/// Runs a workflow to its end, unless it is detached or only shown. Returns the exit code.
int start_run(const StartRunOptions& options);

}  // namespace autoexec::cli
