#pragma once

#include "cli/cli.hpp"
#include "cli/session/jobs.hpp"

#include <string>
#include <vector>

namespace autoexec::cli {

/// How `autoexec run` runs its commands.
struct BatchOptions : CommonOptions {
    SessionFlags session;
    bool detach = false;
    bool reuse = false;  ///< New worktrees may exist.
    bool show_output = false;
};

/// Assigns agents to commands, and runs them, or puts them into the queue. `notify`: a program that
/// gets every result. Returns the exit code; throws `Failure`.
int run_jobs(const BatchOptions& options, std::vector<CommandJob> jobs,
             std::vector<std::string> notify = {});

}  // namespace autoexec::cli
