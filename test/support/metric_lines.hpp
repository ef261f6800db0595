#pragma once

#include "autoexec/event.hpp"
#include "protocol/metric_reader.hpp"

namespace autoexec::test {

/// Whether `line` has what a query needs of `metric`.
inline bool is_line_of(const protocol::MetricLine& line, const ExecutionMetric& metric)
{
    auto usage = metric.usage;
    if (usage) usage->model.clear();
    std::optional<Usage> found;
    if (line.usage != nullptr) found = *line.usage;
    if (found) found->model.clear();
    return line.execution_id == metric.execution_id &&
           line.workflow_id == metric.workflow_id.value_or("") &&
           line.step_id == metric.step_id.value_or("") && line.command == metric.command &&
           line.status == metric.status && line.duration_ms == metric.duration.count() &&
           line.retry_count == metric.retry_count && line.completed_at() == metric.completed_at &&
           line.error_message == metric.error_message.value_or("") &&
           line.attempt_id == metric.attempt_id && line.agent == metric.agent &&
           line.worktree == metric.worktree.string() && found == usage &&
           line.model == (metric.usage ? metric.usage->model : "") &&
           line.queued_ms == metric.queued.count();
}

}  // namespace autoexec::test
