#include "text/text.hpp"
#include "support/time_zone.hpp"
#include "text/json.hpp"
#include "text/random.hpp"

#include <doctest/doctest.h>
#include <sys/wait.h>
#include <unistd.h>
#include <boost/json/parse.hpp>

#include <algorithm>
#include <array>
#include <limits>
#include <set>

using namespace autoexec;
using namespace autoexec::text;
using namespace std::chrono_literals;

namespace {

using std::chrono::system_clock;
using namespace std::chrono;

constexpr system_clock::time_point guide_time =
    sys_days{2026y / January / 20} + 21h + 0min + 36s + 129110us;

std::vector<std::string> words(std::string_view line)
{
    std::string problem;
    const auto out = split_words(line, problem);
    REQUIRE_MESSAGE(out, problem);
    return *out;
}

std::string refusal(std::string_view line)
{
    std::string problem;
    CHECK_FALSE(split_words(line, problem));
    return problem;
}

}  // namespace

TEST_CASE("a number has its noun in the right form")
{
    CHECK(counted(0, "step") == "0 steps");
    CHECK(counted(1, "step") == "1 step");
    CHECK(counted(2, "step") == "2 steps");
    CHECK(counted(1, "branch", "branches") == "1 branch");
    CHECK(counted(12, "branch", "branches") == "12 branches");
}

TEST_CASE("times are written as Python writes them")
{
    CHECK(iso_utc(guide_time) == "2026-01-20T21:00:36.129110+00:00");
    CHECK(iso_utc(floor<seconds>(guide_time)) == "2026-01-20T21:00:36+00:00");
    CHECK(iso_utc(system_clock::time_point{-1us}) == "1969-12-31T23:59:59.999999+00:00");
    const test::TimeZone zone("UTC-5:30");
    CHECK(iso_local(guide_time) == "2026-01-21T02:30:36.129110");
    CHECK(utc_date(guide_time) == "2026-01-20");
}

