#pragma once

#include "autoexec/workflow.hpp"
#include "protocol/usage.hpp"
#include "workflow/definition/field_reader.hpp"

#include <chrono>
#include <cstddef>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace autoexec::workflow {

/// A step as the file defines it.
struct StepReading {
    WorkflowStep step;
    bool named = false;  ///< By `step:` alone: its id is derived from that.
    /// Fields that were reported already.
    std::vector<std::string> wrong;
};

/// Reads the step with this number (1…). Errors go into `report`, and the field keeps its default;
/// a step without an id is unusable. `context_tier` is the default of that field.
StepReading read_step(const yaml::YamlNode& node, std::size_t number, int context_tier,
                      yaml::Report& report);

/// A positive time: `90`, `90s`, `15m` …
std::optional<std::chrono::milliseconds> read_time(FieldReader& fields, std::string_view key);

/// `retry`: of a step, or of all steps of a workflow.
std::optional<RetryPolicy> read_retry(FieldReader& fields);

/// `env`: variables by name. A number or a boolean is the text that it is written as.
std::map<std::string, std::string> read_variables(FieldReader& fields);

/// `max_cost` and `max_tokens`.
protocol::SpendingLimits read_spending_limits(FieldReader& fields);

/// `commit: all` or `creates`.
std::optional<CommitScope> read_commit_scope(FieldReader& fields);

/// `2`, `"2"` or `TIER2`.
std::optional<int> read_context_tier(FieldReader& fields, std::string_view key);

}  // namespace autoexec::workflow
