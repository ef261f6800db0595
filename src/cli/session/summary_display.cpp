#include "cli/session/configuration.hpp"
#include "cli/session/output.hpp"
#include "cli/session/records.hpp"
#include "protocol/usage.hpp"
#include "text/text.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <utility>

namespace autoexec::cli {
namespace {

using protocol::Spending;

Spending total_spending(const MetricsTotals& totals, const ModelPrices& prices)
{
    Spending total(totals.usage, {});
    for (const auto& [model, usage] : totals.usage_without_cost) {
        auto part = usage;
        part.model = model;
        const Spending spending(part, prices);
        total.cost_usd += spending.cost_usd;
        total.has_cost |= spending.has_cost;
        total.is_estimate |= spending.is_estimate;
    }
    return total;
}

std::string duration_text(std::chrono::duration<double, std::milli> duration)
{
    return text::format_duration(std::chrono::duration_cast<std::chrono::milliseconds>(duration));
}

boost::json::object json_of(const MetricsTotals& totals, const ModelPrices& prices)
{
    auto line = to_json(totals);
    protocol::add_estimate(line["usage"], total_spending(totals, prices));
    return line;
}

void print_text(const MetricsSummary& s, const ModelPrices& prices)
{
    print_result(
        "Total Executions: {}\nSuccess Rate: {:.1f}%\nAverage Duration: {:.0f}ms\n"
        "Duration p50/p90/p99: {} / {} / {}\nAverage Queue Time: {}\nTotal Retries: {}\nBy "
        "Status:\n",
        s.total_executions, s.success_rate * 100, s.average_duration.count(), duration_text(s.p50),
        duration_text(s.p90), duration_text(s.p99), duration_text(s.average_queued),
        s.total_retries);
    for (const auto& [status, count] : s.by_status)
        print_result("  {}: {}\n", to_string(status), count);
    if (const auto usage = to_text(total_spending(s, prices)); !usage.empty())
        print_result("Usage: {}\n", usage);
}

/// `▇▇▇▎`: a part of the largest, in eighths of a column.
std::string bar(double value, double largest)
{
    constexpr int columns = 16;
    static constexpr std::array<std::string_view, 8> parts{"", "▏", "▎", "▍", "▌", "▋", "▊", "▉"};
    if (!(largest > 0)) return {};
    const auto eighths = static_cast<std::size_t>(std::lround(8 * columns * value / largest));
    std::string text;
    for (std::size_t i = 0; i < eighths / 8; ++i) text += "█";
    return text += parts[eighths % 8];
}

struct SummaryRow {
    std::string name;
    const MetricsTotals* totals;
    Spending spending;
};

// By day in order, otherwise the largest first.
std::vector<SummaryRow> rows_of(const MetricsSummary& summary, MetricsGrouping grouping,
                                const ModelPrices& prices)
{
    std::vector<SummaryRow> rows;
    for (const auto& [name, totals] : summary.groups)
        rows.push_back(
            {name.empty() ? "-" : text::printable(name), &totals, total_spending(totals, prices)});
    if (grouping != MetricsGrouping::day)
        std::stable_sort(rows.begin(), rows.end(), [](const auto& a, const auto& b) {
            return a.totals->total_executions > b.totals->total_executions;
        });
    return rows;
}

void print_table(const std::vector<SummaryRow>& rows, std::string_view heading)
{
    std::size_t width = heading.size();
    double most = 0;
    double highest_cost = 0;
    for (const auto& row : rows) {
        width = std::max(width, row.name.size());
        most = std::max(most, static_cast<double>(row.totals->total_executions));
        highest_cost = std::max(highest_cost, row.spending.cost_usd);
    }
    const bool is_plot = heading == "DAY";
    print_result("{:<{}}  {:>10}  {:>7}  {:>7}  {:>7}  {:>7}  {:>8}  {:>9}{}\n", heading, width,
                 "EXECUTIONS", "SUCCESS", "RETRIES", "P50", "P90", "TOKENS", "COST",
                 is_plot ? fmt::format("  {:16}  {}", "EXECUTIONS", "COST") : "");
    for (const auto& [name, t, spending] : rows) {
        const auto executions = static_cast<double>(t->total_executions);
        print_result(
            "{:<{}}  {:>10}  {:>6.1f}%  {:>7}  {:>7}  {:>7}  {:>8}  {:>9}{}\n", name, width,
            t->total_executions, t->success_rate * 100, t->total_retries, duration_text(t->p50),
            duration_text(t->p90),
            spending.has_tokens ? protocol::tokens_text(spending.tokens()) : "-",
            spending.has_cost ? protocol::cost_text(spending.cost_usd, spending.is_estimate) : "-",
            is_plot ? fmt::format("  {:16}  {}", bar(executions, most),
                                  bar(spending.cost_usd, highest_cost))
                    : "");
    }
}

void print_groups_as_csv(const std::vector<SummaryRow>& rows)
{
    print_csv({"group", "executions", "attempts", "success_rate", "retries", "completed", "failed",
               "timeout", "cancelled", "average_duration_ms", "p50_duration_ms", "p90_duration_ms",
               "p99_duration_ms", "average_queued_ms", "input_tokens", "output_tokens",
               "cost_usd"});
    for (const auto& [name, t, spending] : rows) {
        const auto count = [&totals = *t](ExecutionStatus status) {
            const auto found = totals.by_status.find(status);
            return std::to_string(found == totals.by_status.end() ? 0 : found->second);
        };
        const auto number = [](double value) { return fmt::format("{}", value); };
        print_csv({name, std::to_string(t->total_executions), std::to_string(t->total_attempts),
                   number(t->success_rate), std::to_string(t->total_retries),
                   count(ExecutionStatus::completed), count(ExecutionStatus::failed),
                   count(ExecutionStatus::timeout), count(ExecutionStatus::cancelled),
                   number(t->average_duration.count()), number(t->p50.count()),
                   number(t->p90.count()), number(t->p99.count()),
                   number(t->average_queued.count()),
                   spending.has_tokens ? std::to_string(spending.input_tokens) : "",
                   spending.has_tokens ? std::to_string(spending.output_tokens) : "",
                   spending.has_cost ? number(spending.cost_usd) : ""});
    }
}

std::string_view heading_of(MetricsGrouping grouping)
{
    switch (grouping) {
        case MetricsGrouping::workflow:
            return "WORKFLOW";
        case MetricsGrouping::step:
            return "STEP";
        case MetricsGrouping::agent:
            return "AGENT";
        case MetricsGrouping::model:
            return "MODEL";
        case MetricsGrouping::day:
            return "DAY";
        case MetricsGrouping::none:
            break;
    }
    return "ALL";
}

void print_as_json(const MetricsSummary& summary, const ModelPrices& prices)
{
    auto line = json_of(summary, prices);
    line["skipped_lines"] = summary.skipped_lines;
    if (!summary.groups.empty()) {
        auto& groups = line["groups"].emplace_object();
        for (const auto& [name, totals] : summary.groups) groups[name] = json_of(totals, prices);
    }
    print_json(line);
}

/// Text in the exposition format of Prometheus: each metric with its help and its type, once.
class PrometheusText {
public:
    void begin(std::string_view name, std::string_view type, std::string_view help)
    {
        name_ = name;
        text_ += fmt::format("# HELP {0} {1}\n# TYPE {0} {2}\n", name, help, type);
    }
    /// `labels`: names and values, alternating.
    void add(std::string_view suffix, const std::vector<std::string_view>& labels, double value)
    {
        text_ += fmt::format("{}{}{{", name_, suffix);
        for (std::size_t i = 0; i + 1 < labels.size(); i += 2)
            text_ +=
                fmt::format("{}{}=\"{}\"", i == 0 ? "" : ",", labels[i], escaped(labels[i + 1]));
        text_ += fmt::format("}} {}\n", value);
    }
    [[nodiscard]] const std::string& text() const noexcept { return text_; }

private:
    static std::string escaped(std::string_view value)
    {
        std::string out;
        for (const char c : value) {
            if (c == '\\' || c == '"') out += '\\';
            if (c == '\n')
                out += "\\n";
            else
                out += c;
        }
        return out;
    }

