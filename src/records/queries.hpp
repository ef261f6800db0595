#pragma once

#include "autoexec/audit.hpp"
#include "autoexec/command.hpp"
#include "autoexec/metrics.hpp"
#include "records/log_file.hpp"

#include <boost/json/object.hpp>

#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

/// Reads the audit log and the daily files of the metrics, newest first. Creates nothing.
namespace autoexec::records {

/// Receives the folder or a file that exists but cannot be read, for example because it is a link.
using ReportUnreadable = std::function<void(const std::filesystem::path&, error_code)>;

/// False after an error, which is reported unless there is no such file.
bool is_usable(const std::filesystem::path& path, error_code ec, const ReportUnreadable& report);

inline constexpr char audit_log_name[] = "execution_audit.log";

AuditPage read_audit(const Folder& folder, const AuditFilter& filter,
                     const ReportUnreadable& report = {});

/// `executions_YYYY-MM-DD.jsonl`, and what other readers of that file do not accept, too:
/// `attempts_YYYY-MM-DD.jsonl`.
enum class MetricsFile { executions, attempts };
std::string metrics_file_name(MetricsFile file, std::string_view date);

/// The names of the files that queries read, newest first.
std::vector<std::string> list_metrics_files(int folder);

/// The attempts that match, newest first. Of a day that has a file of attempts, that alone is read.
MetricsPage read_metrics(const Folder& folder, const MetricsFilter& filter,
                         const ReportUnreadable& report = {});

/// The session of the last of these attempts of one execution, newest first, with what all of them
/// have used in it; nullopt: none is known.
std::optional<ResumedSession> session_of(const std::vector<ExecutionMetric>& attempts);

MetricsSummary summarize_metrics(const Folder& folder, const MetricsFilter& filter = {},
                                 MetricsGrouping grouping = MetricsGrouping::none,
                                 const ReportUnreadable& report = {});

}  // namespace autoexec::records
