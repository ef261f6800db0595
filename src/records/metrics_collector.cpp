#include "autoexec/metrics_collector.hpp"

#include "async/launch.hpp"
#include "protocol/record_lines.hpp"
#include "records/line_writer.hpp"
#include "records/metrics_reader.hpp"
#include "text/text.hpp"

#include <utility>

namespace autoexec::inline v1 {
namespace {

MetricsOptions checked(MetricsOptions options)
{
    if (options.queue_limit == 0) throw system_error(errc::invalid_options, "queue_limit");
    if (!options.clock) options.clock = system_clock();
    return options;
}

records::LineWriter::Options writer_options(const MetricsOptions& options,
                                            const records::Folder& location)
{
    records::LineWriter::Options writer;
    writer.folder = location;
    writer.durability = options.durability;
    writer.queue_limit = options.queue_limit;
    writer.clock = options.clock;
    return writer;
}

std::string file_of(const ExecutionMetric& metric, std::chrono::system_clock::time_point now)
{
    return records::metrics_file_name(text::utc_date(metric.completed_at.value_or(now)));
}

}  // namespace

struct ExecutionMetricsCollector::Impl {
    Impl(const asio::any_io_executor& e, MetricsOptions opts)
        : ex(e),
          options(checked(std::move(opts))),
          location(records::Folder::of(options.metrics_dir, options.project_root, "metrics")),
          writer(std::make_shared<records::LineWriter>(ex, writer_options(options, location)))
    {}

    asio::any_io_executor ex;
    MetricsOptions options;
    records::Folder location;
    std::shared_ptr<records::LineWriter> writer;
};

ExecutionMetricsCollector::ExecutionMetricsCollector(asio::any_io_executor ex,
                                                     MetricsOptions options)
    : impl_(std::make_shared<Impl>(ex, std::move(options)))
{}

ExecutionMetricsCollector::~ExecutionMetricsCollector()
{
    impl_->writer->close();
}

ExecutionMetric ExecutionMetricsCollector::record_execution(ExecutionMetric metric)
{
    const auto now = impl_->options.clock->system_now();
    if (metric.execution_id.empty()) metric.execution_id = text::new_uuid();
    if (!metric.started_at) metric.started_at = now;
    if (!metric.completed_at) metric.completed_at = now;
    impl_->writer->push(file_of(metric, now), protocol::format_metric(metric));
    return metric;
}

std::vector<ExecutionMetric> ExecutionMetricsCollector::get_metrics(
    const MetricsFilter& filter) const
{
    return records::read_metrics(impl_->location, filter);
}

MetricsSummary ExecutionMetricsCollector::get_summary() const
{
    return records::summarize_metrics(impl_->location);
}

void ExecutionMetricsCollector::publish(const Event& event)
{
    if (!event.metric) return;
    try {
        record_execution(*event.metric);
    } catch (...) {
        impl_->writer->count_lost();
    }
}

bool ExecutionMetricsCollector::full() const noexcept
{
    return impl_->writer->full();
}

asio::awaitable<error_code> ExecutionMetricsCollector::flush()
{
    return records::LineWriter::flush(impl_->writer);
}

void ExecutionMetricsCollector::start_stop(std::shared_ptr<Impl> impl, Handler handler)
{
    async::launch(async::Strand(impl->ex), records::LineWriter::stop(impl->writer),
                  std::move(handler));
}

asio::awaitable<error_code> ExecutionMetricsCollector::stop()
{
    return records::LineWriter::stop(impl_->writer);
}

asio::any_io_executor ExecutionMetricsCollector::get_executor() const noexcept
{
    return impl_->ex;
}

UnwrittenRecords ExecutionMetricsCollector::unwritten() const
{
    return impl_->writer->unwritten();
}

std::uint64_t ExecutionMetricsCollector::lost_lines() const noexcept
{
    return impl_->writer->lost_lines();
}

}  // namespace autoexec::inline v1
