#pragma once

#include "autoexec/redaction.hpp"
#include "workflow/run/run_state.hpp"

#include <boost/json/array.hpp>

#include <cstddef>
#include <optional>
#include <string>

namespace autoexec::workflow {

/// Sets what a step's command has of values that are known when it starts: results of other steps,
/// the run, its worktree, and its variables. A sentence if a value is missing. Blocks for reading
/// results.
std::string fill_command(const RunInputs& inputs, const CommandTable& table, RunState& state,
                         std::size_t step);

/// The items of a step, as its list has them now. Empty, with a sentence, if the list cannot be
/// used: an agent may have written it. Blocks for reading results.
std::optional<boost::json::array> read_items(const RunInputs& inputs, const RunState& state,
                                             const Redactor& redactor, std::size_t step,
                                             std::string& problem);

}  // namespace autoexec::workflow
