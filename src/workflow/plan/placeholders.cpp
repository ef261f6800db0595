#include "workflow/plan/placeholders.hpp"

#include "text/json.hpp"
#include "text/text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstddef>

namespace autoexec::workflow {
namespace {

/// Calls `text` for each piece of text, and `name` for each placeholder.
template <class OnText, class OnName>
void split(std::string_view text, OnText on_text, OnName on_name)
{
    static constexpr std::string_view opening = "{params.";
    const auto is_in_name = [](char c) {
        return text::is_letter_or_digit(c) || c == '_' || c == '-';
    };
    std::size_t done = 0;
    for (auto at = text.find(opening); at != text.npos; at = text.find(opening, at + 1)) {
        const auto begin = text.begin() + static_cast<std::ptrdiff_t>(at + opening.size());
        const auto end = std::find_if_not(begin, text.end(), is_in_name);
        if (end == begin || end == text.end() || *end != '}') continue;
        on_text(text.substr(done, at - done));
        on_name(std::string_view(begin, end));
        done = static_cast<std::size_t>(end - text.begin()) + 1;
    }
    on_text(text.substr(done));
}

}  // namespace

std::vector<std::string> placeholders_in(std::string_view text)
{
    std::vector<std::string> names;
    split(
        text, [](auto) {}, [&](std::string_view name) { names.emplace_back(name); });
    return names;
}

std::string fill_placeholders(std::string_view text, const boost::json::object& params)
{
    std::string filled;
    split(
        text, [&](std::string_view piece) { filled += piece; },
        [&](std::string_view name) {
            const auto* const value = params.if_contains(name);
            const bool has_value = value != nullptr && !value->is_null();
            filled += has_value ? text_of(*value) : fmt::format("{{params.{}}}", name);
        });
    return filled;
}

std::string text_of(const boost::json::value& value)
{
    if (value.is_string()) return std::string(value.get_string());
    return text::dump_line(value);
}

}  // namespace autoexec::workflow