TEST_CASE("a time is read with Z, with an offset and with none")
{
    for (const char* text :
         {"2026-01-20T21:00:36.129110+00:00", "2026-01-20T21:00:36.129110Z",
          "2026-01-20 21:00:36.129110", "2026-01-20T22:00:36.12911+01:00",
          "2026-01-20T15:30:36.129110000-0530", "2026-01-20t23:00:36,12911+02"}) {
        CAPTURE(text);
        CHECK(parse_iso(text) == guide_time);
    }
    CHECK(parse_iso("2026-01-20") == sys_days{2026y / January / 20});
    CHECK(parse_iso("2026-01-20T21:00") == sys_days{2026y / January / 20} + 21h);
    CHECK(parse_iso("2026-01-20T21:00:36." + std::string(50'000, '0')));
}

TEST_CASE("a form has digits at certain places")
{
    CHECK(text::has_form("2026-01-20", "dddd-dd-dd"));
    for (const auto* const other : {"", "2026-01-2", "2026-01-200", "2026x01-20", "2026-01-2d"})
        CHECK_FALSE(text::has_form(other, "dddd-dd-dd"));
}

TEST_CASE("what is no time, or none that a clock can hold, is refused")
{
    for (const char* text :
         {"", "2026", "2026-02-30", "2026-13-01", "2026-01-20T24:00", "2026-01-20T21:00:60",
          "2026-01-20T21:00:36.", "2026-01-20T21:00Zx", "2026-01-20T21:00+", "9999-01-01",
          "0001-01-01", "2026-01-20 21:00:36 UTC", " 2026-01-20", "-026-01-20"}) {
        CAPTURE(text);
        CHECK_FALSE(parse_iso(text));
    }
}

TEST_CASE("each longest start of a character that is not UTF-8 becomes one U+FFFD")
{
    const std::string bad = "\xEF\xBF\xBD";
    CHECK(valid_utf8("aé漢😀") == "aé漢😀");
    CHECK(valid_utf8("a\xFFz") == "a" + bad + "z");
    CHECK(valid_utf8("\xE6\xBC") == bad);                  // cut off
    CHECK(valid_utf8("\xE6\xBCz") == bad + "z");           // broken off
    CHECK(valid_utf8("\xC0\xAF") == bad + bad);            // overlong
    CHECK(valid_utf8("\xED\xA0\x80") == bad + bad + bad);  // surrogate
    CHECK(valid_utf8("\xF4\x90\x80\x80") == bad + bad + bad + bad);
}

TEST_CASE("every character survives encoding and decoding")
{
    for (char32_t c = 1; c < 0x110000; c += c < 0x3000 ? 1 : 251) {
        if (c >= 0xD800 && c <= 0xDFFF) continue;
        std::string text;
        append_utf8(text, c);
        const auto step = decode_utf8(text);
        REQUIRE((step.valid && step.code_point == c && step.length == text.size()));
        REQUIRE(valid_utf8(text) == text);
    }
}

TEST_CASE("a tail is cut at a character")
{
    CHECK(tail("abcdef", 3) == "def");
    CHECK(tail("abc", 3) == "abc");
    CHECK(tail("a漢b", 4) == "漢b");
    CHECK(tail("a漢b", 3) == "b");
    CHECK(tail("abc", 0).empty());
    CHECK(tail("\x80\x80\x80\x80\x80\x80", 5).size() == 2);
}

TEST_CASE("text for a terminal neither moves the cursor nor hides anything")
{
    CHECK(printable("\x1b[31mred\x1b[0m") == "red");
    CHECK(printable("\x1b[2Jx") == "\\x1b[2Jx");
    CHECK(printable("\x1b]0;title\x07") == "\\x1b]0;title\\x07");
    CHECK(printable("\x1b[3") == "\\x1b[3");
    CHECK(printable("a\nb\r\nc\rd\te") == "a\\nb\\r\\nc\\rd\te");
    CHECK(printable("a\nb\r\nc\rd", true) == "a\nb\nc\\rd");
    CHECK(printable(std::string_view("a\0b", 3)) == "a\\x00b");
    CHECK(printable("\xC2\x9B"
                    "31m") == "\\x9b31m");
    CHECK(printable("user\u202Etxt.exe") == "user\\u202etxt.exe");
    CHECK(printable("\xFF漢") == "\xEF\xBF\xBD漢");
}

TEST_CASE("text that comes in chunks is made printable as a whole would be")
{
    const std::string text =
        "a\r\nb\rc\x1b[1;31mred\x1b[0m \x1b[2J\x1b]0;t\x07 \xE6\xBC\xA2\xF0\x9F\x98\x80\xE6\xBC "
        "\xFF\t"
        "\xC2\x9B\x1b[3";
    const auto whole = printable(text, true);
    CHECK(whole.find('\x1b') == whole.npos);
    for (std::size_t first = 0; first <= text.size(); ++first)
        for (std::size_t second = first; second <= text.size(); ++second) {
            PrintableStream stream;
            auto out = stream.feed(std::string_view(text).substr(0, first));
            out += stream.feed(std::string_view(text).substr(first, second - first));
            out += stream.feed(std::string_view(text).substr(second));
            CHECK(out + stream.finish() == whole);
        }
    PrintableStream stream;
    CHECK(stream.feed("a prompt? ") == "a prompt? ");
    CHECK(stream.feed("\x1b[" + std::string(1000, '1')).starts_with("\\x1b[11"));
}

TEST_CASE("an id that is a valid file name is not changed")
{
    const std::string longest(128, 'x');
    for (const std::string& id :
         {std::string("step-1_a.b"), std::string("0198c2f5-7b9e-7000-8000-0123456789ab"), longest})
        CHECK(file_name_of(id) == id);
}

TEST_CASE("an id that is none becomes one, and no two become the same")
{
    const std::vector<std::string> ids{"",
                                       ".",
                                       "..",
                                       "../x",
                                       "a/b",
                                       "-rf",
                                       "a%2Fb",
                                       "a b",
                                       "ü",
                                       "~x",
                                       std::string(129, 'x'),
                                       std::string(130, 'x'),
                                       std::string(4096, '/'),
                                       std::string("a\0b", 3)};
    std::set<std::string> names;
    for (const auto& id : ids) {
        const auto name = file_name_of(id);
        CAPTURE(name);
        CHECK(name.size() <= 128);
        CHECK(name.find_first_not_of("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                     "0123456789._-%~") == name.npos);
        CHECK(name.front() != '.');
        CHECK(name.front() != '-');
        CHECK(names.insert(name).second);
        CHECK(file_name_of(name) != name);
    }
    CHECK(file_name_of("a/b") == "a%2Fb~c14cddc033f64b9dea80ea675cf280a0");
}

TEST_CASE("a name that is cut is cut before a percent escape, not inside")
{
    for (std::size_t plain = 85; plain < 95; ++plain) {
        const auto name = file_name_of(std::string(plain, 'x') + std::string(30, '/'));
        const auto body = name.substr(0, name.find('~'));
        CAPTURE(name);
        CHECK((body.size() - plain) % 3 == 0);
        CHECK(body.size() >= 93);
    }
}

TEST_CASE("JSON is written as Python's json.dumps writes it")
{
    const auto value = boost::json::parse(
        R"({"a":[],"b":{},"c":[1,-2.5,true,null],"d":{"x":"é\n\"\\\u0001\u007f😀"}})");
    CHECK(dump_line(value) ==
          R"({"a": [], "b": {}, "c": [1, -2.5, true, null], "d": {"x": "\u00e9\n\"\\\u0001\u007f)"
          R"(\ud83d\ude00"}})");
    CHECK(dump_indented(boost::json::parse(R"({"a":[],"b":{"c":[1,2]}})")) ==
          "{\n  \"a\": [],\n  \"b\": {\n    \"c\": [\n      1,\n      2\n    ]\n  }\n}");
    CHECK(dump_line(std::numeric_limits<std::uint64_t>::max()) == "18446744073709551615");
    CHECK(dump_line("a\xFF"
                    "b") == R"("a\ufffdb")");
}

TEST_CASE("doubles are written as Python writes them")
{
    const std::pair<double, const char*> cases[] = {{1500, "1500.0"},
                                                    {0, "0.0"},
                                                    {-0.0, "-0.0"},
                                                    {0.1, "0.1"},
                                                    {1e15, "1000000000000000.0"},
                                                    {1e16, "1e+16"},
                                                    {1e-4, "0.0001"},
                                                    {1e-5, "1e-05"},
                                                    {-1.5e300, "-1.5e+300"},
                                                    {123456789012345680., "1.2345678901234568e+17"},
                                                    {1. / 3, "0.3333333333333333"},
                                                    {5e-324, "5e-324"}};
    for (const auto& [value, text] : cases) CHECK(format_double(value) == text);
    CHECK(format_double(std::numeric_limits<double>::quiet_NaN()) == "null");
    CHECK(format_double(-std::numeric_limits<double>::infinity()) == "null");
}

TEST_CASE("words survive quoting and splitting")
{
    const std::vector<std::string> all{"plain", "",     "two words", "it's", "\"",
                                       "\\",    "a\nb", "$HOME",     "`x`",  "*",
                                       "ü",     "-x",   "#",         "a=b",  "\t"};
    CHECK(words(quote_words(all)) == all);
    CHECK(quote_words(std::vector<std::string>{"a", "b c", "it's"}) == R"(a 'b c' 'it'\''s')");
}

TEST_CASE("a line is split as a POSIX shell splits it")
{
    using Words = std::vector<std::string>;
    CHECK(words("  a\tb\n c ") == Words{"a", "b", "c"});
    CHECK(words("").empty());
    CHECK(words(" \\\n ").empty());
    CHECK(words(R"(a\ b "c \" \\ \$ \x d" 'e\f')") == Words{"a b", R"(c " \ $ \x d)", R"(e\f)"});
    CHECK(words("a''b\"\"c ''") == Words{"abc", ""});
    CHECK(words("a\\\nb \"c\\\nd\"") == Words{"ab", "cd"});
    CHECK(words("$X * ; | & # ~") == Words{"$X", "*", ";", "|", "&", "#", "~"});
}

TEST_CASE("a line that ends inside a word is refused with the reason")
{
    CHECK(refusal("a 'b") == "A single quote is not closed.");
    CHECK(refusal("a \"b\\\"") == "A double quote is not closed.");
    CHECK(refusal("a\\") == "The line ends with a backslash.");
    CHECK(refusal(std::string_view("a\0b", 3)) == "The line contains a NUL character.");
}

TEST_CASE("a forked child gets other random bytes than its parent")
{
    using Bytes = std::array<unsigned char, 16>;
    Bytes bytes{};
    fill_random(bytes);  // from here on, there are more of the same read
    std::array<int, 2> ends{};
    REQUIRE(::pipe(ends.data()) == 0);
    const auto child = ::fork();
    fill_random(bytes);
    if (child == 0) ::_exit(::write(ends[1], bytes.data(), bytes.size()) > 0 ? 0 : 1);
    Bytes of_child{};
    REQUIRE(::read(ends[0], of_child.data(), of_child.size()) == 16);
    CHECK(::waitpid(child, nullptr, 0) == child);
    CHECK(bytes != of_child);
    CHECK(bytes != Bytes{});
    for (const int end : ends) ::close(end);
}

TEST_CASE("more random bytes than are read at once are no repetition")
{
    std::array<unsigned char, 8> some{};
    std::set<std::array<unsigned char, 8>> all;
    for (int n = 0; n < 1000; ++n) {
        fill_random(some);
        all.insert(some);
    }
    CHECK(all.size() == 1000);
    std::vector<unsigned char> many(10'000);
    fill_random(many);
    CHECK(std::ranges::count(many, 0) < 1000);
}

TEST_CASE("new ids are version 7 and in the order of time")
{
    std::vector<std::string> ids(1000);
    std::ranges::generate(ids, new_uuid);
    const auto now = duration_cast<milliseconds>(system_clock::now().time_since_epoch()).count();
    for (const auto& id : ids) {
        CAPTURE(id);
        REQUIRE(id.size() == 36);
        CHECK((id[8] == '-' && id[13] == '-' && id[18] == '-' && id[23] == '-'));
        CHECK(id[14] == '7');
        CHECK(std::string_view("89ab").find(id[19]) != std::string_view::npos);
        CHECK(file_name_of(id) == id);
        const auto ms = std::stoll(id.substr(0, 8) + id.substr(9, 4), nullptr, 16);
        CHECK((ms <= now && now - ms < 60'000));
    }
    CHECK(std::set(ids.begin(), ids.end()).size() == ids.size());
    CHECK(ids.front().substr(0, 13) <= ids.back().substr(0, 13));
}

TEST_CASE("durations are read with and without a unit")
{
    CHECK(parse_duration("90") == 90s);
    CHECK(parse_duration("90s") == 90s);
    CHECK(parse_duration("1.5m") == 90s);
    CHECK(parse_duration("2h") == 2h);
    CHECK(parse_duration("7d") == 168h);
    CHECK(parse_duration("1.5d") == 36h);
    CHECK(parse_duration("2w") == 336h);
    CHECK(parse_duration("500ms") == 500ms);
    CHECK(parse_duration("1.1s") == 1100ms);
    CHECK(parse_duration("0") == 0ms);
    CHECK(parse_duration("0.0001s") == 1ms);
    CHECK(parse_duration("876600h") == 876600h);
    CHECK(parse_duration("36525d") == 876600h);
    CHECK(parse_duration("1h30m") == 90min);
    CHECK(parse_duration("1d12h") == 36h);
    CHECK(parse_duration("1w1d1h1m1.5s1ms") == 168h + 24h + 1h + 1min + 1501ms);
    for (const char* text :
         {"",      "s",     "-1",     "+1",      "1 s",       " 1",
          "1D",    "1y",    "1d12",   "1 d",     "1m1h",      "1h1h",
          "1h 1m", "1h-1m", "36526d", "5218w",   "inf",       "nan",
          "1e3",   "0x10",  ".5",     "876601h", "36525d1ms", "99999999999999999999999999h"}) {
        CAPTURE(text);
        CHECK_FALSE(parse_duration(text));
    }
}

TEST_CASE("times are shown in local time with its zone, and read again")
{
    const test::TimeZone zone("XYZ-5:30");  // east of UTC
    const auto time = *parse_iso("2026-01-20T21:00:36+00:00");
    CHECK(shown_time(time) == "2026-01-21 02:30:36 +0530");
    CHECK(shown_time(time).size() == shown_time_size);
    CHECK(shown_time(std::nullopt) == "-");
    for (const auto* text : {"2026-01-21 02:30:36 +0530", "2026-01-21 02:30:36",
                             "2026-01-21T02:30:36", "2026-01-20T21:00:36Z"})
        CHECK_MESSAGE(parse_local_time(text) == time, text);
    CHECK(parse_local_time("2026-01-21") == parse_iso("2026-01-20T18:30:00Z"));
    CHECK(parse_local_time("2026-01-21T00:00:00.5") == *parse_iso("2026-01-20T18:30:00Z") + 500ms);
    CHECK_FALSE(parse_local_time("noon"));
    CHECK_FALSE(parse_local_time("2026-02-30"));
}

TEST_CASE("a time without a zone is that of summer or of winter")
{
    const test::TimeZone zone("CET-1CEST,M3.5.0,M10.5.0/3");
    CHECK(parse_local_time("2026-07-01T12:00") == parse_iso("2026-07-01T10:00Z"));
    CHECK(parse_local_time("2026-01-01T12:00") == parse_iso("2026-01-01T11:00Z"));
    CHECK(shown_time(*parse_iso("2026-07-01T10:00Z")) == "2026-07-01 12:00:00 +0200");
}

TEST_CASE("durations are shown to the precision that a person reads, and read again")
{
    for (const auto* text : {"850ms", "12.3s", "4m05s", "2h03m", "3d04h"})
        CHECK(format_duration(parse_duration(text).value()) == text);
    CHECK(format_duration(0ms) == "0ms");
    CHECK(format_duration(-5ms) == "0ms");
    CHECK(format_duration(850ms) == "850ms");
    CHECK(format_duration(12'345ms) == "12.3s");
    CHECK(format_duration(59'999ms) == "59.9s");
    CHECK(format_duration(4min + 5s) == "4m05s");
    CHECK(format_duration(2h + 3min + 59s) == "2h03m");
    CHECK(format_duration(24h - 1ms) == "23h59m");
    CHECK(format_duration(76h + 59min) == "3d04h");
    CHECK(format_duration(24h * 365) == "365d00h");
}
