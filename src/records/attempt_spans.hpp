#pragma once

#include "autoexec/event.hpp"
#include "protocol/otlp.hpp"

#include <string>
#include <vector>

namespace autoexec::records {

/// The span of an execution. `attempts`: at least one, in any order; `parent_id` may be empty.
protocol::Span span_of_execution(const std::vector<ExecutionMetric>& attempts,
                                 std::string parent_id);

/// The span of an attempt, below that of its execution.
protocol::Span span_of_attempt(const ExecutionMetric& attempt);

}  // namespace autoexec::records
