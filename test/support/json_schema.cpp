#include "support/json_schema.hpp"

#include <doctest/doctest.h>
#include <fmt/format.h>
#include <re2/re2.h>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>

#include <algorithm>
#include <array>

namespace autoexec::test {
namespace {

namespace json = boost::json;

bool has_type(std::string_view type, const json::value& value)
{
    if (type == "object") return value.is_object();
    if (type == "array") return value.is_array();
    if (type == "string") return value.is_string();
    if (type == "integer") return value.is_int64() || value.is_uint64();
    if (type == "number") return value.is_number();
    if (type == "boolean") return value.is_bool();
    REQUIRE_MESSAGE(type == "null", std::string(type));
    return value.is_null();
}

bool has_any_type(const json::value& types, const json::value& value)
{
    if (const auto* const one = types.if_string()) return has_type(*one, value);
    const auto& all = types.as_array();
    return std::any_of(all.begin(), all.end(),
                       [&](const json::value& type) { return has_type(type.as_string(), value); });
}

void require_known_keywords(const json::object& schema)
{
    constexpr std::array<std::string_view, 11> known{
        "$ref",    "additionalProperties", "anyOf",    "description", "enum", "items", "minimum",
        "pattern", "properties",           "required", "type"};
    for (const auto& [keyword, value] : schema)
        REQUIRE_MESSAGE(std::find(known.begin(), known.end(), keyword) != known.end(),
                        std::string(keyword));
}

}  // namespace

JsonSchema::JsonSchema(std::string_view text) : root_(json::parse(text)) {}

std::string JsonSchema::problem(std::string_view name, const json::value& value) const
{
    return check(definition(name), value, std::string(name));
}

const json::object& JsonSchema::definition(std::string_view name) const
{
    return root_.at("$defs").at(name).as_object();
}

std::string JsonSchema::check(const json::object& schema, const json::value& value,
                              const std::string& path) const
{
    require_known_keywords(schema);
    const auto wrong = [&](std::string_view what) {
        return fmt::format("{}: {}: {}", path, what, json::serialize(value));
    };
    if (const auto* const ref = schema.if_contains("$ref"))
        return check(definition(std::string_view(ref->as_string()).substr(8)), value, path);
    if (const auto* const any = schema.if_contains("anyOf")) {
        std::string problems;
        for (const auto& one : any->as_array()) {
            const auto found = check(one.as_object(), value, path);
            if (found.empty()) return {};
            problems += found + '\n';
        }
        return problems;
    }
    const auto* const type = schema.if_contains("type");
    if (type != nullptr && !has_any_type(*type, value)) return wrong("type");
    if (const auto* const words = schema.if_contains("enum")) {
        const auto& all = words->as_array();
        if (std::find(all.begin(), all.end(), value) == all.end()) return wrong("enum");
    }
    if (const auto* const least = schema.if_contains("minimum"))
        if (value.to_number<double>() < least->to_number<double>()) return wrong("minimum");
    if (const auto* const pattern = schema.if_contains("pattern"); pattern && value.is_string())
        if (!RE2::PartialMatch(value.as_string().c_str(), pattern->as_string().c_str()))
            return wrong("pattern");
    if (const auto* const array = value.if_array())
        for (const auto& item : *array)
            if (auto found = check(schema.at("items").as_object(), item, path + "[]");
                !found.empty())
                return found;
    return value.is_object() ? check_object(schema, value.get_object(), path) : std::string();
}

std::string JsonSchema::check_object(const json::object& schema, const json::object& value,
                                     const std::string& path) const
{
    if (const auto* const required = schema.if_contains("required"))
        for (const auto& key : required->as_array())
            if (!value.contains(key.as_string()))
                return fmt::format("{}: without {}", path, key.as_string().c_str());
    const auto* const properties = schema.if_contains("properties");
    if (properties == nullptr) return {};
    for (const auto& [key, member] : value) {
        const auto* const one = properties->get_object().if_contains(key);
        if (one == nullptr) return fmt::format("{}: unknown key {}", path, std::string(key));
        auto found = check(one->as_object(), member, fmt::format("{}.{}", path, std::string(key)));
        if (!found.empty()) return found;
    }
    return {};
}

}  // namespace autoexec::test
