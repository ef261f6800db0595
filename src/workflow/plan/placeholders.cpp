#include "workflow/plan/placeholders.hpp"

#include "text/json.hpp"
#include "text/text.hpp"

#include <algorithm>
#include <optional>

namespace autoexec::workflow {
namespace {

constexpr std::string_view opening = "{params.";

bool belongs_to_name(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '-';
}

struct Found {
    std::size_t begin = 0;
    std::size_t end = 0;  // behind the brace
    std::string_view name;
};

std::optional<Found> next_placeholder(std::string_view text, std::size_t from)
{
    for (auto begin = text.find(opening, from); begin != text.npos;
         begin = text.find(opening, begin + 1)) {
        const auto name = text.substr(begin + opening.size());
        const auto size = static_cast<std::size_t>(
            std::find_if_not(name.begin(), name.end(), belongs_to_name) - name.begin());
        if (size > 0 && size < name.size() && name[size] == '}')
            return Found{begin, begin + opening.size() + size + 1, name.substr(0, size)};
    }
    return std::nullopt;
}

}  // namespace

std::vector<std::string> placeholders_in(std::string_view text)
{
    std::vector<std::string> names;
    for (auto found = next_placeholder(text, 0); found; found = next_placeholder(text, found->end))
        names.emplace_back(found->name);
    return names;
}

std::string fill_placeholders(std::string_view text, const boost::json::object& params)
{
    std::string filled;
    std::size_t done = 0;
    for (auto found = next_placeholder(text, 0); found;
         found = next_placeholder(text, found->end)) {
        filled += text.substr(done, found->begin - done);
        const auto* const value = params.if_contains(found->name);
        if (value != nullptr && !value->is_null())
            filled += text_of(*value);
        else
            filled += text.substr(found->begin, found->end - found->begin);
        done = found->end;
    }
    return filled += text.substr(done);
}

std::string text_of(const boost::json::value& value)
{
    if (value.is_string()) return std::string(value.get_string());
    return text::dump_line(value);
}

}  // namespace autoexec::workflow
