#include "records/summary.hpp"

#include "protocol/usage.hpp"
#include "text/text.hpp"

#include <algorithm>
#include <functional>
#include <utility>
#include <vector>

namespace autoexec::records {
namespace {

constexpr std::size_t max_groups = 1'000;
constexpr std::string_view other_groups = "(other)";

std::string_view group_name(const protocol::MetricLine& line, std::string_view day,
                            MetricsGrouping grouping)
{
    switch (grouping) {
        case MetricsGrouping::workflow:
            return workflow_of_run(line.workflow_id);
        case MetricsGrouping::step:
            return line.step_id;
        case MetricsGrouping::agent:
            return line.agent;
        case MetricsGrouping::model:
            return line.model;
        case MetricsGrouping::day:
            return day;
        case MetricsGrouping::none:
            break;
    }
    return {};
}

std::uint64_t hash_of(std::string_view execution_id)
{
    return std::hash<std::string_view>{}(execution_id);
}

}  // namespace

std::string_view workflow_of_run(std::string_view run_id)
{
    constexpr std::string_view stamp = "-dddddddd-dddddd-dddddd";
    if (run_id.size() <= stamp.size()) return run_id;
    const auto name = run_id.substr(0, run_id.size() - stamp.size());
    return text::has_form(run_id.substr(name.size()), stamp) ? name : run_id;
}

void SummaryBuilder::Sums::add(const protocol::MetricLine& line)
{
    ++attempts;
    duration_ms += line.duration_ms;
    queued_ms += line.queued_ms;
    durations.add(line.duration_ms);
    if (line.usage == nullptr) return;
    protocol::add_usage(usage, *line.usage);
    if (!line.usage->cost_usd) protocol::add_usage(usage_without_cost_of(line.model), *line.usage);
}

void SummaryBuilder::Sums::add(const Sums& more)
{
    executions += more.executions;
    attempts += more.attempts;
    retries += more.retries;
    for (std::size_t i = 0; i < by_status.size(); ++i) by_status[i] += more.by_status[i];
    duration_ms += more.duration_ms;
    queued_ms += more.queued_ms;
    durations.add(more.durations);
    protocol::add_usage(usage, more.usage);
    for (const auto& [model, part] : more.usage_without_cost)
        protocol::add_usage(usage_without_cost_of(model), part);
}

std::optional<Usage>& SummaryBuilder::Sums::usage_without_cost_of(std::string_view model)
{
    auto& by_model = usage_without_cost;
    const auto found = by_model.find(model);
    if (found != by_model.end()) return found->second;
    const auto named = by_model.size() - by_model.count(other_groups);
    return by_model[std::string(named < max_groups - 1 ? model : other_groups)];
}

MetricsTotals SummaryBuilder::Sums::totals() const
{
    using Milliseconds = std::chrono::duration<double, std::milli>;
    MetricsTotals totals;
    totals.total_executions = executions;
    totals.total_attempts = attempts;
    totals.total_retries = retries;
    for (std::size_t i = 0; i < by_status.size(); ++i)
        if (by_status[i] != 0) totals.by_status[static_cast<ExecutionStatus>(i)] = by_status[i];
    constexpr auto completed = static_cast<std::size_t>(ExecutionStatus::completed);
    if (executions != 0)
        totals.success_rate =
            static_cast<double>(by_status[completed]) / static_cast<double>(executions);
    if (attempts != 0) {
        totals.average_duration = Milliseconds(duration_ms / static_cast<double>(attempts));
        totals.average_queued = Milliseconds(queued_ms / static_cast<double>(attempts));
    }
    totals.p50 = Milliseconds(durations.quantile(0.5));
    totals.p90 = Milliseconds(durations.quantile(0.9));
    totals.p99 = Milliseconds(durations.quantile(0.99));
    totals.usage = usage;
    if (totals.usage) totals.usage->model.clear();
    for (const auto& [model, part] : usage_without_cost)
        if (part) totals.usage_without_cost.emplace(model, *part);
    return totals;
}

SummaryBuilder::SummaryBuilder(MetricsGrouping grouping) : grouping_(grouping), sums_(1) {}

void SummaryBuilder::expect(std::string_view text)
{
    executions_.prefetch(hash_of(protocol::leading_execution_id(text)));
}

void SummaryBuilder::add(const protocol::MetricLine& line, std::string_view day)
{
    bool is_new = false;
    auto& execution = executions_.find_or_add(hash_of(line.execution_id), is_new);
    if (!is_new && is_repeated(execution, line.retry_count)) return;
    execution.seen |= std::uint64_t{1} << std::min(line.retry_count, 63);
    execution.newest = line.retry_count;

    const auto group = group_of(line, day);
    sums_[group].add(line);
    if (!is_new && line.retry_count < execution.last) return;
    if (!is_new) count_execution(execution, static_cast<std::uint64_t>(-1));
    execution.group = group;
    execution.last = line.retry_count;
    execution.status = line.status;
    count_execution(execution, 1);
}

// `by` is 1 or, modulo 2^64, -1.
void SummaryBuilder::count_execution(const KnownExecution& execution, std::uint64_t by)
{
    auto& sums = sums_[execution.group];
    sums.executions += by;
    sums.by_status.at(static_cast<std::size_t>(execution.status)) += by;
    sums.retries += by * static_cast<std::uint64_t>(execution.last);
}

// A writer repeats a line if it could not determine whether the first one was synced.
bool SummaryBuilder::is_repeated(const KnownExecution& execution, int retry_count)
{
    if (retry_count >= 63) return retry_count == execution.newest;
    return (execution.seen >> retry_count & 1) != 0;
}

std::uint32_t SummaryBuilder::group_of(const protocol::MetricLine& line, std::string_view day)
{
    if (grouping_ == MetricsGrouping::none) return 0;
    const auto name = group_name(line, day, grouping_);
    auto found = groups_.find(name);
    if (found == groups_.end() && groups_.size() >= max_groups) found = groups_.find(other_groups);
    if (found != groups_.end()) return found->second;
    const auto number = static_cast<std::uint32_t>(sums_.size());
    sums_.emplace_back();
    groups_.emplace(groups_.size() < max_groups - 1 ? name : other_groups, number);
    return number;
}

MetricsSummary SummaryBuilder::summary() const
{
    MetricsSummary summary;
    Sums all;
    for (const auto& sums : sums_) all.add(sums);
    static_cast<MetricsTotals&>(summary) = all.totals();
    for (const auto& [name, number] : groups_) summary.groups.emplace(name, sums_[number].totals());
    return summary;
}

}  // namespace autoexec::records
