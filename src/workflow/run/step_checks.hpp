#pragma once

#include "workflow/run/run_state.hpp"

#include <cstddef>
#include <filesystem>
#include <optional>
#include <string>

/// What a step is checked for before it starts and after it has ended. Blocks for reading files in
/// its worktree.
namespace autoexec::workflow {

/// The value of a name in an expression of a step. Empty, with a sentence, if it is unknown.
std::optional<boost::json::value> named_value(const RunInputs& inputs, const RunState& state,
                                              std::size_t step, bool in_gate,
                                              const ExpressionName& name, std::string& problem);

/// The value of its condition. `root`: the project's. Empty, with a sentence, if a value is
/// unknown.
std::optional<bool> condition_holds(const RunInputs& inputs, const RunState& state,
                                    const std::filesystem::path& root, std::size_t step,
                                    std::string& problem);
/// The same for its gate.
std::optional<bool> gate_passes(const RunInputs& inputs, const RunState& state, std::size_t step,
                                std::string& problem);

/// A step for an item, and the number by which it is the best.
struct BestItem {
    std::size_t step = 0;
    double value = 0;
};

/// The best of a step's items: of several the first. Empty, with a sentence, if none has completed
/// with such a number.
std::optional<BestItem> best_item(const RunInputs& inputs, const RunState& state, std::size_t step,
                                  std::string& problem);

/// What steps that work in place require and do not have before the run: a line for each.
std::string missing_in_place(const RunInputs& inputs, const RunState& state);

/// A sentence if something that a step requires is missing when it starts.
std::string missing_requirement(const RunInputs& inputs, const RunState& state, std::size_t step);

}  // namespace autoexec::workflow
