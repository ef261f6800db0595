#include "records/budget.hpp"

#include "protocol/record_lines.hpp"
#include "records/queries.hpp"
#include "text/text.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <array>
#include <utility>

namespace autoexec::records {
namespace {

using protocol::Spending;

Spending sum_of(const std::map<std::string, Spending>& costs)
{
    Spending total;
    for (const auto& [id, cost] : costs) total += cost;
    return total;
}

std::string refusal_of(const protocol::SpendingLimits& limits, const Spending& used,
                       std::string_view what, std::string_view how)
{
    auto sentence = protocol::limit_reached(limits, used, what);
    return sentence.empty() ? sentence : fmt::format("{} {}", sentence, how);
}

}  // namespace

Budget::Budget(BudgetConfig limits, ModelPrices prices, Folder metrics)
    : limits_(limits), prices_(std::move(prices)), metrics_(std::move(metrics))
{}

std::string Budget::add(const std::string& attempt_id, const std::optional<Usage>& usage, Time now)
{
    const Spending cost(usage, prices_);
    run_.insert_or_assign(attempt_id, cost);
    if (text::utc_date(now) == date_) day_.insert_or_assign(attempt_id, cost);
    const bool limits_cost = limits_.max_cost_per_run != 0 || limits_.max_cost_per_day != 0 ||
                             workflow_limits_.max_cost != 0;
    const bool limits_tokens = limits_.max_tokens_per_run != 0 || limits_.max_tokens_per_day != 0 ||
                               workflow_limits_.max_tokens != 0;
    const bool unknown = (limits_cost && !cost.has_cost) || (limits_tokens && !cost.has_tokens);
    if (!unknown || std::exchange(warned_, true)) return {};
    if (!cost.has_tokens)
        return "A program has reported no usage, which counts as zero: the budget does not limit "
               "it.";
    return fmt::format(
        "The program of the model '{}' reports no cost, which counts as zero: the limit of the "
        "cost does not apply to it unless 'prices' in the configuration has this model.",
        usage->model);
}

void Budget::add_earlier(const protocol::UsageByExecution& usage)
{
    for (const auto& [id, part] : usage) run_.insert_or_assign(id, Spending(part, prices_));
}

void Budget::set_limits(BudgetConfig limits, ModelPrices prices)
{
    limits_ = limits;
    prices_ = std::move(prices);
}

std::string Budget::refusal(Time now)
{
    const auto used = sum_of(run_);
    auto reason =
        refusal_of({limits_.max_cost_per_run, limits_.max_tokens_per_run}, used, "this run",
                   "To continue, raise it: --max-cost, --max-tokens, or budget in the "
                   "configuration.");
    if (reason.empty())
        reason = refusal_of(workflow_limits_, used, "a run of this workflow",
                            "To continue, raise 'budget' in the workflow file, and resume the run "
                            "with --accept-changed.");
    if (!reason.empty() || (limits_.max_cost_per_day == 0 && limits_.max_tokens_per_day == 0))
        return reason;
    read_day(now);
    return refusal_of({limits_.max_cost_per_day, limits_.max_tokens_per_day}, sum_of(day_),
                      "this day (UTC)",
                      "To continue today, raise budget.max_cost_per_day or "
                      "budget.max_tokens_per_day in the configuration.");
}

// Only what was appended since the last time.
void Budget::read_day(Time now)
{
    if (auto date = text::utc_date(now); date != date_) {
        date_ = std::move(date);
        day_.clear();
        read_ = 0;
    }
    error_code ec;
    const auto folder = metrics_.open(ec);
    if (ec) return;
    const auto file =
        Folder::open_log(folder.get(), metrics_file_name(MetricsFile::attempts, date_), ec);
    if (ec) return;
    std::string text;
    std::array<char, 64 * 1024> chunk{};
    for (;;) {
        const auto at = read_ + static_cast<off_t>(text.size());
        const auto n = ::pread(file.get(), chunk.data(), chunk.size(), at);
        if (n <= 0) break;
        text.append(chunk.data(), static_cast<std::size_t>(n));
        auto begin = std::size_t{0};
        for (auto end = text.find('\n'); end != text.npos; end = text.find('\n', begin)) {
            add_line(std::string_view(text).substr(begin, end - begin));
            begin = end + 1;
        }
        text.erase(0, begin);
        read_ += static_cast<off_t>(begin);
    }
}

// A line may occur twice, and an attempt of this run is known before its line is written.
void Budget::add_line(std::string_view line)
{
    const auto attempt = protocol::parse_metric(line);
    if (attempt) day_.insert_or_assign(attempt->attempt_id, Spending(attempt->usage, prices_));
}

}  // namespace autoexec::records
