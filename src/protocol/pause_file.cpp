#include "protocol/pause_file.hpp"

#include "text/json.hpp"
#include "text/json_fields.hpp"
#include "text/text.hpp"

#include <fmt/format.h>
#include <boost/json/object.hpp>

#include <vector>

namespace autoexec::protocol {
namespace {

namespace json = boost::json;

constexpr std::string_view pauses_version = "1.0";
constexpr std::size_t max_pauser = 256;

json::object json_of_pause(const Pause& pause)
{
    return {{"since", text::text_or_null(text::iso_utc(pause.since))}, {"by", pause.by}};
}

json::object json_of_pause(const StartPauses::ByName& pauses)
{
    json::object out;
    for (const auto& [name, pause] : pauses) out[name] = json_of_pause(pause);
    return out;
}

Pause read_pause(const json::value& value)
{
    std::vector<std::string> ignored;
    const text::Fields in(value.if_object(), ignored);
    return {in.time("since"), std::string(text::head(in.string("by").value_or(""), max_pauser))};
}

StartPauses::ByName read_by_name(const json::value* value)
{
    StartPauses::ByName pauses;
    if (value == nullptr || !value->is_object()) return pauses;
    for (const auto& [name, pause] : value->get_object())
        if (pauses.size() < max_paused_names && !name.empty() && name.size() <= max_paused_name &&
            pause.is_object())
            pauses.emplace(std::string(name), read_pause(pause));
    return pauses;
}

}  // namespace

std::string words_of_pause(const Pause& pause, std::string_view kind, std::string_view name)
{
    auto words = kind.empty()
                     ? "starts are paused"
                     : fmt::format("starts of {} {} are paused", kind, text::printable(name));
    if (pause.since) words += " since " + text::shown_time(*pause.since);
    if (!pause.by.empty()) words += " by " + text::printable(pause.by);
    return words;
}

std::string format_pauses(const StartPauses& pauses)
{
    json::object out{{"version", pauses_version}};
    if (pauses.all) out["all"] = json_of_pause(*pauses.all);
    out["agents"] = json_of_pause(pauses.agents);
    out["workflows"] = json_of_pause(pauses.workflows);
    return text::dump_indented(out);
}

std::optional<StartPauses> parse_pauses(std::string_view text)
{
    const auto reading = text::read_json_object(text);
    if (reading.kind != text::JsonReading::Kind::valid) return std::nullopt;
    std::vector<std::string> ignored;
    const text::Fields in(&reading.object, ignored);
    if (!in.string("version").value_or("").starts_with("1.")) return std::nullopt;
    StartPauses pauses;
    if (const auto* const all = reading.object.if_contains("all"); all && all->is_object())
        pauses.all = read_pause(*all);
    pauses.agents = read_by_name(reading.object.if_contains("agents"));
    pauses.workflows = read_by_name(reading.object.if_contains("workflows"));
    return pauses;
}

}  // namespace autoexec::protocol
