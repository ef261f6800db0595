#include "protocol/usage.hpp"

#include <algorithm>

namespace autoexec::protocol {
namespace {

using std::chrono::microseconds;

constexpr auto max_count = std::int64_t{1} << 53;  // what any reader of JSON keeps exactly
constexpr double max_cost = 1e9;
constexpr double max_cpu_seconds = 1e9;

}  // namespace

boost::json::object format_usage(const Usage& usage)
{
    boost::json::object out;
    const auto put = [&out](std::string_view key, const auto& value) {
        if (value) out[key] = *value;
    };
    put("input_tokens", usage.input_tokens);
    put("output_tokens", usage.output_tokens);
    put("cache_read_tokens", usage.cache_read_tokens);
    put("cache_write_tokens", usage.cache_write_tokens);
    put("reasoning_tokens", usage.reasoning_tokens);
    put("cost_usd", usage.cost_usd);
    if (!usage.model.empty()) out["model"] = usage.model;
    if (usage.cpu) out["cpu_seconds"] = std::chrono::duration<double>(*usage.cpu).count();
    put("peak_memory_kib", usage.peak_memory_kib);
    return out;
}

std::optional<Usage> parse_usage(const text::Fields& fields)
{
    const auto count = [&fields](std::string_view key) {
        return fields.integer(key, 0, max_count);
    };
    Usage usage;
    usage.input_tokens = count("input_tokens");
    usage.output_tokens = count("output_tokens");
    usage.cache_read_tokens = count("cache_read_tokens");
    usage.cache_write_tokens = count("cache_write_tokens");
    usage.reasoning_tokens = count("reasoning_tokens");
    if (const auto cost = fields.number("cost_usd"); cost && *cost >= 0 && *cost <= max_cost)
        usage.cost_usd = cost;
    usage.model = fields.string("model").value_or("");
    if (const auto cpu = fields.number("cpu_seconds"); cpu && *cpu >= 0 && *cpu <= max_cpu_seconds)
        usage.cpu = std::chrono::duration_cast<microseconds>(std::chrono::duration<double>(*cpu));
    usage.peak_memory_kib = count("peak_memory_kib");
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
    for (const auto member :
         {&Usage::input_tokens, &Usage::output_tokens, &Usage::cache_read_tokens,
          &Usage::cache_write_tokens, &Usage::reasoning_tokens})
        add(member);
    add(&Usage::cost_usd);
    add(&Usage::cpu);
    if (!more->model.empty()) total->model = more->model;
    if (more->peak_memory_kib)
        total->peak_memory_kib =
            std::max(total->peak_memory_kib.value_or(0), *more->peak_memory_kib);
}

}  // namespace autoexec::protocol
