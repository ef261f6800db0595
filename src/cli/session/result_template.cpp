#include "cli/session/result_template.hpp"

#include "cli/session/output.hpp"
#include "text/json.hpp"
#include "text/text.hpp"

#include <fmt/format.h>

#include <charconv>

namespace autoexec::cli {
namespace {

namespace json = boost::json;

const json::value* member(const json::value& value, std::string_view key)
{
    if (const auto* const object = value.if_object()) return object->if_contains(key);
    const auto* const array = value.if_array();
    if (array == nullptr) return nullptr;
    std::size_t index = 0;
    const auto* const end = key.data() + key.size();
    const auto [stop, error] = std::from_chars(key.data(), end, index);
    return error == std::errc{} && stop == end ? array->if_contains(index) : nullptr;
}

// Null: absent.
const json::value* find_value(const json::object& result, std::string_view path)
{
    const auto* value = result.if_contains(path.substr(0, path.find('.')));
    while (value != nullptr && path.find('.') != path.npos) {
        path.remove_prefix(path.find('.') + 1);
        value = member(*value, path.substr(0, path.find('.')));
    }
    return value;
}

std::string shown_value(const json::value& value)
{
    if (value.is_null()) return {};
    const auto* const string = value.if_string();
    return text::printable(string != nullptr ? std::string(*string) : text::dump_line(value));
}

char escaped_character(char c)
{
    if (c == 't') return '\t';
    return c == 'n' ? '\n' : c;
}

}  // namespace

ResultTemplate::ResultTemplate(std::string_view text)
{
    parts_.emplace_back();
    for (std::size_t i = 0; i < text.size(); ++i) {
        const char c = text[i];
        const bool is_doubled = i + 1 < text.size() && text[i + 1] == c;
        if (c == '\\' && i + 1 < text.size()) {
            parts_.back().text += escaped_character(text[++i]);
        } else if ((c == '{' || c == '}') && is_doubled) {
            parts_.back().text += text[++i];
        } else if (c == '{') {
            const auto end = text.find('}', i);
            if (end == text.npos || end == i + 1)
                fail(exit_usage, "--format: {} in '{}'; write {{KEY}}, or {{{{ for a brace",
                     end == text.npos ? "a brace is not closed" : "a key is missing", text);
            parts_.push_back({std::string(text.substr(i + 1, end - i - 1)), true});
            parts_.emplace_back();
            i = end;
        } else {
            parts_.back().text += c;
        }
    }
}

std::string ResultTemplate::fill(const json::object& result)
{
    std::string line;
    for (const auto& [key, value] : result) known_.insert(key);
    for (const auto& part : parts_) {
        if (!part.is_key) {
            line += part.text;
            continue;
        }
        const auto* const value = find_value(result, part.text);
        if (value != nullptr) line += shown_value(*value);
        // What is below null differs from result to result.
        if (value != nullptr || result.contains(part.text.substr(0, part.text.find('.'))))
            found_.insert(part.text);
    }
    return line;
}

std::vector<std::string> ResultTemplate::missing() const
{
    std::vector<std::string> keys;
    for (const auto& part : parts_)
        if (part.is_key && !known_.empty() && !found_.contains(part.text))
            keys.push_back(part.text);
    return keys;
}

}  // namespace autoexec::cli
