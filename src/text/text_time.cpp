#include "text/text.hpp"

#include <fmt/chrono.h>
#include <re2/re2.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <concepts>
#include <cstdint>
#include <ctime>
#include <utility>

namespace autoexec::text {
namespace {

using std::chrono::system_clock;

char* write_digits(char* out, std::integral auto value, int width)
{
    for (int i = width; i > 0; value /= 10) out[--i] = static_cast<char>('0' + value % 10);
    return out + width;
}

/// The clock's range is within four digits of a year.
char* write_date(char* out, std::chrono::sys_days day)
{
    const std::chrono::year_month_day date(day);
    out = write_digits(out, static_cast<unsigned>(static_cast<int>(date.year())), 4);
    *out++ = '-';
    out = write_digits(out, static_cast<unsigned>(date.month()), 2);
    *out++ = '-';
    return write_digits(out, static_cast<unsigned>(date.day()), 2);
}

/// `2026-01-20T21:00:36+00:00` or `2026-01-20T21:00:36.129110+00:00`, as most texts are. A regular
/// expression takes ten times as long.
std::optional<system_clock::time_point> parse_usual(std::string_view text)
{
    using namespace std::chrono;
    constexpr std::string_view form = "dddd-dd-ddTdd:dd:dd.dddddd+00:00";
    constexpr std::size_t whole = 19;
    constexpr std::size_t fraction = 7;
    const bool has_fraction = text.size() == form.size();
    if (!has_fraction && text.size() != form.size() - fraction) return std::nullopt;
    for (std::size_t i = 0; i < text.size(); ++i) {
        const char expected = form[i < whole || has_fraction ? i : i + fraction];
        const bool fits = expected == 'd' ? text[i] >= '0' && text[i] <= '9' : text[i] == expected;
        if (!fits) return std::nullopt;
    }
    const auto number = [text](std::size_t at, std::size_t width) {
        int value = 0;
        for (const char c : text.substr(at, width)) value = value * 10 + (c - '0');
        return value;
    };
    const year_month_day date{year{number(0, 4)}, month{static_cast<unsigned>(number(5, 2))},
                              day{static_cast<unsigned>(number(8, 2))}};
    const hours h{number(11, 2)};
    const minutes m{number(14, 2)};
    const seconds s{number(17, 2)};
    if (date.year() < year{1679} || date.year() > year{2260} || !date.ok() || h > hours{23} ||
        m > minutes{59} || s > seconds{59})
        return std::nullopt;
    const microseconds rest{has_fraction ? number(whole + 1, 6) : 0};
    return system_clock::time_point{sys_days{date}} + h + m + s + rest;
}

}  // namespace

// Several times faster than through `std::tm`.
char* write_iso_utc(char* out, system_clock::time_point t)
{
    using namespace std::chrono;
    const auto day = floor<days>(t);
    const auto micros = floor<microseconds>(t - day).count();
    const auto fraction = static_cast<unsigned>(micros % 1'000'000);
    const auto seconds_of_day = static_cast<unsigned>(micros / 1'000'000);
    out = write_date(out, day);
    *out++ = 'T';
    out = write_digits(out, seconds_of_day / 3600, 2);
    *out++ = ':';
    out = write_digits(out, seconds_of_day / 60 % 60, 2);
    *out++ = ':';
    out = write_digits(out, seconds_of_day % 60, 2);
    if (fraction != 0) {
        *out++ = '.';
        out = write_digits(out, fraction, 6);
    }
    constexpr std::string_view offset = "+00:00";
    return std::copy(offset.begin(), offset.end(), out);
}

std::string iso_utc(const std::optional<system_clock::time_point>& t)
{
    if (!t) return {};
    std::array<char, iso_utc_size> buffer;
    return {buffer.data(), write_iso_utc(buffer.data(), *t)};
}

std::string iso_local(system_clock::time_point t)
{
    using namespace std::chrono;
    const auto whole = floor<seconds>(t);
    const auto micros = floor<microseconds>(t - whole).count();
    auto out = fmt::format("{:%FT%T}", fmt::localtime(system_clock::to_time_t(whole)));
    if (micros != 0) out += fmt::format(".{:06}", micros);
    return out;
}

std::string shown_time(system_clock::time_point t)
{
    return fmt::format(
        "{:%F %T %z}",
        fmt::localtime(system_clock::to_time_t(std::chrono::floor<std::chrono::seconds>(t))));
}

std::string shown_time(const std::optional<system_clock::time_point>& t)
{
    return t ? shown_time(*t) : "-";
}

std::string utc_date(system_clock::time_point t)
{
    std::array<char, 10> buffer;
    return {buffer.data(), write_date(buffer.data(), std::chrono::floor<std::chrono::days>(t))};
}

namespace {

/// A time whose offset from UTC may be absent.
struct ParsedTime {
    system_clock::time_point utc;  // as if the offset were zero, if it is absent
    bool has_offset = false;
};

std::optional<ParsedTime> parse_parts(std::string_view text)
{
    using namespace std::chrono;
    // Date, time, fraction, offset
    static const RE2 form(R"((\d{4})-(\d\d)-(\d\d))"
                          R"((?:[Tt ](\d\d):(\d\d)(?::(\d\d)(?:[.,](\d+))?)?)"
                          R"( ?([Zz]|([+-])(\d\d):?(\d\d)?)?)?)",
                          RE2::Latin1);
    re2::StringPiece parts[12];
    if (!form.Match({text.data(), text.size()}, 0, text.size(), RE2::ANCHOR_BOTH, parts, 12))
        return std::nullopt;
    const auto number = [&parts](int part) {
        int value = 0;
        std::from_chars(parts[part].begin(), parts[part].end(), value);
        return value;
    };
    const year_month_day date{year{number(1)}, month{static_cast<unsigned>(number(2))},
                              day{static_cast<unsigned>(number(3))}};
    // The range of a clock in nanoseconds, less a year at either end.
    if (number(1) < 1679 || number(1) > 2260 || !date.ok() || number(4) > 23 || number(5) > 59 ||
        number(6) > 59 || number(10) > 23 || number(11) > 59)
        return std::nullopt;
    const auto nanos = (std::string(parts[7]) + "000000000").substr(0, 9);
    const auto time =
        hours{number(4)} + minutes{number(5)} + seconds{number(6)} + nanoseconds{std::stoll(nanos)};
    const minutes offset = hours{number(10)} + minutes{number(11)};
    return ParsedTime{
        system_clock::time_point{sys_days{date}} +
            duration_cast<system_clock::duration>(time - (parts[9] == "-" ? -offset : offset)),
        !parts[8].empty()};
}

}  // namespace

std::optional<system_clock::time_point> parse_iso(std::string_view text)
{
    if (const auto usual = parse_usual(text)) return usual;
    const auto parsed = parse_parts(text);
    return parsed ? std::optional(parsed->utc) : std::nullopt;
}

std::optional<system_clock::time_point> parse_local_time(std::string_view text)
{
    const auto parsed = parse_parts(text);
    if (!parsed || parsed->has_offset) return parsed ? std::optional(parsed->utc) : std::nullopt;
    const auto whole = std::chrono::floor<std::chrono::seconds>(parsed->utc);
    auto parts = fmt::gmtime(system_clock::to_time_t(whole));
    parts.tm_isdst = -1;  // as the zone has it at that time
    const auto local = std::mktime(&parts);
    return system_clock::from_time_t(local) + (parsed->utc - whole);
}

namespace {

using Unit = std::pair<std::string_view, double>;
constexpr Unit duration_units[] = {
    {"w", 7 * 24 * 3600e3}, {"d", 24 * 3600e3}, {"h", 3600e3}, {"m", 60e3}, {"s", 1e3}, {"ms", 1}};

/// Reads a number and its unit, which is smaller than `above`, from the beginning of `text`.
std::optional<double> take_part(std::string_view& text, double& above)
{
    if (text.empty() || text.front() < '0' || text.front() > '9') return std::nullopt;
    double number = 0;
    const auto end = text.data() + text.size();
    const auto [rest, ec] = std::from_chars(text.data(), end, number, std::chars_format::fixed);
    if (ec != std::errc{}) return std::nullopt;
    text = {rest, static_cast<std::size_t>(end - rest)};
    const auto name = text.substr(0, text.find_first_of("0123456789."));
    text.remove_prefix(name.size());
    for (const auto& [unit, milliseconds] : duration_units) {
        if (unit != name || milliseconds >= above) continue;
        above = milliseconds;
        return number * milliseconds;
    }
    return std::nullopt;
}

}  // namespace

std::optional<std::chrono::milliseconds> parse_duration(std::string_view text)
{
    // A hundred years: adding it to a clock's time does not overflow.
    static constexpr double max_ms = 100 * 365.25 * 24 * 3600e3;
    const bool has_unit = text.find_first_not_of("0123456789.") != text.npos;
    const auto with_unit = std::string(text) + (has_unit ? "" : "s");
    std::string_view rest = with_unit;
    double total = 0;
    double above = max_ms;
    do {
        const auto part = take_part(rest, above);
        if (!part) return std::nullopt;
        total += *part;
    } while (!rest.empty());
    if (total > max_ms) return std::nullopt;
    const auto ms = std::llround(total);
    // Zero often means "none", so a positive value must not be rounded to zero.
    return std::chrono::milliseconds{total > 0 ? std::max(ms, 1LL) : 0};
}

std::string format_duration(std::chrono::milliseconds d)
{
    const auto ms = std::max<std::int64_t>(d.count(), 0);
    if (ms < 1000) return fmt::format("{}ms", ms);
    const auto s = ms / 1000;
    if (s < 60) return fmt::format("{}.{}s", s, ms % 1000 / 100);
    if (s < 3600) return fmt::format("{}m{:02}s", s / 60, s % 60);
    constexpr std::int64_t day = 24 * 3600;
    if (s < day) return fmt::format("{}h{:02}m", s / 3600, s % 3600 / 60);
    return fmt::format("{}d{:02}h", s / day, s % day / 3600);
}

}  // namespace autoexec::text
