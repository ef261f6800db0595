#include "cli/workflow/params.hpp"

#include "text/json.hpp"
#include "text/text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

namespace autoexec::cli {
namespace {

namespace json = boost::json;

std::optional<json::value> number_in(const std::string& text)
{
    const auto reading = text::read_json_object("{\"value\":" + text + "}");
    if (reading.kind != text::JsonReading::Kind::valid) return std::nullopt;
    const auto* const value = reading.object.if_contains("value");
    if (reading.object.size() != 1 || value == nullptr || !value->is_number()) return std::nullopt;
    return *value;
}

json::value value_of(const std::string& text, const json::value& declared)
{
    const bool open = declared.is_null();
    if ((open || declared.is_bool()) && (text == "true" || text == "false")) return text == "true";
    if (!open && !declared.is_number()) return json::value(text);
    const auto number = number_in(text);
    if (number && (!open || text::dump_line(*number) == text)) return *number;
    return json::value(text);
}

}  // namespace

ParamWords split_params(const std::vector<std::string>& words, std::vector<std::string>& problems)
{
    ParamWords params;
    for (const auto& word : words) {
        const auto equals = word.find('=');
        if (equals == word.npos || equals == 0) {
            problems.push_back(
                fmt::format("invalid parameter '{}'; use NAME=VALUE", text::printable(word)));
            continue;
        }
        auto name = word.substr(0, equals);
        if (std::any_of(params.begin(), params.end(),
                        [&](const auto& param) { return param.first == name; }))
            problems.push_back(
                fmt::format("the parameter '{}' is given twice", text::printable(name)));
        params.emplace_back(std::move(name), word.substr(equals + 1));
    }
    return params;
}

json::object typed_params(const ParamWords& words, const json::object& declared)
{
    json::object params;
    for (const auto& [name, text] : words) {
        const auto* const like = declared.if_contains(name);
        const bool is_prose = name == "prompt" && (like == nullptr || like->is_null());
        params[name] = is_prose ? json::value(text) : value_of(text, like ? *like : json::value());
    }
    return params;
}

}  // namespace autoexec::cli
