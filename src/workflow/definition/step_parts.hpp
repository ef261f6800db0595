#pragma once

#include "autoexec/workflow.hpp"
#include "workflow/definition/field_reader.hpp"

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>

/// The mappings within a step. Errors are reported and remembered by `fields`, and the value keeps
/// its default.
namespace autoexec::workflow {

WorkflowGate read_gate(FieldReader& fields);

/// From the fields of `scoring`. Empty if it is disabled.
std::map<std::string, double, std::less<>> read_thresholds(FieldReader& fields);

/// One attempt if no number is given, as in the original system.
RetryPolicy read_retry(FieldReader& fields);

/// `commit: all` or `creates`.
std::optional<CommitScope> read_commit_scope(FieldReader& fields);

/// `2`, `"2"` or `TIER2`.
std::optional<int> read_context_tier(FieldReader& fields, std::string_view key);

}  // namespace autoexec::workflow
