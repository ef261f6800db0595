#include "autoexec/metrics_collector.hpp"

#include "logging/log.hpp"
#include "protocol/record_lines.hpp"
#include "records/queries.hpp"
#include "records/record_sink_impl.hpp"
#include "text/text.hpp"

#include <chrono>
#include <exception>
#include <optional>
#include <typeinfo>
#include <utility>

namespace autoexec::inline v1 {
namespace {

records::LineWriter::Options writer_options(const MetricsOptions& options)
{
    records::LineWriter::Options writer;
    writer.folder = records::Folder::of(options.metrics_dir, options.project_root, "metrics");
    writer.durability = options.durability;
    writer.queue_limit = options.queue_limit;
    writer.clock = options.clock;
    return writer;
}

// An attempt is recorded whatever the application does.
void add_custom(ExecutionMetric& metric,
                const std::function<boost::json::object(const ExecutionMetric&)>& custom)
{
    try {
        for (auto& [key, value] : custom(metric)) metric.custom[key] = value;
    } catch (const std::exception& e) {
        logging::log(logging::LogLevel::error, "MetricsOptions::custom: {}",
                     text::printable(e.what()));
    }
}

struct DayFiles {
    std::chrono::sys_days day;
    std::string executions;
    std::string attempts;
};

const DayFiles& files_of(std::chrono::sys_days day)
{
    thread_local std::optional<DayFiles> last;
    if (last && last->day == day) return *last;
    using records::MetricsFile;
    const auto date = text::utc_date(day);
    return last.emplace(DayFiles{day, records::metrics_file_name(MetricsFile::executions, date),
                                 records::metrics_file_name(MetricsFile::attempts, date)});
}

bool is_complete(const ExecutionMetric& metric)
{
    return !metric.execution_id.empty() && metric.started_at && metric.completed_at;
}

void push_lines(records::LineWriter& writer, const ExecutionMetric& metric)
{
    const auto& files = files_of(std::chrono::floor<std::chrono::days>(*metric.completed_at));
    const auto lines = protocol::format_lines(metric);
    writer.push(files.executions, lines.execution);
    writer.push(files.attempts, lines.attempt);
}

}  // namespace

ExecutionMetricsCollector::ExecutionMetricsCollector(asio::any_io_executor ex,
                                                     MetricsOptions options)
    : RecordSink(std::make_shared<Impl>(std::move(ex), writer_options(options))),
      custom_(std::move(options.custom))
{}

ExecutionMetric ExecutionMetricsCollector::record_execution(ExecutionMetric metric)
{
    const auto now = impl_->clock->system_now();
    if (metric.execution_id.empty()) metric.execution_id = text::new_uuid();
    if (!metric.started_at) metric.started_at = now;
    if (!metric.completed_at) metric.completed_at = now;
    if (custom_) add_custom(metric, custom_);
    push_lines(*impl_->writer, metric);
    return metric;
}

std::vector<ExecutionMetric> ExecutionMetricsCollector::get_metrics(
    const MetricsFilter& filter) const
{
    return query(filter).metrics;
}

MetricsPage ExecutionMetricsCollector::query(const MetricsFilter& filter) const
{
    return records::read_metrics(impl_->folder, filter);
}

MetricsSummary ExecutionMetricsCollector::get_summary(const MetricsFilter& filter,
                                                      MetricsGrouping grouping) const
{
    return records::summarize_metrics(impl_->folder, filter, grouping);
}

void ExecutionMetricsCollector::publish(const Event& event)
{
    if (!event.metric) return;
    // A subclass may have its own `record_execution`. Without one, nothing of the metric is copied.
    const bool is_final = typeid(*this) == typeid(ExecutionMetricsCollector) && !custom_ &&
                          is_complete(*event.metric);
    try {
        if (is_final)
            push_lines(*impl_->writer, *event.metric);
        else
            record_execution(*event.metric);
    } catch (...) {
        impl_->writer->count_lost();
    }
}

}  // namespace autoexec::inline v1
