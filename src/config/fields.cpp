#include "config/fields.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace autoexec::config {

std::string type_hint(const yaml::YamlNode& value, std::string_view expected)
{
    const bool wants_text = expected.find("text") != expected.npos;
    const bool is_scalar = value.kind == yaml::YamlNode::Kind::scalar;
    if (wants_text && is_scalar)
        return fmt::format("This is {}; put it in quotes.", value.describe());
    if (is_scalar && value.quoted) return "This is text; remove the quotes.";
    return fmt::format("This is {}.", value.describe());
}

bool Fields::require(std::string_view key)
{
    if (find(key)) return true;
    error(mapping_.at, fmt::format("Missing required field: '{}'", key));
    return false;
}

std::optional<bool> Fields::boolean(std::string_view key)
{
    const auto* value = find(key);
    if (!value) return std::nullopt;
    const auto result = value->as_bool();
    if (!result) wrong_type(key, *value, "true or false");
    return result;
}

std::optional<std::string> Fields::string(std::string_view key)
{
    const auto* value = find(key);
    if (!value) return std::nullopt;
    auto result = value->as_string();
    if (!result) wrong_type(key, *value, "text");
    return result;
}

std::optional<std::int64_t> Fields::integer(std::string_view key, std::int64_t least,
                                            std::int64_t most, std::string_view what)
{
    const auto* value = find(key);
    if (!value) return std::nullopt;
    const auto result = value->as_integer();
    if (result && *result >= least && *result <= most) return result;
    if (result && *result > most)
        error(value->at, fmt::format("Field '{}' must be at most {}", key, most));
    else if (result)
        error(value->at, fmt::format("Field '{}' must be {}", key, what));
    else
        wrong_type(key, *value, what);
    return std::nullopt;
}

const std::vector<yaml::YamlNode>* Fields::list(std::string_view key, std::string_view item)
{
    const auto* value = find(key);
    if (!value) return nullptr;
    if (value->kind != yaml::YamlNode::Kind::sequence) {
        wrong_type(key, *value, "a list");
        return nullptr;
    }
    if (value->items.empty()) {
        error(value->at, fmt::format("Field '{}' must contain at least one {}", key, item));
        return nullptr;
    }
    return &value->items;
}

void Fields::warn_unknown(std::span<const std::string_view> known)
{
    for (const auto& entry : mapping_.entries)
        if (std::find(known.begin(), known.end(), entry.key) == known.end())
            report_.warning(entry.at, fmt::format("{}Unknown field '{}'", prefix_, entry.key),
                            yaml::did_you_mean(entry.key, known));
}

void Fields::error(yaml::Position at, std::string_view message, std::string hint)
{
    report_.error(at, prefix_ + std::string(message), std::move(hint));
}

void Fields::wrong_type(std::string_view key, const yaml::YamlNode& value,
                        std::string_view expected)
{
    error(value.at, fmt::format("Field '{}' must be {}", key, expected),
          type_hint(value, expected));
}

}  // namespace autoexec::config
