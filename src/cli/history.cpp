#include "autoexec/metrics_collector.hpp"
#include "cli/cli.hpp"
#include "cli/session/output.hpp"
#include "cli/session/project.hpp"
#include "text/text.hpp"

#include <boost/asio/io_context.hpp>

#include <fmt/format.h>

#include <cstdio>

namespace autoexec::cli {
namespace {

void print(const MetricsSummary& s)
{
    if (s.total_executions == 0) {
        print_text(stderr, "No execution history found.\n");
        return;
    }
    print_text(stdout,
               "Total Executions: {}\nSuccess Rate: {:.1f}%\nAverage Duration: {:.0f}ms\n"
               "Total Retries: {}\nBy Status:\n",
               s.total_executions, s.success_rate * 100, s.average_duration_ms, s.total_retries);
    for (const auto& [status, count] : s.by_status) print_text(stdout, "  {}: {}\n", status, count);
    if (s.skipped_lines > 0) print_text(stderr, "Skipped invalid lines: {}\n", s.skipped_lines);
}

void print(const ExecutionMetric& m)
{
    const auto duration = std::chrono::milliseconds(static_cast<long long>(m.duration_ms));
    print_text(stdout, "{}  {:9} {} {:>7} #{:<2} {}", m.started_at.substr(0, 19), m.status,
               short_id(m.execution_id), text::format_duration(duration), m.retry_count + 1,
               text::printable(m.command));
    if (m.workflow_id || m.step_id)
        print_text(stdout, "  [{}/{}]", text::printable(m.workflow_id.value_or("-")),
                   text::printable(m.step_id.value_or("-")));
    if (m.error_message) print_text(stdout, "  {}", text::printable(*m.error_message));
    print_text(stdout, "\n");
}

}  // namespace

int history(const HistoryOptions& options)
{
    asio::io_context ctx;
    MetricsOptions where;
    where.project_root = project_root(options.common);
    const ExecutionMetricsCollector collector(ctx.get_executor(), std::move(where));

    if (options.summary) {
        const auto summary = collector.get_summary();
        if (options.common.json)
            print_json(to_json(summary));
        else
            print(summary);
        return exit_completed;
    }
    MetricsFilter filter;
    filter.workflow_id = if_given(options.workflow_id);
    filter.step_id = if_given(options.step_id);
    filter.status = if_given(options.status);
    filter.limit = options.limit;
    const auto metrics = collector.get_metrics(filter);
    if (metrics.empty() && !options.common.json)
        print_text(stderr, "No execution history found.\n");
    for (const auto& metric : metrics) {
        if (options.common.json)
            print_json(to_json(metric));
        else
            print(metric);
    }
    return exit_completed;
}

}  // namespace autoexec::cli
