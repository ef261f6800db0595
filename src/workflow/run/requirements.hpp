#pragma once

#include "workflow/run/run_state.hpp"

#include <cstddef>
#include <string>

namespace autoexec::workflow {

/// What steps that work in place require and do not have before the run: a line for each.
std::string missing_in_place(const RunInputs& inputs, const RunState& state);

/// A sentence if something that a step requires is missing when it starts.
std::string missing_requirement(const RunInputs& inputs, const RunState& state, std::size_t step);

}  // namespace autoexec::workflow
