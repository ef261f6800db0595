#include "text/json_fields.hpp"

#include "text/text.hpp"

#include <fmt/format.h>
#include <boost/json/array.hpp>
#include <boost/json/value.hpp>

#include <cmath>
#include <utility>

namespace autoexec::text {
namespace {

namespace json = boost::json;

/// A whole number, also if a writer uses only floating point.
std::optional<std::int64_t> whole(const json::value& value)
{
    if (value.is_int64()) return value.get_int64();
    constexpr double exact = 9007199254740992;  // above 2^53 a double is ambiguous
    if (value.is_double() && std::fabs(value.get_double()) <= exact &&
        std::trunc(value.get_double()) == value.get_double())
        return static_cast<std::int64_t>(value.get_double());
    return std::nullopt;
}

}  // namespace

Fields::Fields(const json::object* object, std::vector<std::string>& complaints, std::string prefix)
    : object_(object), complaints_(&complaints), prefix_(std::move(prefix))
{}

std::optional<std::string> Fields::string(std::string_view key) const
{
    const auto* value = find(key);
    if (!value) return std::nullopt;
    if (const auto* text = value->if_string()) return std::string(*text);
    complain(key, "a string");
    return std::nullopt;
}

std::optional<std::chrono::system_clock::time_point> Fields::time(std::string_view key) const
{
    return parse_iso(string(key).value_or(""));
}

std::optional<double> Fields::number(std::string_view key) const
{
    const auto* value = find(key);
    if (!value) return std::nullopt;
    if (value->is_number()) return value->to_number<double>();
    complain(key, "a number");
    return std::nullopt;
}

std::optional<bool> Fields::boolean(std::string_view key) const
{
    const auto* value = find(key);
    if (!value) return std::nullopt;
    if (const auto* truth = value->if_bool()) return *truth;
    complain(key, "true or false");
    return std::nullopt;
}

std::optional<std::int64_t> Fields::integer(std::string_view key, std::int64_t min,
                                            std::int64_t max) const
{
    const auto* value = find(key);
    if (!value) return std::nullopt;
    if (const auto number = whole(*value); number && *number >= min && *number <= max)
        return number;
    complain(key, "a whole number in its range");
    return std::nullopt;
}

std::optional<int> Fields::small_integer(std::string_view key) const
{
    const auto value = integer(key, -max_small_integer, max_small_integer);
    return value ? std::optional(static_cast<int>(*value)) : std::nullopt;
}

std::vector<std::string> Fields::strings(std::string_view key) const
{
    std::vector<std::string> out;
    const auto* value = find(key);
    if (!value) return out;
    const auto* list = value->if_array();
    if (!list) {
        complain(key, "a list of strings");
        return out;
    }
    for (const auto& item : *list)
        if (const auto* text = item.if_string()) out.emplace_back(*text);
    if (out.size() != list->size()) complain(key, "a list of strings only");
    return out;
}

Fields Fields::object(std::string_view key) const
{
    const auto* value = find(key);
    const auto* object = value ? value->if_object() : nullptr;
    if (value && !object) complain(key, "an object");
    return {object, *complaints_, fmt::format("{}{}.", prefix_, key)};
}

bool Fields::is_string(std::string_view key) const
{
    const auto* value = find(key);
    return value && value->is_string();
}

const json::value* Fields::find(std::string_view key) const
{
    const auto* value = object_ ? object_->if_contains(key) : nullptr;
    return value && !value->is_null() ? value : nullptr;
}

void Fields::complain(std::string_view key, std::string_view expected) const
{
    complaints_->push_back(fmt::format("`{}{}` is not {}.", prefix_, key, expected));
}

}  // namespace autoexec::text
