#pragma once

#include "autoexec/workflow.hpp"
#include "workflow/definition/field_reader.hpp"

#include <optional>
#include <string>

namespace autoexec::workflow {

/// Reads `for_each`, `matrix` or `best_of` of a step. Empty if it has none, or an invalid one.
/// `best_of` sets the agent and the model if it names several.
std::optional<WorkflowItems> read_items_field(FieldReader& step, std::string& agent,
                                              std::string& model);

}  // namespace autoexec::workflow
