#pragma once

#include "workflow/expression/expression.hpp"
#include "workflow/run/run_state.hpp"

#include <filesystem>
#include <optional>
#include <string>

namespace autoexec::workflow {

/// The values of names in the conditions and gates of steps, from the state of a run and the result
/// files in its worktrees. Blocks for reading those.
class ConditionValues {
public:
    /// Both must outlive it.
    ConditionValues(const RunInputs& inputs, const RunState& state, std::filesystem::path root)
        : inputs_(inputs), state_(state), root_(std::move(root))
    {}

    /// Nothing, and a sentence, if a value is unknown.
    std::optional<bool> condition(std::size_t step, std::string& problem) const;
    std::optional<bool> gate(std::size_t step, std::string& problem) const;

private:
    [[nodiscard]] ExpressionValues values_for(std::size_t i, bool in_gate) const;
    std::optional<boost::json::value> value_of(std::size_t i, bool in_gate,
                                               const ExpressionName& name,
                                               std::string& problem) const;
    [[nodiscard]] bool exists(std::size_t i, bool in_gate, const std::string& path) const;
    [[nodiscard]] boost::json::value field_of(std::size_t i, StepField field,
                                              std::string& problem) const;
    std::optional<boost::json::object> results_of(std::size_t i, std::string& problem) const;

    const RunInputs& inputs_;
    const RunState& state_;
    std::filesystem::path root_;
};

}  // namespace autoexec::workflow
