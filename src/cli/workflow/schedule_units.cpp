#include "cli/workflow/schedule_units.hpp"

#include "text/columns.hpp"
#include "text/json.hpp"
#include "text/json_fields.hpp"
#include "text/text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>

namespace autoexec::cli {
namespace {

namespace json = boost::json;

constexpr std::size_t max_slug = 60;
constexpr std::size_t hash_digits = 12;
constexpr std::string_view own_section = "\n[X-Autoexec]\nSchedule=";

bool is_control(char c)
{
    return static_cast<unsigned char>(c) < 0x20 || c == 0x7F;
}

// A percent sign begins a specifier.
std::string without_specifiers(std::string_view text)
{
    std::string out;
    for (const char c : text) out.append(c == '%' ? 2 : 1, c);
    return out;
}

std::string slug_of(std::string_view text)
{
    std::string slug;
    for (const char c : text.substr(0, max_slug))
        if (text::is_letter_or_digit(c))
            slug += c;
        else if (!slug.empty() && slug.back() != '-')
            slug += '-';
    while (slug.ends_with('-')) slug.pop_back();
    return slug;
}

// systemd ignores a line that is none.
bool is_utf8(std::string_view text)
{
    return text::valid_utf8(text) == text;
}

// A backslash at the end of a line would continue it, and spaces there are dropped.
bool fits_line(const std::filesystem::path& path)
{
    const auto& text = path.native();
    return !text.empty() && text.back() != '\\' && text.back() != ' ' && is_utf8(text) &&
           std::none_of(text.begin(), text.end(), is_control);
}

std::string description_of(const WorkflowSchedule& schedule)
{
    auto text = text::one_line(fmt::format("autoexec workflow {} in {}",
                                           text::valid_utf8(schedule.file.filename().string()),
                                           text::valid_utf8(schedule.project.string())));
    return without_specifiers(text);
}

json::array texts_of(const std::vector<std::string>& texts)
{
    return json::array(texts.begin(), texts.end());
}

std::vector<std::string> texts_in(const json::object& object, std::string_view key)
{
    std::vector<std::string> texts;
    const auto* const value = object.if_contains(key);
    if (value == nullptr || !value->is_array()) return texts;
    for (const auto& one : value->get_array())
        if (one.is_string()) texts.emplace_back(one.get_string());
    return texts;
}

std::string text_in(const json::object& object, std::string_view key)
{
    const auto* const value = object.if_contains(key);
    return value != nullptr && value->is_string() ? std::string(value->get_string())
                                                  : std::string();
}

// `03:00` or `03:00:30`
bool is_time_of_day(std::string_view text)
{
    if (!text::has_form(text, "dd:dd") && !text::has_form(text, "dd:dd:dd")) return false;
    return text.substr(0, 2) < "24" && text[3] < '6' && (text.size() == 5 || text[6] < '6');
}

// `Mon`, `Mon,Thu` or `Mon..Fri`
bool is_weekdays(std::string_view text)
{
    return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
        return (text::is_letter_or_digit(c) && !(c >= '0' && c <= '9')) || c == ',' || c == '.';
    });
}

}  // namespace

std::string unit_name(const WorkflowSchedule& schedule)
{
    const auto key = schedule.project.native() + '\0' + schedule.file.native();
    auto slug = slug_of(schedule.project.filename().native()) + '-' +
                slug_of(schedule.file.stem().native());
    return std::string(schedule_prefix) + slug + '-' + text::sha256_hex(key).substr(0, hash_digits);
}

std::string unit_problem(const WorkflowSchedule& schedule)
{
    for (const auto* const path : {&schedule.project, &schedule.file, &schedule.program})
        if (!fits_line(*path))
            return fmt::format(
                "the path '{}' cannot be written into a unit: it contains a control character, is "
                "not UTF-8, or ends with a space or backslash; rename it",
                text::printable(text::valid_utf8(path->string())));
    // systemd refuses such a program, however it is quoted.
    if (schedule.program.native().find_first_of("\"'\\") != std::string::npos)
        return fmt::format("the path of the program, '{}', has a quote or backslash; rename it",
                           text::printable(schedule.program.string()));
    for (const auto& word : schedule.words)
        if (!is_utf8(word))
            return fmt::format("the option '{}' cannot be written into a unit: it is not UTF-8",
                               text::printable(text::valid_utf8(word)));
    if (timer_unit(schedule).size() > max_unit_bytes)
        return fmt::format(
            "the options have more than {} KiB together; put long texts into the workflow",
            max_unit_bytes / 1024);
    return {};
}

// `Persistent`: a trigger that is missed while the computer is off happens at the next start, once:
// systemd stores the time of the last one.
std::string timer_unit(const WorkflowSchedule& schedule)
{
    auto text = fmt::format(
        "# Written by autoexec workflow schedule, which replaces and removes it.\n"
        "[Unit]\nDescription=Schedule of {}\n\n[Timer]\n",
        description_of(schedule));
    for (const auto& expression : schedule.calendar)
        text += fmt::format("OnCalendar={}\n", expression);
    const json::object record{{"project", schedule.project.string()},
                              {"file", schedule.file.string()},
                              {"calendar", texts_of(schedule.calendar)},
                              {"words", texts_of(schedule.words)}};
    text += "Persistent=true\n\n[Install]\nWantedBy=timers.target\n";
    text += own_section;
    return text + text::dump_line(record) + '\n';
}

