#pragma once

#include "autoexec/workflow.hpp"
#include "workflow/definition/field_reader.hpp"

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>

/// What is written as a mapping of its own in a step. What is wrong is reported and remembered by
/// `fields`, and keeps its default.
namespace autoexec::workflow {

WorkflowGate read_gate(FieldReader& fields);

/// From the fields of `scoring`. Empty if that is switched off.
std::map<std::string, double, std::less<>> read_thresholds(FieldReader& fields);

/// One attempt where no number is given, as the original has it.
RetryPolicy read_retry(FieldReader& fields);

/// `commit: all` or `creates`.
std::optional<CommitScope> read_commit_scope(FieldReader& fields);

/// `2`, `"2"` or `TIER2`.
std::optional<int> read_context_tier(FieldReader& fields, std::string_view key);

}  // namespace autoexec::workflow
