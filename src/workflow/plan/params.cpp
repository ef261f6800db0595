#include "workflow/plan/params.hpp"

#include "text/json.hpp"
#include "workflow/expression/expression.hpp"
#include "workflow/plan/placeholders.hpp"

#include <fmt/format.h>
#include <boost/json/array.hpp>

#include <algorithm>
#include <optional>

namespace autoexec::workflow {
namespace {

namespace json = boost::json;

std::optional<json::value> json_in(const std::string& text)
{
    const auto reading = text::read_json_object("{\"value\":" + text + "}");
    if (reading.kind != text::JsonReading::Kind::valid) return std::nullopt;
    const auto* const value = reading.object.if_contains("value");
    if (reading.object.size() != 1 || value == nullptr) return std::nullopt;
    return *value;
}

/// A list as JSON, or of texts with commas between them.
json::value list_in(const std::string& text)
{
    if (auto value = json_in(text); value && value->is_array()) return *std::move(value);
    json::array items;
    for (std::size_t at = 0; !text.empty() && at <= text.size();) {
        const auto comma = std::min(text.find(',', at), text.size());
        items.emplace_back(text.substr(at, comma - at));
        at = comma + 1;
    }
    return items;
}

}  // namespace

json::value typed_param(const std::string& text, const json::value& declared)
{
    const bool open = declared.is_null();
    if (declared.is_array()) return list_in(text);
    if ((open || declared.is_bool()) && (text == "true" || text == "false"))
        return json::value(text == "true");
    if (!open && !declared.is_number()) return json::value(text);
    auto number = json_in(text);
    if (number && number->is_number() && (!open || text::dump_line(*number) == text))
        return *std::move(number);
    return json::value(text);
}

std::string flaw_of_param(const json::value& value, const json::value& declared)
{
    const auto* const text = value.if_string();
    if (value.is_null() || (text != nullptr && !placeholders_in(*text).empty())) return {};
    if (declared.is_null())
        return value.is_structured()
                   ? fmt::format("must be a single value, and this is {}", describe(value))
                   : std::string();
    const bool fits =
        (value.is_number() && declared.is_number()) || value.kind() == declared.kind();
    return fits ? std::string()
                : fmt::format("must be {}, and this is {}", describe(declared), describe(value));
}

}  // namespace autoexec::workflow
