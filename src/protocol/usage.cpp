#include "protocol/usage.hpp"

#include "text/json.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <string_view>
#include <type_traits>

namespace autoexec::protocol {
namespace {

using std::chrono::microseconds;

struct UsageCount {
    std::string_view key;
    std::optional<std::int64_t> Usage::*member;
};

// Summed over the attempts of a command.
constexpr std::array<UsageCount, 5> usage_counts{{
    {"input_tokens", &Usage::input_tokens},
    {"output_tokens", &Usage::output_tokens},
    {"cache_read_tokens", &Usage::cache_read_tokens},
    {"cache_write_tokens", &Usage::cache_write_tokens},
    {"reasoning_tokens", &Usage::reasoning_tokens},
}};

std::int64_t bounded_sum(std::int64_t a, std::int64_t b)
{
    const auto bounded = [](std::int64_t n) {
        return std::clamp<std::int64_t>(n, 0, max_usage_count);
    };
    return bounded(bounded(a) + bounded(b));
}

// A comparison with what is not a number is false.
double bounded_sum(double a, double b)
{
    const auto bounded = [](double x) { return x > 0 ? std::min(x, max_usage_amount) : 0; };
    return bounded(bounded(a) + bounded(b));
}

microseconds bounded_sum(microseconds a, microseconds b)
{
    return microseconds(bounded_sum(a.count(), b.count()));
}

double estimate_of(const Usage& usage, const ModelPrice& price)
{
    const auto part = [](const std::optional<std::int64_t>& tokens, double per_million) {
        return static_cast<double>(bounded_sum(tokens.value_or(0), 0)) * per_million / 1e6;
    };
    return part(usage.input_tokens, price.input) + part(usage.output_tokens, price.output) +
           part(usage.cache_read_tokens, price.cache_read) +
           part(usage.cache_write_tokens, price.cache_write);
}

/// Calls `put` with the key and the value of each member that is known.
template <class Put>
void for_each_member(const Usage& usage, Put put)
{
    const auto put_known = [&put](std::string_view key, const auto& value) {
        if (value) put(key, *value);
    };
    for (const auto& count : usage_counts) put_known(count.key, usage.*count.member);
    put_known("cost_usd", usage.cost_usd);
    if (!usage.model.empty()) put("model", usage.model);
    if (usage.cpu) put("cpu_seconds", std::chrono::duration<double>(*usage.cpu).count());
    put_known("peak_memory_kib", usage.peak_memory_kib);
    if (usage.of_session) put("of_session", true);
    if (usage.cost_of_session) put("cost_of_session", true);
}

}  // namespace

boost::json::object format_usage(const Usage& usage)
{
    boost::json::object out;
    for_each_member(usage, [&out](std::string_view key, const auto& value) { out[key] = value; });
    return out;
}

void put_usage(text::JsonLine& line, std::string_view key, const std::optional<Usage>& usage)
{
    if (!usage) return line.null(key);
    line.open(key);
    for_each_member(*usage, [&line](std::string_view name, const auto& value) {
        using Value = std::remove_cvref_t<decltype(value)>;
        if constexpr (std::is_same_v<Value, bool>)
            line.truth(name, value);
        else if constexpr (std::is_same_v<Value, std::string>)
            line.text(name, value);
        else
            line.number(name, value);
    });
    line.close();
}

microseconds cpu_time_of(double seconds)
{
    return std::chrono::duration_cast<microseconds>(std::chrono::duration<double>(seconds));
}

std::optional<Usage> parse_usage(const text::Fields& fields)
{
    Usage usage;
    for (const auto& count : usage_counts)
        usage.*count.member = fields.integer(count.key, 0, max_usage_count);
    if (const auto cost = fields.number("cost_usd");
        cost && *cost >= 0 && *cost <= max_usage_amount)
        usage.cost_usd = cost;
    usage.model = fields.string("model").value_or("");
    if (const auto cpu = fields.number("cpu_seconds"); cpu && *cpu >= 0 && *cpu <= max_usage_amount)
        usage.cpu = cpu_time_of(*cpu);
    usage.peak_memory_kib = fields.integer("peak_memory_kib", 0, max_usage_count);
    if (usage.empty()) return std::nullopt;
    usage.of_session = fields.boolean("of_session").value_or(false);
    usage.cost_of_session = fields.boolean("cost_of_session").value_or(false);
    return usage;
}

void add_usage(std::optional<Usage>& total, const std::optional<Usage>& more)
{
    if (more) add_usage(total, *more);
}

void add_usage(std::optional<Usage>& total, const Usage& more)
{
    if (!total) {
        total = more;
        return;
    }
    const auto add = [&](auto member) {
        auto& sum = *total.*member;
        const auto& part = more.*member;
        if (part) sum = sum ? bounded_sum(*sum, *part) : *part;
    };
    for (const auto& count : usage_counts) add(count.member);
    add(&Usage::cost_usd);
    add(&Usage::cpu);
    if (!more.model.empty()) total->model = more.model;
    total->of_session |= more.of_session;
    total->cost_of_session |= more.cost_of_session;
    if (more.peak_memory_kib)
        total->peak_memory_kib =
            std::max(total->peak_memory_kib.value_or(0), *more.peak_memory_kib);
}

void subtract_usage(Usage& total, const Usage& part)
{
    const auto subtract = [&](auto member) {
        if (auto& sum = total.*member; sum && part.*member)
            sum = *sum > *(part.*member) ? *sum - *(part.*member) : 0;
    };
    for (const auto& count : usage_counts) subtract(count.member);
    subtract(&Usage::cost_usd);
}

Spending::Spending(const std::optional<Usage>& usage, const ModelPrices& prices)
{
    if (!usage) return;
    input_tokens =
        bounded_sum(usage->input_tokens.value_or(0), usage->cache_write_tokens.value_or(0));
    output_tokens = bounded_sum(usage->output_tokens.value_or(0), 0);
    has_tokens = usage->input_tokens || usage->output_tokens || usage->cache_write_tokens;
    const auto price = prices.find(usage->model);
    is_estimate = !usage->cost_usd && has_tokens && price != prices.end();
    has_cost = usage->cost_usd || is_estimate;
    const auto cost =
        is_estimate ? estimate_of(*usage, price->second) : usage->cost_usd.value_or(0);
    cost_usd = bounded_sum(cost, 0.0);
}

Spending& Spending::operator+=(const Spending& more)
{
    input_tokens = bounded_sum(input_tokens, more.input_tokens);
    output_tokens = bounded_sum(output_tokens, more.output_tokens);
    cost_usd = bounded_sum(cost_usd, more.cost_usd);
    has_tokens |= more.has_tokens;
    has_cost |= more.has_cost;
    is_estimate |= more.is_estimate;
    return *this;
}

// Negated comparisons also count what is not a number.
std::string limit_reached(const SpendingLimits& limits, const Spending& used, std::string_view what)
{
    if (limits.max_cost != 0 && !(used.cost_usd < limits.max_cost))
        return fmt::format("The limit of {} for {} is reached, {} used.",
                           cost_text(limits.max_cost), what,
                           cost_text(used.cost_usd, used.is_estimate));
    if (limits.max_tokens != 0 && used.tokens() >= limits.max_tokens)
        return fmt::format("The limit of {} tokens for {} is reached, {} used.",
                           tokens_text(limits.max_tokens), what, tokens_text(used.tokens()));
    return {};
}

SpendingLimits lower_of(const SpendingLimits& a, const SpendingLimits& b)
{
    const auto lower = [](auto one, auto other) {
        return one == 0 || other == 0 ? std::max(one, other) : std::min(one, other);
    };
    return {lower(a.max_cost, b.max_cost), lower(a.max_tokens, b.max_tokens)};
}

SpendingLimits left_of(SpendingLimits limits, const Spending& used)
{
    if (limits.max_cost != 0) limits.max_cost -= used.cost_usd;
    if (limits.max_tokens != 0) limits.max_tokens -= used.tokens();
    return limits;
}

std::optional<Usage> total_of(const UsageByExecution& usage)
{
    std::optional<Usage> total;
    for (const auto& [id, part] : usage) add_usage(total, part);
    return total;
}

Spending spending_of(const UsageByExecution& usage, const ModelPrices& prices)
{
    Spending total;
    for (const auto& [id, part] : usage) total += Spending(part, prices);
    return total;
}

boost::json::value usage_or_null(const std::optional<Usage>& usage)
{
    return usage ? boost::json::value(format_usage(*usage)) : boost::json::value(nullptr);
}

void add_estimate(boost::json::value& usage, const Spending& spending)
{
    if (auto* const object = usage.if_object(); object != nullptr && spending.is_estimate)
        (*object)["estimated_cost_usd"] = spending.cost_usd;
}

std::string tokens_text(std::int64_t count)
{
    if (count < 1000) return std::to_string(count);
    static constexpr std::array units{"k", "M", "G", "T"};
    auto number = static_cast<double>(count) / 1000;
    std::size_t unit = 0;
    // From 999.95 on, it would be shown as 1000.0.
    for (; number >= 999.95 && unit + 1 < units.size(); ++unit) number /= 1000;
    return fmt::format("{:.1f}{}", number, units[unit]);
}

std::string cost_text(double usd, bool is_estimate)
{
    const std::string_view mark = is_estimate ? "~" : "";
    if (usd >= 0.01 || usd == 0) return fmt::format("{}${:.2f}", mark, usd);
    return usd < 0.0001 ? fmt::format("{}<$0.0001", mark) : fmt::format("{}${:.4f}", mark, usd);
}

std::string to_text(const Spending& spending)
{
    std::string text;
    if (spending.has_tokens)
        text = fmt::format("{} in, {} out", tokens_text(spending.input_tokens),
                           tokens_text(spending.output_tokens));
    if (!spending.has_cost) return text;
    return fmt::format("{}{}{}", text, text.empty() ? "" : ", ",
                       cost_text(spending.cost_usd, spending.is_estimate));
}

}  // namespace autoexec::protocol
