#pragma once

#include "autoexec/metrics.hpp"
#include "records/log_file.hpp"

#include <string>
#include <string_view>
#include <vector>

/// Reads the daily files of the metrics. Creates nothing.
namespace autoexec::records {

/// `executions_YYYY-MM-DD.jsonl`
std::string metrics_file_name(std::string_view date);

std::vector<ExecutionMetric> read_metrics(const Folder& folder, const MetricsFilter& filter);
MetricsSummary summarize_metrics(const Folder& folder);

}  // namespace autoexec::records
