#pragma once

#include "autoexec/output_rules.hpp"
#include "text/json_fields.hpp"

#include <boost/json/object.hpp>
#include <boost/json/value.hpp>

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>

namespace autoexec::text {
class JsonLine;
}

/// `Usage` ↔ JSON, as status files and records have it, and as text for people.
namespace autoexec::protocol {

/// Only what is known.
boost::json::object format_usage(const Usage& usage);

/// What a number of tokens, and one of dollars or seconds, may be.
inline constexpr auto max_usage_count = std::int64_t{1}
                                        << 53;  // what any reader of JSON keeps exactly
inline constexpr double max_usage_amount = 1e9;

std::chrono::microseconds cpu_time_of(double seconds);

/// Members that are not valid are left out; nullopt: none is valid.
std::optional<Usage> parse_usage(const text::Fields& fields);

/// Adds what is known; the larger peak of memory and the last model count. A sum stays within what
/// `parse_usage` accepts, whatever is added.
void add_usage(std::optional<Usage>& total, const Usage& more);
void add_usage(std::optional<Usage>& total, const std::optional<Usage>& more);

/// Subtracts tokens and cost; a number that either lacks is not changed.
void subtract_usage(Usage& total, const Usage& part);

/// What commands cost, as limits count it and people read it. Adding never overflows.
struct Spending {
    std::int64_t input_tokens = 0;  ///< With those written to a cache, without those read from it.
    std::int64_t output_tokens = 0;
    double cost_usd = 0;
    bool has_tokens = false;
    bool has_cost = false;
    bool is_estimate = false;  ///< A part of the cost is.

    Spending() = default;
    /// The cost is what the program reported; else an estimate, if `prices` has its model.
    Spending(const std::optional<Usage>& usage, const ModelPrices& prices);

    Spending& operator+=(const Spending& more);
    [[nodiscard]] std::int64_t tokens() const noexcept { return input_tokens + output_tokens; }
};

/// What may be used. Zero: no limit.
struct SpendingLimits {
    double max_cost = 0;  ///< USD
    std::int64_t max_tokens = 0;

    bool operator==(const SpendingLimits&) const = default;
};

/// `The limit of $1.00 for this run is reached, $1.02 used.` Empty: something is left.
std::string limit_reached(const SpendingLimits& limits, const Spending& used,
                          std::string_view what);
SpendingLimits lower_of(const SpendingLimits& a, const SpendingLimits& b);
/// What is left of limits that are not reached.
SpendingLimits left_of(SpendingLimits limits, const Spending& used);

/// By the id of the execution: a run may report the end of one more than once.
using UsageByExecution = std::map<std::string, Usage>;
std::optional<Usage> total_of(const UsageByExecution& usage);
Spending spending_of(const UsageByExecution& usage, const ModelPrices& prices);

/// null: not known.
boost::json::value usage_or_null(const std::optional<Usage>& usage);
/// The same as a member of `line`.
void put_usage(text::JsonLine& line, std::string_view key, const std::optional<Usage>& usage);
/// Adds the whole cost as `estimated_cost_usd` to such a value, if a part of it is an estimate.
void add_estimate(boost::json::value& usage, const Spending& spending);

/// `950`, `12.3k`, `1.2M`
std::string tokens_text(std::int64_t count);
/// `$0.42`, `$0.0035`; `~$0.42` for an estimate.
std::string cost_text(double usd, bool is_estimate = false);
/// `12.3k in, 4.1k out, $0.42`: what is known; empty: nothing.
std::string to_text(const Spending& spending);

}  // namespace autoexec::protocol