std::vector<std::string> words_of(const WorkflowSchedule& schedule)
{
    std::vector<std::string> words{schedule.program.string(), "workflow", "run", "--project",
                                   schedule.project.string()};
    words.insert(words.end(), schedule.words.begin(), schedule.words.end());
    words.push_back(schedule.file.string());
    return words;
}

// systemd does not start a service that runs, so runs of one schedule do not overlap.
std::string service_unit(const WorkflowSchedule& schedule)
{
    auto words = words_of(schedule);
    words.front().insert(0, ":");  // no variable is expanded
    std::string command;
    for (const auto& word : words) command += (command.empty() ? "" : " ") + unit_word(word);
    return fmt::format(
        "# Written by autoexec workflow schedule, which replaces and removes it.\n"
        "[Unit]\nDescription={}\n\n[Service]\nType=oneshot\nExecStart={}\nWorkingDirectory={}\n"
        "# Keys of the agents' programs, and a PATH that finds them: NAME=value on each line.\n"
        "EnvironmentFile=-%E/autoexec/environment\n"
        "# One trigger is one run, whatever its end is.\nRestart=no\n"
        "# It stops its programs itself.\nKillMode=mixed\nTimeoutStopSec=60\nOOMPolicy=continue\n"
        "NoNewPrivileges=yes\n",
        description_of(schedule), command, without_specifiers(schedule.project.string()));
}

std::optional<WorkflowSchedule> read_timer(std::string_view unit)
{
    const auto at = unit.find(own_section);
    if (at == unit.npos) return std::nullopt;
    auto line = unit.substr(at + own_section.size());
    line = line.substr(0, line.find('\n'));
    const auto read = text::read_json_object(line);
    WorkflowSchedule schedule;
    schedule.project = text_in(read.object, "project");
    schedule.file = text_in(read.object, "file");
    schedule.calendar = texts_in(read.object, "calendar");
    schedule.words = texts_in(read.object, "words");
    const bool valid = read.kind == text::JsonReading::Kind::valid &&
                       schedule.project.is_absolute() && schedule.file.is_absolute();
    return valid ? std::optional(std::move(schedule)) : std::nullopt;
}

std::string unit_word(std::string_view word)
{
    std::string out = "\"";
    for (const char c : word) {
        if (c == '\n')
            out += "\\n";
        else if (is_control(c))
            out += fmt::format("\\x{:02x}", static_cast<unsigned>(static_cast<unsigned char>(c)));
        else if (c == '"' || c == '\\')
            out.append(1, '\\').append(1, c);
        else
            out.append(c == '%' ? 2 : 1, c);
    }
    return out + '"';
}

std::optional<std::string> calendar_of_interval(std::chrono::milliseconds interval)
{
    using std::chrono::hours;
    using std::chrono::minutes;
    const auto whole = std::chrono::duration_cast<minutes>(interval);
    if (whole != interval || whole < minutes{1}) return std::nullopt;
    if (hours{1} % whole == minutes{0}) {
        if (whole == hours{1}) return "*-*-* *:00:00";
        return fmt::format("*-*-* *:0/{}:00", whole.count());
    }
    if (whole == hours{24}) return "*-*-* 00:00:00";
    if (whole == hours{24 * 7}) return "Mon *-*-* 00:00:00";
    const auto count = std::chrono::duration_cast<hours>(whole);
    if (count != whole || hours{24} % count != hours{0}) return std::nullopt;
    return fmt::format("*-*-* 0/{}:00:00", count.count());
}

std::optional<std::string> calendar_of_time(std::string_view text)
{
    const auto space = text.rfind(' ');
    const auto time = text.substr(space == text.npos ? 0 : space + 1);
    const auto days = space == text.npos ? std::string_view() : text.substr(0, space);
    if (is_time_of_day(time) && (space == text.npos || is_weekdays(days)))
        return fmt::format("{}{}*-*-* {}{}", days, days.empty() ? "" : " ", time,
                           time.size() == 5 ? ":00" : "");
    const bool possible =
        !text.empty() && text.front() != '-' && text.front() != ' ' &&
        std::all_of(text.begin(), text.end(), [](char c) {
            return text::is_letter_or_digit(c) ||
                   std::string_view("*,./:~-_+ ").find(c) != std::string_view::npos;
        });
    // A single number or time out of range is a mistake.
    const bool is_expression =
        possible && text.find_first_of("*-~/abcdefghijklmnopqrstuvwxyz") != text.npos;
    return is_expression ? std::optional(std::string(text)) : std::nullopt;
}

}  // namespace autoexec::cli
