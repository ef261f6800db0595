#include "cli/session/configuration.hpp"
#include "cli/session/records.hpp"
#include "cli/subcommand.hpp"
#include "protocol/usage.hpp"
#include "text/json.hpp"

namespace autoexec::cli {
namespace {

struct HistoryOptions : CommonOptions {
    MetricsFilterOptions filter;
    PageOptions page;
    bool summary = false;
};

using protocol::Spending;

constexpr std::chrono::seconds shown_queue{1};

/// The columns of a list that any of its rows has.
struct Columns {
    Columns(const std::vector<ExecutionMetric>& rows, ModelPrices table) : prices(std::move(table))
    {
        for (const auto& row : rows) {
            const Spending spending(row.usage, prices);
            tokens |= spending.has_tokens;
            cost |= spending.has_cost;
            agents |= !row.agent.empty();
            queued |= row.queued >= shown_queue;
        }
    }

    ModelPrices prices;
    bool tokens = false;
    bool cost = false;
    bool agents = false;
    bool queued = false;
};

std::string cells_of(const ExecutionMetric& m, const Columns& columns)
{
    const Spending spending(m.usage, columns.prices);
    std::string cells;
    if (columns.queued)
        cells += fmt::format(
            " {:>7}",
            m.queued < shown_queue
                ? ""
                : '+' + text::format_duration(
                            std::chrono::duration_cast<std::chrono::milliseconds>(m.queued)));
    if (columns.agents)
        cells += fmt::format(" {:10}", text::printable(m.agent.empty() ? "-" : m.agent));
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
    auto rest = fmt::format(" {} {:>7}{} #{:<2} {}", short_id(m.execution_id),
                            text::format_duration(duration), cells_of(m, columns),
                            m.retry_count + 1, text::printable(m.command));
    if (m.workflow_id || m.step_id)
        rest += fmt::format("  [{}/{}]", text::printable(m.workflow_id.value_or("-")),
                            text::printable(m.step_id.value_or("-")));
    if (m.error_message) rest += "  " + text::printable(*m.error_message);
    print_state_line(text::shown_time(m.started_at) + "  ", to_string(m.status), 9, rest);
}

boost::json::object json_of_attempt(const ExecutionMetric& metric, const ModelPrices& prices)
{
    auto line = to_json(metric);
    line["attempt_id"] = text::text_or_null(metric.attempt_id);
    line["error_code"] = text::text_or_null(metric.error_code);
    line["agent"] = text::text_or_null(metric.agent);
    line["worktree"] = text::text_or_null(metric.worktree.string());
    line["host"] = text::text_or_null(metric.host);
    line["session"] = text::text_or_null(metric.session);
    line["usage"] = protocol::usage_or_null(metric.usage);
    protocol::add_estimate(line["usage"], {metric.usage, prices});
    line["queued_ms"] = metric.queued.count();
    line["verified"] = metric.verified ? boost::json::value(to_string(*metric.verified)) : nullptr;
    if (metric.exit_code) line["exit_code"] = *metric.exit_code;
    if (metric.signal) line["signal"] = *metric.signal;
    if (metric.reported) line["reported"] = to_string(*metric.reported);
    if (!metric.missing_artifacts.empty())
        line["missing_artifacts"] = text::array_of(metric.missing_artifacts);
    if (!metric.custom.empty()) line["custom"] = metric.custom;
    return line;
}

std::vector<std::string> csv_header()
{
    return {"started_at",    "completed_at", "duration_ms", "queued_ms",   "status",
            "retry_count",   "execution_id", "attempt_id",  "workflow_id", "step_id",
            "agent",         "model",        "worktree",    "host",        "input_tokens",
            "output_tokens", "cost_usd",     "error_code",  "command",     "error_message"};
}

std::vector<std::string> csv_fields(const ExecutionMetric& m, const ModelPrices& prices)
{
    const Spending spending(m.usage, prices);
    const auto tokens = [&](std::int64_t count) {
        return spending.has_tokens ? std::to_string(count) : std::string();
    };
    return {text::iso_utc(m.started_at),
            text::iso_utc(m.completed_at),
            fmt::format("{}", m.duration.count()),
            fmt::format("{}", m.queued.count()),
            std::string(to_string(m.status)),
            std::to_string(m.retry_count),
            m.execution_id,
            m.attempt_id,
            m.workflow_id.value_or(""),
            m.step_id.value_or(""),
            m.agent,
            m.usage ? m.usage->model : "",
            m.worktree.string(),
            m.host,
            tokens(spending.input_tokens),
            tokens(spending.output_tokens),
            spending.has_cost ? fmt::format("{}", spending.cost_usd) : "",
            m.error_code,
            m.command,
            m.error_message.value_or("")};
}

void print_attempts(const MetricsPage& page, const HistoryOptions& options,
                    const ModelPrices& prices)
{
    if (options.page.csv) {
        print_csv(csv_header());
        for (const auto& metric : page.metrics) print_csv(csv_fields(metric, prices));
        return;
    }
    if (options.json) {
        for (const auto& metric : page.metrics) print_json(json_of_attempt(metric, prices));
        return;
    }
    if (page.metrics.empty()) print_message("No execution history found.\n");
    const Columns columns(page.metrics, prices);
    for (const auto& metric : page.metrics) print(metric, columns);
}

int history(const HistoryOptions& options)
{
    const auto root = project_root(options);
    if (options.summary)
        return print_summary(root, filter_of(options.filter),
                             {MetricsGrouping::none, options.json, options.page.csv, false});
    const auto folder = records::Folder::of({}, root, "metrics");
    const auto read = [&folder](const auto& filter, const auto& report) {
        return records::read_metrics(folder, filter, report);
    };
    const auto print = [&](const MetricsPage& page) {
        print_attempts(page, options, configured_prices(root));
    };
    return print_page(filter_of(options.filter), options.page, options.json, read, print);
}

void define_history(CLI::App& app, HistoryOptions& o)
{
    add_common(app, o);
    add_metrics_filter(app, o.filter);
    add_page(app, o.page);
    app.add_flag("--summary", o.summary, "Print totals only, like autoexec metrics");
}

}  // namespace

extern const Subcommand history_subcommand =
    subcommand("history", "List finished commands, newest first", define_history, history);

}  // namespace autoexec::cli
