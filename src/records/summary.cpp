#include "records/summary.hpp"

#include "protocol/usage.hpp"
#include "text/text.hpp"

#include <algorithm>
#include <functional>
#include <utility>

namespace autoexec::records {
namespace {

// As many lines as a writer may keep in memory: what it writes twice is no further apart.
constexpr std::size_t max_recent = 131'072;
constexpr std::size_t max_groups = 1'000;
constexpr std::string_view other_groups = "(other)";

std::string_view group_name(const protocol::MetricLine& line, std::string_view day,
                            MetricsGrouping grouping)
{
    switch (grouping) {
        case MetricsGrouping::workflow:
            return workflow_of_run(line.workflow_id.value_or(""));
        case MetricsGrouping::step:
            return line.step_id.value_or("");
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

Usage& usage_without_cost(MetricsTotals& totals, std::string_view model)
{
    auto& by_model = totals.usage_without_cost;
    const auto found = by_model.find(std::string(model));
    if (found != by_model.end()) return found->second;
    return by_model[std::string(by_model.size() < max_groups - 1 ? model : other_groups)];
}

}  // namespace

std::string_view workflow_of_run(std::string_view run_id)
{
    constexpr std::string_view stamp = "-dddddddd-dddddd-dddddd";
    if (run_id.size() <= stamp.size()) return run_id;
    const auto name = run_id.substr(0, run_id.size() - stamp.size());
    return text::has_form(run_id.substr(name.size()), stamp) ? name : run_id;
}

SummaryBuilder::SummaryBuilder(MetricsGrouping grouping) : grouping_(grouping), sums_(1)
{
    recent_.reserve(max_recent);
}

template <class Change>
void SummaryBuilder::each_sum(std::uint32_t group, Change change)
{
    change(sums_.front());
    if (group != 0) change(sums_[group]);
}

void SummaryBuilder::add(const protocol::MetricLine& line, std::string_view day)
{
    bool is_new = false;
    auto& execution = known(line.execution_id, is_new);
    if (!is_new && is_repeated(execution, line.retry_count)) return;
    execution.seen |= std::uint64_t{1} << std::min(line.retry_count, 63);
    execution.newest = line.retry_count;

    const auto group = group_of(line, day);
    each_sum(group, [&line](Sums& sums) {
        auto& totals = sums.totals;
        ++totals.total_attempts;
        totals.average_duration += std::chrono::duration<double, std::milli>(line.duration_ms);
        totals.average_queued += std::chrono::duration<double, std::milli>(line.queued_ms);
        sums.durations.add(line.duration_ms);
        if (line.usage == nullptr) return;
        protocol::add_usage(totals.usage, *line.usage);
        if (line.usage->cost_usd) return;
        auto& sum = usage_without_cost(totals, line.model);
        std::optional<Usage> part = std::move(sum);
        protocol::add_usage(part, *line.usage);
        sum = *std::move(part);
    });
    if (!is_new && line.retry_count < execution.last) return;
    if (!is_new) count_execution(execution, static_cast<std::uint64_t>(-1));
    execution.group = group;
    execution.last = line.retry_count;
    execution.status = line.status;
    count_execution(execution, 1);
}

// `by` is 1 or, modulo 2^64, -1.
void SummaryBuilder::count_execution(const Known& execution, std::uint64_t by)
{
    each_sum(execution.group, [&](Sums& sums) {
        sums.totals.total_executions += by;
        sums.totals.by_status[execution.status] += by;
        sums.totals.total_retries += by * static_cast<std::uint64_t>(execution.last);
    });
}

// A writer repeats a line if it could not determine whether the first one was synced.
bool SummaryBuilder::is_repeated(const Known& execution, int retry_count)
{
    if (retry_count >= 63) return retry_count == execution.newest;
    return (execution.seen >> retry_count & 1) != 0;
}

SummaryBuilder::Known& SummaryBuilder::known(std::string_view execution_id, bool& is_new)
{
    const auto key = std::hash<std::string_view>{}(execution_id);
    if (const auto found = recent_.find(key); found != recent_.end()) return found->second;
    if (recent_.size() >= max_recent) forget_old();
    const auto before = older_.find(key);
    is_new = before == older_.end();
    return recent_.try_emplace(key, is_new ? Known{} : before->second).first->second;
}

void SummaryBuilder::forget_old()
{
    Executions open;
    open.reserve(max_recent);
    const auto keep_open = [&open](const Executions& from) {
        for (const auto& [key, execution] : from)
            if ((execution.seen & 1) == 0) open.try_emplace(key, execution);
    };
    // The newer knowledge first.
    keep_open(recent_);
    keep_open(older_);
    // Attempts that were removed are never found.
    if (open.size() > max_recent / 2) open.clear();
    older_ = std::exchange(recent_, std::move(open));
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
    const auto finished = [](const Sums& sums) {
        using Milliseconds = std::chrono::duration<double, std::milli>;
        auto totals = sums.totals;
        std::erase_if(totals.by_status, [](const auto& status) { return status.second == 0; });
        const auto completed = totals.by_status.find(ExecutionStatus::completed);
        if (totals.total_executions != 0 && completed != totals.by_status.end())
            totals.success_rate = static_cast<double>(completed->second) /
                                  static_cast<double>(totals.total_executions);
        if (const auto attempts = static_cast<double>(totals.total_attempts); attempts > 0) {
            totals.average_duration /= attempts;
            totals.average_queued /= attempts;
        }
        totals.p50 = Milliseconds(sums.durations.quantile(0.5));
        totals.p90 = Milliseconds(sums.durations.quantile(0.9));
        totals.p99 = Milliseconds(sums.durations.quantile(0.99));
        if (totals.usage) totals.usage->model.clear();
        return totals;
    };
    MetricsSummary summary;
    static_cast<MetricsTotals&>(summary) = finished(sums_.front());
    for (const auto& [name, number] : groups_)
        summary.groups.emplace(name, finished(sums_[number]));
    return summary;
}

}  // namespace autoexec::records
