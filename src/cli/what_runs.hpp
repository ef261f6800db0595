#pragma once

#include "cli/cli.hpp"

namespace autoexec::cli {

/// Prints the commands that run or are queued, and the steps that wait for a person, below a
/// heading; nothing if there are none, or they cannot be read. With `--json`, as `status` does.
void print_what_runs(const CommonOptions& common);

}  // namespace autoexec::cli
