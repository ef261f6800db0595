#include "text/text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdint>
#include <ctime>
#include <utility>

namespace autoexec::text {
namespace {

using std::chrono::system_clock;

enum class Zone { utc, local };

std::string iso(system_clock::time_point t, Zone zone)
{
    using namespace std::chrono;
    const auto seconds = floor<std::chrono::seconds>(t);
    const auto micros = floor<microseconds>(t - seconds).count();
    const auto time = system_clock::to_time_t(seconds);
    std::tm tm{};
    zone == Zone::utc ? gmtime_r(&time, &tm) : localtime_r(&time, &tm);
    auto out = fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}", tm.tm_year + 1900, tm.tm_mon + 1,
                           tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec);
    if (micros != 0) out += fmt::format(".{:06}", micros);
    return out;
}

/// Parses a text from the left; after a failure every further step fails.
class Scanner {
public:
    explicit Scanner(std::string_view text) : text_(text) {}

    bool at(std::string_view any) const
    {
        return !text_.empty() && any.find(text_.front()) != any.npos;
    }
    bool done() const { return ok_ && text_.empty(); }

    char expect(std::string_view any)
    {
        if (!at(any)) {
            ok_ = false;
            return 0;
        }
        const char c = text_.front();
        text_.remove_prefix(1);
        return c;
    }

    /// Exactly `count` digits; a number between `min` and `max`.
    int number(int count, int min, int max)
    {
        int value = 0;
        for (int i = 0; i < count; ++i) value = value * 10 + (expect("0123456789") - '0');
        ok_ = ok_ && value >= min && value <= max;
        return value;
    }

    /// A decimal fraction of any length, in nanoseconds.
    std::chrono::nanoseconds fraction()
    {
        std::int64_t value = expect("0123456789") - '0';
        std::int64_t scale = 100'000'000;
        for (value *= scale; at("0123456789"); value += scale * (expect("0123456789") - '0'))
            scale /= 10;
        return std::chrono::nanoseconds{value};
    }

private:
    std::string_view text_;
    bool ok_ = true;
};

std::chrono::nanoseconds time_of_day(Scanner& in)
{
    using namespace std::chrono;
    nanoseconds time = hours{in.number(2, 0, 23)};
    in.expect(":");
    time += minutes{in.number(2, 0, 59)};
    if (!in.at(":")) return time;
    in.expect(":");
    time += seconds{in.number(2, 0, 59)};
    if (!in.at(".,")) return time;
    in.expect(".,");
    return time + in.fraction();
}

std::chrono::minutes offset(Scanner& in)
{
    using namespace std::chrono;
    if (!in.at("+-")) {
        if (in.at("Zz")) in.expect("Zz");
        return {};
    }
    const int sign = in.expect("+-") == '-' ? -1 : 1;
    minutes value = hours{in.number(2, 0, 23)};
    if (in.at(":")) in.expect(":");
    if (in.at("0123456789")) value += minutes{in.number(2, 0, 59)};
    return sign * value;
}

}  // namespace

std::string iso_utc(const std::optional<system_clock::time_point>& t)
{
    return t ? iso(*t, Zone::utc) + "+00:00" : std::string();
}

std::string iso_local(system_clock::time_point t)
{
    return iso(t, Zone::local);
}

std::string utc_date(system_clock::time_point t)
{
    return iso(t, Zone::utc).substr(0, 10);
}

std::optional<system_clock::time_point> parse_iso(std::string_view text)
{
    using namespace std::chrono;
    Scanner in(text);
    // The range of a clock in nanoseconds, less a year at either end.
    const auto y = in.number(4, 1679, 2260);
    in.expect("-");
    const auto m = in.number(2, 1, 12);
    in.expect("-");
    const auto d = in.number(2, 1, 31);
    nanoseconds rest{};
    if (in.at("Tt ")) {
        in.expect("Tt ");
        rest = time_of_day(in);
        rest -= offset(in);
    }
    const year_month_day date{year{y}, month{static_cast<unsigned>(m)},
                              day{static_cast<unsigned>(d)}};
    if (!in.done() || !date.ok()) return std::nullopt;
    return system_clock::time_point{sys_days{date}} + duration_cast<system_clock::duration>(rest);
}

std::optional<std::chrono::milliseconds> parse_duration(std::string_view text)
{
    static constexpr std::pair<std::string_view, double> units[] = {{"", 1e3},
                                                                    {"ms", 1},
                                                                    {"s", 1e3},
                                                                    {"m", 60e3},
                                                                    {"h", 3600e3},
                                                                    {"d", 24 * 3600e3},
                                                                    {"w", 7 * 24 * 3600e3}};
    // A hundred years: adding it to a clock's time does not overflow.
    static constexpr double max_ms = 100 * 365.25 * 24 * 3600e3;
    if (text.empty() || text.front() < '0' || text.front() > '9') return std::nullopt;
    double number = 0;
    const auto end = text.data() + text.size();
    const auto [rest, ec] = std::from_chars(text.data(), end, number, std::chars_format::fixed);
    if (ec != std::errc{}) return std::nullopt;
    const std::string_view unit(rest, static_cast<std::size_t>(end - rest));
    const auto found = std::ranges::find(units, unit, [](const auto& u) { return u.first; });
    if (found == std::end(units) || number * found->second > max_ms) return std::nullopt;
    const auto ms = std::llround(number * found->second);
    // Zero often means "none", so a positive value must not be rounded to zero.
    return std::chrono::milliseconds{number > 0 ? std::max(ms, 1LL) : 0};
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