    std::string_view name_;
    std::string text_;
};

void add_durations(PrometheusText& text, const MetricsSummary& summary)
{
    text.begin("autoexec_attempt_duration_seconds", "summary", "Duration of finished attempts.");
    for (const auto& [agent, totals] : summary.groups) {
        for (const auto& [quantile, value] :
             {std::pair{"0.5", totals.p50}, {"0.9", totals.p90}, {"0.99", totals.p99}})
            text.add("", {"agent", agent, "quantile", quantile}, value.count() / 1000);
        const auto count = static_cast<double>(totals.total_attempts);
        text.add("_sum", {"agent", agent}, totals.average_duration.count() * count / 1000);
        text.add("_count", {"agent", agent}, count);
    }
}

void print_as_prometheus(const MetricsSummary& summary, const ModelPrices& prices)
{
    PrometheusText text;
    text.begin("autoexec_executions", "gauge",
               "Finished executions, by the status of the last attempt.");
    for (const auto& [agent, totals] : summary.groups)
        for (const auto& [status, count] : totals.by_status)
            text.add("", {"agent", agent, "status", to_string(status)}, static_cast<double>(count));
    text.begin("autoexec_retries", "gauge", "Attempts after the first one of their execution.");
    for (const auto& [agent, totals] : summary.groups)
        text.add("", {"agent", agent}, static_cast<double>(totals.total_retries));
    add_durations(text, summary);
    text.begin("autoexec_tokens", "gauge", "Tokens that agents have reported.");
    for (const auto& [agent, totals] : summary.groups) {
        const auto spending = total_spending(totals, prices);
        text.add("", {"agent", agent, "type", "input"}, static_cast<double>(spending.input_tokens));
        text.add("", {"agent", agent, "type", "output"},
                 static_cast<double>(spending.output_tokens));
    }
    text.begin("autoexec_cost_usd", "gauge", "Cost that agents have reported, or an estimate.");
    for (const auto& [agent, totals] : summary.groups)
        text.add("", {"agent", agent}, total_spending(totals, prices).cost_usd);
    text.begin("autoexec_skipped_lines", "gauge", "Lines of the records that are not valid.");
    text.add("", {}, static_cast<double>(summary.skipped_lines));
    print_result(std::string_view(text.text()));
}

}  // namespace

int print_summary(const std::filesystem::path& root, const MetricsFilter& filter,
                  const SummaryForm& form)
{
    UnreadableRecords unreadable;
    const auto summary = records::summarize_metrics(records::Folder::of({}, root, "metrics"),
                                                    filter, form.grouping, unreadable.report());
    const auto prices = configured_prices(root);
    if (form.json) {
        print_as_json(summary, prices);
        return unreadable.exit_code();
    }
    if (form.prometheus) {
        print_as_prometheus(summary, prices);
        return unreadable.exit_code();
    }
    auto rows = rows_of(summary, form.grouping, prices);
    if (form.csv) {
        if (rows.empty()) rows.push_back({"all", &summary, total_spending(summary, prices)});
        print_groups_as_csv(rows);
    } else if (summary.total_executions == 0) {
        print_message("No execution history found.\n");
    } else if (form.grouping == MetricsGrouping::none) {
        print_text(summary, prices);
    } else {
        print_table(rows, heading_of(form.grouping));
    }
    if (summary.skipped_lines > 0)
        print_message("Skipped invalid lines: {}\n", summary.skipped_lines);
    return unreadable.exit_code();
}

}  // namespace autoexec::cli
