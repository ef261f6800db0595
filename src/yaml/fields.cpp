#include "yaml/fields.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace autoexec::yaml {

std::string type_hint(const YamlNode& value, std::string_view expected)
{
    const bool wants_text = expected.find("text") != expected.npos;
    const bool is_scalar = value.kind == YamlNode::Kind::scalar;
    if (wants_text && is_scalar)
        return fmt::format("This is {}; put it in quotes.", value.describe());
    if (is_scalar && value.quoted) return "This is text; remove the quotes.";
    return fmt::format("This is {}.", value.describe());
}

Fields::Fields(const YamlNode& mapping, std::string prefix, Report& report, NullValue null_value)
    : mapping_(mapping), prefix_(std::move(prefix)), report_(report), null_value_(null_value)
{}

const YamlNode* Fields::find(std::string_view key) const
{
    asked_.push_back(key);
    const auto* const value = mapping_.find(key);
    const bool is_absent =
        value != nullptr && value->kind == YamlNode::Kind::null && null_value_ == NullValue::absent;
    return is_absent ? nullptr : value;
}

bool Fields::require(std::string_view key)
{
    if (find(key) != nullptr) return true;
    error(mapping_.at, fmt::format("Missing required field: '{}'", key));
    return false;
}

std::optional<bool> Fields::boolean(std::string_view key)
{
    const auto* const value = find(key);
    if (value == nullptr) return std::nullopt;
    const auto result = value->as_bool();
    if (!result) wrong_type(key, "true or false");
    return result;
}

std::optional<std::string> Fields::text(std::string_view key)
{
    const auto* const value = find(key);
    if (value == nullptr) return std::nullopt;
    auto result = value->as_string();
    if (!result) wrong_type(key, "text");
    return result;
}

std::optional<std::int64_t> Fields::integer(std::string_view key, std::int64_t least,
                                            std::int64_t most, std::string_view expected)
{
    const auto* const value = find(key);
    if (value == nullptr) return std::nullopt;
    const auto result = value->as_integer();
    if (result && *result >= least && *result <= most) return result;
    const auto wanted = expected.empty() ? fmt::format("an integer from {} to {}", least, most)
                                         : std::string(expected);
    if (!result)
        wrong_type(key, wanted);
    else if (*result > most && !expected.empty())
        error(key, fmt::format("Field '{}' must be at most {}", key, most));
    else
        error(key, fmt::format("Field '{}' must be {}", key, wanted));
    return std::nullopt;
}

std::optional<double> Fields::number(std::string_view key, double least, double most)
{
    const auto* const value = find(key);
    if (value == nullptr) return std::nullopt;
    const auto result = value->as_number();
    if (result && *result >= least && *result <= most) return result;
    if (result)
        error(key, fmt::format("Field '{}' must be a number from {} to {}", key, least, most));
    else
        wrong_type(key, "a number");
    return std::nullopt;
}

const std::vector<YamlNode>* Fields::list(std::string_view key, std::string_view item)
{
    const auto* const value = find(key);
    if (value == nullptr) return nullptr;
    if (value->kind != YamlNode::Kind::sequence) {
        wrong_type(key, "a list");
        return nullptr;
    }
    if (value->items.empty()) {
        error(key, fmt::format("Field '{}' must contain at least one {}", key, item));
        return nullptr;
    }
    return &value->items;
}

void Fields::warn_unknown(std::span<const std::string_view> known)
{
    for (const auto& entry : mapping_.entries)
        if (std::find(known.begin(), known.end(), entry.key) == known.end())
            report_.warning(entry.at, fmt::format("{}Unknown field '{}'", prefix_, entry.key),
                            did_you_mean(entry.key, known));
}

void Fields::error(Position at, std::string_view message, std::string hint)
{
    report_.error(at, prefix_ + std::string(message), std::move(hint));
}

void Fields::error(std::string_view key, std::string_view message, std::string hint)
{
    error(place(key), message, std::move(hint));
    remember_wrong(std::string(key));
}

void Fields::warning(std::string_view key, std::string_view message, std::string hint)
{
    report_.warning(place(key), prefix_ + std::string(message), std::move(hint));
}

void Fields::wrong_type(std::string_view name, const YamlNode& value, std::string_view expected)
{
    error(value.at, fmt::format("Field '{}' must be {}", name, expected),
          type_hint(value, expected));
}

void Fields::wrong_type(std::string_view key, std::string_view expected)
{
    wrong_type(key, *find(key), expected);
    remember_wrong(std::string(key));
}

Position Fields::place(std::string_view key) const
{
    const auto* const value = mapping_.find(key);
    return value == nullptr ? mapping_.at : value->at;
}

}  // namespace autoexec::yaml
