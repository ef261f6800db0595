#pragma once

#include "workflow/run/run_state.hpp"

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

/// What decides whether the work of an earlier run is that of a step. Pure.
namespace autoexec::workflow {

/// Whether the step may take over work in its present round, and leave its own to later runs. A
/// gate that goes back wants other work.
bool uses_cache(const RunInputs& inputs, const RunState& state, std::size_t step);

/// The key of a step's work: a hash of all that its command gets from its workflow. Its command is
/// complete, and it works in git. `base_tree`: the files that it starts from. `laid`: the content
/// of the artifacts that it starts with.
std::string cache_key(const RunInputs& inputs, const RunState& state, std::size_t step,
                      const std::string& base_tree, const std::vector<std::string>& laid);

/// What is stored with the work: its key, its run, and what conditions and values use. One line;
/// empty if it is too long.
std::string cache_details(const RunInputs& inputs, const RunState& state,
                          const StepOutcome& outcome);

/// An outcome without a command, and the run that the work is from.
struct CachedEnd {
    std::string run_id;
    ExecutionResult execution;
};

/// Reads such a line. Nothing if it is of another key, or damaged.
std::optional<CachedEnd> read_cache_details(std::string_view details, const std::string& key);

}  // namespace autoexec::workflow
