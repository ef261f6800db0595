#pragma once

#include "autoexec/workflow.hpp"
#include "workflow/definition/field_reader.hpp"

#include <optional>

namespace autoexec::workflow {

/// Reads `for_each` or `matrix` of a step. Empty if it has neither, or an invalid one.
std::optional<WorkflowItems> read_items_field(FieldReader& step);

}  // namespace autoexec::workflow
