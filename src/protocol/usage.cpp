#include "protocol/usage.hpp"

#include <algorithm>
#include <array>

namespace autoexec::protocol {
namespace {

using std::chrono::microseconds;

constexpr auto max_count = std::int64_t{1} << 53;  // what any reader of JSON keeps exactly
constexpr double max_cost = 1e9;
constexpr double max_cpu_seconds = 1e9;

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

}  // namespace

boost::json::object format_usage(const Usage& usage)
{
    boost::json::object out;
    const auto put = [&out](std::string_view key, const auto& value) {
        if (value) out[key] = *value;
    };
    for (const auto& count : usage_counts) put(count.key, usage.*count.member);
    put("cost_usd", usage.cost_usd);
    if (!usage.model.empty()) out["model"] = usage.model;
    if (usage.cpu) out["cpu_seconds"] = std::chrono::duration<double>(*usage.cpu).count();
    put("peak_memory_kib", usage.peak_memory_kib);
    return out;
}

std::optional<Usage> parse_usage(const text::Fields& fields)
{
    Usage usage;
    for (const auto& count : usage_counts)
        usage.*count.member = fields.integer(count.key, 0, max_count);
    if (const auto cost = fields.number("cost_usd"); cost && *cost >= 0 && *cost <= max_cost)
        usage.cost_usd = cost;
    usage.model = fields.string("model").value_or("");
    if (const auto cpu = fields.number("cpu_seconds"); cpu && *cpu >= 0 && *cpu <= max_cpu_seconds)
        usage.cpu = std::chrono::duration_cast<microseconds>(std::chrono::duration<double>(*cpu));
    usage.peak_memory_kib = fields.integer("peak_memory_kib", 0, max_count);
    return usage.empty() ? std::nullopt : std::optional(std::move(usage));
}

void add_usage(std::optional<Usage>& total, const std::optional<Usage>& more)
{
    if (!more) return;
    if (!total) {
        total = more;
        return;
    }
    const auto add = [&](auto member) {
        auto& sum = *total.*member;
        const auto& part = *more.*member;
        if (part) sum = sum ? *sum + *part : *part;
    };
    for (const auto& count : usage_counts) add(count.member);
    add(&Usage::cost_usd);
    add(&Usage::cpu);
    if (!more->model.empty()) total->model = more->model;
    if (more->peak_memory_kib)
        total->peak_memory_kib =
            std::max(total->peak_memory_kib.value_or(0), *more->peak_memory_kib);
}

}  // namespace autoexec::protocol
