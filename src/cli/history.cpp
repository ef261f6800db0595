#include "cli/subcommand.hpp"
#include "protocol/words.hpp"
#include "records/queries.hpp"

namespace autoexec::cli {
namespace {

struct HistoryOptions : CommonOptions {
    std::string workflow_id;
    std::string step_id;
    std::string status;
    std::size_t limit = 20;
    bool summary = false;
};

void print(const MetricsSummary& s)
{
    if (s.total_executions == 0) {
        print_message("No execution history found.\n");
        return;
    }
    print_result(
        "Total Executions: {}\nSuccess Rate: {:.1f}%\nAverage Duration: {:.0f}ms\n"
        "Total Retries: {}\nBy Status:\n",
        s.total_executions, s.success_rate * 100, s.average_duration.count(), s.total_retries);
    for (const auto& [status, count] : s.by_status)
        print_result("  {}: {}\n", to_string(status), count);
    if (s.skipped_lines > 0) print_message("Skipped invalid lines: {}\n", s.skipped_lines);
}

void print(const ExecutionMetric& m)
{
    const auto duration = std::chrono::duration_cast<std::chrono::milliseconds>(m.duration);
    print_result("{}  {:9} {} {:>7} #{:<2} {}", text::iso_utc(m.started_at).substr(0, 19),
                 to_string(m.status), short_id(m.execution_id), text::format_duration(duration),
                 m.retry_count + 1, text::printable(m.command));
    if (m.workflow_id || m.step_id)
        print_result("  [{}/{}]", text::printable(m.workflow_id.value_or("-")),
                     text::printable(m.step_id.value_or("-")));
    if (m.error_message) print_result("  {}", text::printable(*m.error_message));
    print_result("\n");
}

int history(const HistoryOptions& options)
{
    const auto folder = records::Folder::of({}, project_root(options), "metrics");
    int code = exit_completed;
    const auto report = [&code](const std::filesystem::path& path, error_code ec) {
        print_message("warning: {} cannot be read, so the history is incomplete: {}\n",
                      text::printable(path.string()), ec.message());
        code = exit_internal;
    };
    if (options.summary) {
        const auto summary = records::summarize_metrics(folder, report);
        if (options.json)
            print_json(to_json(summary));
        else
            print(summary);
        return code;
    }
    MetricsFilter filter;
    filter.workflow_id = if_given(options.workflow_id);
    filter.step_id = if_given(options.step_id);
    filter.status = protocol::parse_word<ExecutionStatus>(options.status);
    filter.limit = options.limit;
    const auto metrics =
        records::read_metrics(folder, filter, records::MetricsFile::executions, report);
    if (metrics.empty() && !options.json) print_message("No execution history found.\n");
    for (const auto& metric : metrics) {
        if (options.json)
            print_json(to_json(metric));
        else
            print(metric);
    }
    return code;
}

void define_history(CLI::App& app, HistoryOptions& o)
{
    add_common(app, o);
    app.add_option("--workflow-id", o.workflow_id, "Only commands of this workflow");
    app.add_option("--step-id", o.step_id, "Only commands of this step");
    app.add_option("--status", o.status, "Only commands with this result")
        ->check(CLI::IsMember({"completed", "failed", "timeout", "cancelled"}));
    add_limit(app, o.limit);
    app.add_flag("--summary", o.summary, "Print totals only");
}

}  // namespace

extern const Subcommand history_subcommand =
    subcommand("history", "List finished commands, newest first", define_history, history);

}  // namespace autoexec::cli
