#include "text/json_number.hpp"

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <system_error>

namespace autoexec::text {
namespace {

template <class Number>
std::optional<Number> read(std::string_view text)
{
    Number number{};
    const auto ec = std::from_chars(text.data(), text.data() + text.size(), number).ec;
    return ec == std::errc{} ? std::optional(number) : std::nullopt;
}

/// For a number outside a double's range: true if it is too small, not too large. `from_chars` has
/// the same error for both.
bool is_below_one(std::string_view text)
{
    const auto e = std::min(text.find_first_of("eE"), text.size());
    const auto point = static_cast<std::int64_t>(std::min(text.find('.'), e));
    const auto first = static_cast<std::int64_t>(text.find_first_of("123456789"));
    auto exponent = text.substr(std::min(e + 1, text.size()));
    const bool negative = exponent.starts_with('-');
    if (negative || exponent.starts_with('+')) exponent.remove_prefix(1);
    if (exponent.empty()) return point < first;
    const auto size = read<std::int32_t>(exponent);
    if (!size) return negative;
    return point - first + (negative ? -*size : *size) < 0;
}

}  // namespace

std::optional<boost::json::value> json_number(std::string_view text, bool whole)
{
    if (whole) {
        if (const auto number = read<std::int64_t>(text)) return *number;
        if (const auto number = read<std::uint64_t>(text)) return *number;
    }
    if (const auto number = read<double>(text)) return *number;
    if (is_below_one(text)) return 0.0;
    return std::nullopt;
}

}  // namespace autoexec::text
