#include "cli/session/configuration.hpp"
#include "cli/subcommand.hpp"
#include "protocol/usage.hpp"
#include "protocol/words.hpp"
#include "records/queries.hpp"
#include "text/json.hpp"

#include <algorithm>

namespace autoexec::cli {
namespace {

struct HistoryOptions : CommonOptions {
    std::string workflow_id;
    std::string step_id;
    std::string status;
    std::size_t limit = 20;
    bool summary = false;
};

using protocol::Spending;

Spending total_spending(const MetricsSummary& summary, const ModelPrices& prices)
{
    Spending total(summary.usage, {});
    for (const auto& [model, usage] : summary.usage_without_cost) {
        const Spending part(usage, prices);
        total.cost_usd += part.cost_usd;
        total.has_cost |= part.has_cost;
        total.is_estimate |= part.is_estimate;
    }
    return total;
}

void print(const MetricsSummary& s, const ModelPrices& prices)
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
    if (const auto usage = to_text(total_spending(s, prices)); !usage.empty())
        print_result("Usage: {}\n", usage);
    if (s.skipped_lines > 0) print_message("Skipped invalid lines: {}\n", s.skipped_lines);
}

/// The columns of a list that any of its rows has.
struct Columns {
    Columns(const std::vector<ExecutionMetric>& rows, ModelPrices table) : prices(std::move(table))
    {
        for (const auto& row : rows) {
            const Spending spending(row.usage, prices);
            tokens |= spending.has_tokens;
            cost |= spending.has_cost;
        }
    }

    ModelPrices prices;
    bool tokens = false;
    bool cost = false;
};

std::string cells_of(const ExecutionMetric& m, const Columns& columns)
{
    const Spending spending(m.usage, columns.prices);
    std::string cells;
    if (columns.tokens)
        cells += fmt::format(" {:>7}",
                             spending.has_tokens ? protocol::tokens_text(spending.tokens()) : "-");
    if (columns.cost)
        cells += fmt::format(
            " {:>9}",
            spending.has_cost ? protocol::cost_text(spending.cost_usd, spending.is_estimate) : "-");
    return cells;
}

void print(const ExecutionMetric& m, const Columns& columns)
{
    const auto duration = std::chrono::duration_cast<std::chrono::milliseconds>(m.duration);
    print_result("{}  {:9} {} {:>7}{} #{:<2} {}", text::iso_utc(m.started_at).substr(0, 19),
                 to_string(m.status), short_id(m.execution_id), text::format_duration(duration),
                 cells_of(m, columns), m.retry_count + 1, text::printable(m.command));
    if (m.workflow_id || m.step_id)
        print_result("  [{}/{}]", text::printable(m.workflow_id.value_or("-")),
                     text::printable(m.step_id.value_or("-")));
    if (m.error_message) print_result("  {}", text::printable(*m.error_message));
    print_result("\n");
}

boost::json::object json_of(const ExecutionMetric& metric, const ModelPrices& prices)
{
    auto line = to_json(metric);
    line["agent"] = text::text_or_null(metric.agent);
    line["session"] = text::text_or_null(metric.session);
    line["usage"] = protocol::usage_or_null(metric.usage);
    protocol::add_estimate(line["usage"], {metric.usage, prices});
    return line;
}

int history(const HistoryOptions& options)
{
    const auto root = project_root(options);
    const auto folder = records::Folder::of({}, root, "metrics");
    int code = exit_completed;
    const auto report = [&code](const std::filesystem::path& path, error_code ec) {
        print_message("warning: {} cannot be read, so the history is incomplete: {}\n",
                      text::printable(path.string()), ec.message());
        code = exit_internal;
    };
    if (options.summary) {
        const auto summary = records::summarize_metrics(folder, report);
        const auto prices = configured_prices(root);
        if (!options.json) {
            print(summary, prices);
            return code;
        }
        auto line = to_json(summary);
        protocol::add_estimate(line["usage"], total_spending(summary, prices));
        print_json(line);
        return code;
    }
    MetricsFilter filter;
    filter.workflow_id = if_given(options.workflow_id);
    filter.step_id = if_given(options.step_id);
    filter.status = protocol::parse_word<ExecutionStatus>(options.status);
    filter.limit = options.limit;
    const auto metrics = records::read_history(folder, filter, report);
    if (metrics.empty() && !options.json) print_message("No execution history found.\n");
    if (options.json) {
        const auto prices = configured_prices(root);
        for (const auto& metric : metrics) print_json(json_of(metric, prices));
        return code;
    }
    const Columns columns(metrics, configured_prices(root));
    for (const auto& metric : metrics) print(metric, columns);
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
