#pragma once

#include "workflow/run/run_state.hpp"

#include <cstddef>
#include <string>

namespace autoexec::workflow {

/// Sets what a step's command has of values that are known when it starts: results of other steps,
/// the run, its worktree, and its variables. A sentence if a value is missing. Blocks for reading
/// results.
std::string fill_command(const RunInputs& inputs, const CommandTable& table, RunState& state,
                         std::size_t step);

}  // namespace autoexec::workflow
