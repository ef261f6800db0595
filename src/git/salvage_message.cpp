#include "git/salvages.hpp"

#include "text/text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>

namespace autoexec::git {
namespace {

using namespace std::chrono;

constexpr std::string_view subject = "Salvage of ";
constexpr std::string_view gap = "\n\n";

constexpr std::array<std::pair<std::string_view, std::string SalvageNote::*>, 4> fields{{
    {"Worktree: ", &SalvageNote::path},
    {"Branch: ", &SalvageNote::branch},
    {"Head: ", &SalvageNote::head},
    {"Index: ", &SalvageNote::index},
}};

void read_field(std::string_view line, SalvageNote& record)
{
    for (const auto& [name, field] : fields)
        if (line.starts_with(name)) record.*field = line.substr(name.size());
}

}  // namespace

std::string salvage_ref(std::string_view tree, system_clock::time_point time)
{
    const auto day = floor<days>(time);
    const year_month_day date(day);
    const hh_mm_ss clock(floor<microseconds>(time - day));
    return fmt::format("{}{}/{:04}{:02}{:02}-{:02}{:02}{:02}-{:06}", salvage_refs, tree,
                       static_cast<int>(date.year()), static_cast<unsigned>(date.month()),
                       static_cast<unsigned>(date.day()), clock.hours().count(),
                       clock.minutes().count(), clock.seconds().count(),
                       clock.subseconds().count());
}

bool read_salvage_ref(std::string_view ref, std::string& tree, system_clock::time_point& time)
{
    if (!ref.starts_with(salvage_refs)) return false;
    ref.remove_prefix(salvage_refs.size());
    const auto slash = ref.find('/');
    if (slash == std::string_view::npos) return false;
    tree = ref.substr(0, slash);
    const auto text = ref.substr(slash + 1);
    // 20260120-210036-129110 as 2026-01-20T21:00:36.129110
    if (text.size() != 22 || text[8] != '-' || text[15] != '-') return false;
    const auto found = text::parse_iso(
        fmt::format("{}-{}-{}T{}:{}:{}.{}", text.substr(0, 4), text.substr(4, 2), text.substr(6, 2),
                    text.substr(9, 2), text.substr(11, 2), text.substr(13, 2), text.substr(16)));
    if (found) time = *found;
    return found.has_value();
}

std::string salvage_message(const SalvageNote& record)
{
    auto message = fmt::format("{}{}{}", subject, record.tree, gap);
    if (!record.reason.empty()) message += record.reason + std::string(gap);
    for (const auto& [name, field] : fields)
        if (!(record.*field).empty())
            message += std::string(name) + text::printable(record.*field) + "\n";
    return message;
}

SalvageNote read_salvage_message(std::string_view message)
{
    SalvageNote record;
    while (message.ends_with('\n')) message.remove_suffix(1);
    const auto first = message.find(gap);
    const auto last = message.rfind(gap);
    if (!message.starts_with(subject) || first == std::string_view::npos) return record;
    record.tree = message.substr(subject.size(), first - subject.size());
    if (last > first) record.reason = message.substr(first + 2, last - first - 2);
    auto lines = message.substr(last + 2);
    while (!lines.empty()) {
        const auto end = std::min(lines.find('\n'), lines.size());
        read_field(lines.substr(0, end), record);
        lines.remove_prefix(std::min(end + 1, lines.size()));
    }
    return record;
}

}  // namespace autoexec::git
