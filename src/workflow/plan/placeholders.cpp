#include "workflow/plan/placeholders.hpp"

#include "text/json.hpp"
#include "text/text.hpp"
#include "workflow/plan/expansion.hpp"

#include <algorithm>
#include <utility>

namespace autoexec::workflow {
namespace {

using ValueKind = Placeholder::Kind;

bool is_in_name(char c)
{
    return text::is_letter_or_digit(c) || c == '_' || c == '-';
}

/// What is between the braces. Empty if that is text.
std::optional<Placeholder> placeholder_of(std::string_view inner, bool behind_dollar)
{
    const auto is_plain = [](char c) { return is_in_name(c) || c == '.'; };
    if (inner.empty() || !std::ranges::all_of(inner, is_plain)) return std::nullopt;
    auto parts = parts_of_name(inner);
    if (std::ranges::any_of(parts, &std::string::empty)) return std::nullopt;
    Placeholder found;
    const auto& first = parts.front();
    if (first == "params" && parts.size() == 2) {
        found.name = std::move(parts[1]);
        return found;
    }
    if (behind_dollar) return std::nullopt;
    if (first == "steps" && parts.size() > 1) {
        found.kind = ValueKind::step;
        found.path.parts = std::move(parts);
        return found;
    }
    if (first == "run" && parts.size() == 2 && (parts[1] == "id" || parts[1] == "branch")) {
        found.kind = ValueKind::run;
        found.name = std::move(parts[1]);
        return found;
    }
    if (inner == "gate.feedback") {
        found.kind = ValueKind::feedback;
        return found;
    }
    if (first == "item" || (first == "matrix" && parts.size() > 1)) {
        found.kind = ValueKind::item;
        found.path.parts.assign(parts.begin() + 1, parts.end());
        return found;
    }
    if (inner != "worktree" && inner != "index") return std::nullopt;
    found.kind = inner == "index" ? ValueKind::index : ValueKind::worktree;
    return found;
}

/// Calls `on_text` for each piece of text, and `on_placeholder` for each placeholder and how it is
/// written.
template <class OnText, class OnPlaceholder>
void split(std::string_view text, OnText on_text, OnPlaceholder on_placeholder)
{
    std::size_t done = 0;
    for (auto at = text.find('{'); at != text.npos; at = text.find('{', at + 1)) {
        const auto end = text.find_first_of("{}", at + 1);
        if (end == text.npos || text[end] != '}') continue;
        auto found =
            placeholder_of(text.substr(at + 1, end - at - 1), at > 0 && text[at - 1] == '$');
        if (!found) continue;
        found->path.offset = at;
        on_text(text.substr(done, at - done));
        done = end + 1;
        on_placeholder(*std::move(found), text.substr(at, done - at));
        at = end;
    }
    on_text(text.substr(done));
}

}  // namespace

std::vector<Placeholder> placeholders_in(std::string_view text)
{
    std::vector<Placeholder> found;
    split(
        text, [](auto) {}, [&](Placeholder one, auto) { found.push_back(std::move(one)); });
    return found;
}

bool has_agent_text(std::string_view text, bool items)
{
    return std::ranges::any_of(placeholders_in(text), [items](const Placeholder& one) {
        const auto& parts = one.path.parts;
        if (one.kind == ValueKind::item) return items;
        if (one.kind == ValueKind::feedback) return true;
        return one.kind == ValueKind::step &&
               (parts.back() == "output" || std::ranges::count(parts, "results") > 0);
    });
}

std::string fill_placeholders(std::string_view text, const PlaceholderValue& value)
{
    std::string filled;
    split(
        text, [&](std::string_view piece) { filled += piece; },
        [&](const Placeholder& one, std::string_view written) {
            const auto known = value(one);
            filled += known ? std::string_view(*known) : written;
        });
    return filled;
}

std::string fill_placeholders(std::string_view text, const boost::json::object& params)
{
    return fill_placeholders(text, [&](const Placeholder& one) -> std::optional<std::string> {
        if (one.kind != ValueKind::parameter) return std::nullopt;
        const auto* const value = params.if_contains(one.name);
        if (value == nullptr || value->is_null()) return std::nullopt;
        return text_of(*value);
    });
}

std::string text_of(const boost::json::value& value)
{
    if (value.is_string()) return std::string(value.get_string());
    return text::dump_line(value);
}

}  // namespace autoexec::workflow
