#include "text/json.hpp"
#include "text/text.hpp"

#include <doctest/doctest.h>
#include <boost/json/parse.hpp>

#include <chrono>
#include <cstdint>
#include <limits>
#include <string>
#include <utility>

using namespace autoexec::text;

namespace {

using Kind = JsonReading::Kind;

std::string repeat(std::string_view part, std::size_t times)
{
    std::string out;
    out.reserve(part.size() * times);
    while (times-- > 0) out += part;
    return out;
}

/// Nested to `depth` levels, the outermost object included.
std::string nested(std::size_t depth)
{
    return R"({"a":)" + repeat("[", depth - 1) + repeat("]", depth - 1) + "}";
}

std::string problem_of(std::string_view text)
{
    const auto reading = read_json_object(text);
    CHECK(reading.kind == Kind::malformed);
    return reading.problem;
}

std::string string_of(std::string_view json)
{
    const auto reading = read_json_object(R"({"a":")" + std::string(json) + "\"}");
    REQUIRE_MESSAGE(reading.kind == Kind::valid, reading.problem);
    return std::string(reading.object.at("a").as_string());
}

bool repairs(std::string_view json)
{
    return read_json_object(R"({"a":")" + std::string(json) + "\"}").repaired;
}

}  // namespace

TEST_CASE("an object is read as the library's own parser reads it")
{
    for (const char* text :
         {"{}", " {\r\n\t} ", R"({"":""})", R"({"a":[],"b":{},"c":[[],{}]})",
          R"({"a":0,"b":-0.0,"c":1.5e3,"d":-7,"e":1E+2,"f":2e-3,"g":10,"h":0.5})",
          R"({"a":true,"b":false,"c":null})", R"({"a":9223372036854775807})",
          R"({"a":-9223372036854775808,"b":9223372036854775808,"c":18446744073709551615})",
          R"({"a":18446744073709551616,"b":-9223372036854775809})",
          R"({"a":"\"\\\/\b\f\n\r\tA\u00e9\ud83d\ude00\u0000","b":"é漢😀"})"}) {
        CAPTURE(text);
        const auto reading = read_json_object(text);
        REQUIRE_MESSAGE(reading.kind == Kind::valid, reading.problem);
        CHECK(reading.object == boost::json::parse(text));
        CHECK_FALSE(reading.repaired);
        CHECK(reading.problem.empty());
    }
}

TEST_CASE("every beginning of a document is incomplete, and not malformed")
{
    const std::string text =
        "\xEF\xBB\xBF {\"k\\n\": [1, -0.5e+3, true, false, null, {}, []], "
        "\"s\": \"\\ud83d\\ude00 \\u00e9 漢\", \"o\": {\"x\": {\"y\": \"z\"}}}";
    REQUIRE(read_json_object(text).kind == Kind::valid);
    for (std::size_t length = 0; length < text.size(); ++length) {
        CAPTURE(text.substr(0, length));
        CHECK(read_json_object(text.substr(0, length)).kind == Kind::incomplete);
    }
}

TEST_CASE("what no more text could turn into an object is malformed at once")
{
    for (const char* text : {"[",
                             "[]",
                             "4",
                             "\"a\"",
                             "null",
                             "x",
                             "}",
                             "{,",
                             "{1",
                             "{a",
                             "{'a",
                             "{\"a\" \"",
                             "{\"a\",",
                             "{\"a\":}",
                             "{\"a\":,",
                             "{\"a\":tru ",
                             "{\"a\":nul}",
                             "{\"a\":NaN",
                             "{\"a\":Infinity",
                             "{\"a\":-I",
                             "{\"a\":01",
                             "{\"a\":-01",
                             "{\"a\":.5",
                             "{\"a\":+1",
                             "{\"a\":1.}",
                             "{\"a\":1.e",
                             "{\"a\":1e}",
                             "{\"a\":0x1",
                             "{\"a\":[1 2",
                             "{\"a\":[1,]",
                             "{\"a\":1,}",
                             "{\"a\":1 \"",
                             "{} x",
                             "{}{}",
                             "{} //",
                             "{/**/}",
                             "{\"a\":\"\\x",
                             "{\"a\":\"\\u12g",
                             "{\"a\":\"\\u 123",
                             "{\"a\":\"\n",
                             "{\"a\":\"\x1f",
                             "{\"a\":[1}",
                             "\xEF\xBBx",
                             "\xEF\xBB\xBF[",
                             "{\xC2\xA0"}) {
        CAPTURE(text);
        const std::string closed = std::string(text) + ",";
        CHECK(read_json_object(closed).kind == Kind::malformed);
        CHECK_FALSE(read_json_object(closed).problem.empty());
    }
}

TEST_CASE("the message states the problem and its place")
{
    CHECK(problem_of("{\n  \"a\": NaN}") == "NaN and Infinity are not JSON (line 2, column 8).");
    CHECK(problem_of("[1]") == "It is not a JSON object (line 1, column 1).");
    CHECK(problem_of(R"({"a":1,"a":2})").starts_with("A key occurs twice in one object"));
    CHECK(problem_of(R"({"a":{"b":1,"\u0062":2}})").starts_with("A key occurs twice"));
    CHECK(problem_of("{} trailing") == "Text follows the JSON object (line 1, column 4).");
    CHECK(problem_of("\xFF\xFE{").starts_with("It is UTF-16"));
    CHECK(problem_of(std::string_view("{\0\"\0", 4)).starts_with("It is UTF-16"));
    CHECK(problem_of(std::string_view("\0{", 2)).starts_with("It is UTF-16"));
    CHECK(read_json_object(" \n").problem == "It is incomplete.");
    CHECK(read_json_object("").problem == "It is empty.");
}

TEST_CASE("a number too small for a double is zero, one too large is dropped")
{
    for (const char* text : {"1e-999", "0.5e-400", "-1e-99999999999999999999", "0e999"}) {
        CAPTURE(text);
        const auto reading = read_json_object(R"({"a":)" + std::string(text) + "}");
        REQUIRE(reading.kind == Kind::valid);
        CHECK(reading.object.at("a").to_number<double>() == 0);
    }
    const auto tiny = "0." + repeat("0", 400) + "1";
    CHECK(read_json_object("{\"a\":" + tiny + "}").object.at("a").to_number<double>() == 0);
    for (const std::string& text :
         {std::string("1e999"), std::string("0.5e999"), std::string("-1e999"),
          std::string("1e99999999999999999999"), tiny + "e999", repeat("9", 400)}) {
        CAPTURE(text);
        const auto reading = read_json_object("{\"a\":" + text + ",\"b\":1}");
        REQUIRE(reading.kind == Kind::valid);
        CHECK(reading.object.at("a").is_null());
        CHECK(reading.object.at("b") == 1);
        REQUIRE(reading.warnings.size() == 1);
        CHECK(reading.warnings.front() ==
              "`a` is too large for a double and is ignored (line 1, column 6).");
    }
}

TEST_CASE("the warning of a dropped number names its field and its place")
{
    const auto reading = read_json_object("{\"a\":{\"b\":{}},\n\"c\":[{\"d\":1}, 1e999]}");
    REQUIRE(reading.warnings.size() == 1);
    CHECK(reading.warnings.front() ==
          "`c` is too large for a double and is ignored (line 2, column 15).");
    const auto many = read_json_object("{\"a\":[1e999" + repeat(",1e999", 10'000) + "]}");
    CHECK(many.kind == Kind::valid);
    CHECK(many.warnings.size() == json_warning_limit);
    const auto long_key = read_json_object("{\"" + repeat("k", 10'000) + "\\n\":1e999}");
    REQUIRE(long_key.warnings.size() == 1);
    CHECK(long_key.warnings.front().size() < 120);
}

TEST_CASE("text that is not UTF-8, and half a surrogate pair, become U+FFFD")
{
    const std::string bad = "\xEF\xBF\xBD";
    CHECK(string_of("a\xFFz") == "a" + bad + "z");
    CHECK(string_of("\xE6\xBC") == bad);
    CHECK(string_of("\\ud800") == bad);
    CHECK(string_of("\\udc00x") == bad + "x");
    CHECK(string_of("\\ud800\\n") == bad + "\n");
    CHECK(string_of("\\ud800\\u0041") == bad + "A");
    CHECK(string_of("\\ud800\\ud83d\\ude00") == bad + "😀");
    CHECK(repairs("\xFF"));
    CHECK(repairs("\\udfff"));
    CHECK_FALSE(repairs(bad));
    CHECK_FALSE(repairs("\\ufffd"));
}

TEST_CASE("32 levels are read and 33 are not, closed or not")
{
    CHECK(read_json_object(nested(32)).kind == Kind::valid);
    CHECK(problem_of(nested(33)).starts_with("It is nested deeper than 32 levels"));
    CHECK(problem_of(R"({"a":)" + repeat("[", 100'000)).starts_with("It is nested deeper"));
    CHECK(problem_of(repeat(R"({"a":)", 100'000)).starts_with("It is nested deeper"));
    CHECK(read_json_object(R"({"a":[)" + repeat("[],{},", 1000) + "0]}").kind == Kind::valid);
}

TEST_CASE("a document of 100 MB is read or refused in linear time and bounded memory")
{
    const std::size_t size = 100'000'000;
    const auto text = R"({"a":")" + std::string(size, 'x') + "\"}";
    CHECK(read_json_object(text).object.at("a").as_string().size() == size);
    CHECK(problem_of("{\"a\":[" + repeat("0,", size / 2))
              .starts_with("It contains more than a million"));
    CHECK(read_json_object("{\"a\":" + std::string(size, '9') + "}").warnings.size() == 1);
    CHECK(read_json_object(std::string(size, ' ')).kind == Kind::incomplete);
    CHECK(problem_of("{" + std::string(size, '\n') + "x").find("line 100000001,") !=
          std::string::npos);
    CHECK(string_of(std::string(1'000'000, '\xFF')).size() == 3'000'000);
}

TEST_CASE("an object with very many keys takes no time per key that grows")
{
    std::string text = "{";
    for (int i = 0; i < 500'000; ++i) text += '"' + std::to_string(i) + "\":0,";
    const auto reading = read_json_object(text + "\"0\":1}");
    CHECK(reading.kind == Kind::malformed);
    CHECK(reading.problem.starts_with("A key occurs twice"));
}

TEST_CASE("each byte is escaped as it must be, wherever it is in a text")
{
    const auto expected = [](unsigned char byte) {
        switch (byte) {
            case '"':
                return std::string(R"(\")");
            case '\\':
                return std::string(R"(\\)");
            case '\n':
                return std::string(R"(\n)");
            case '\r':
                return std::string(R"(\r)");
            case '\t':
                return std::string(R"(\t)");
            case '\b':
                return std::string(R"(\b)");
            case '\f':
                return std::string(R"(\f)");
            default:
                break;
        }
        if (byte >= 0x80) return std::string(R"(\ufffd)");
        if (byte >= 0x20 && byte != 0x7F) return std::string(1, static_cast<char>(byte));
        return byte < 0x10   ? R"(\u000)" + std::string(1, "0123456789abcdef"[byte])
               : byte < 0x20 ? R"(\u001)" + std::string(1, "0123456789abcdef"[byte - 0x10])
                             : std::string(R"(\u007f)");
    };
    constexpr std::size_t length = 20;  // more than two groups of eight bytes
    for (int byte = 0; byte < 256; ++byte) {
        for (std::size_t at = 0; at < length; ++at) {
            auto text = std::string(length, '~');
            text[at] = static_cast<char>(byte);
            CAPTURE(byte);
            CAPTURE(at);
            CHECK(dump_line(boost::json::string(text)) ==
                  '"' + std::string(at, '~') + expected(static_cast<unsigned char>(byte)) +
                      std::string(length - at - 1, '~') + '"');
        }
    }
}

TEST_CASE("a line may have a text before it, and times")
{
    using namespace std::chrono;
    JsonLine line("INFO | ");
    line.time("whole", sys_days{2026y / January / 20} + 21h);
    CHECK(line.object() == R"(INFO | {"whole": "2026-01-20T21:00:00+00:00"})");
    line.time("exact", sys_days{2026y / January / 20} + 1us);
    CHECK(std::move(line).object() == R"(INFO | {"whole": "2026-01-20T21:00:00+00:00", )"
                                      R"("exact": "2026-01-20T00:00:00.000001+00:00"})");
}

TEST_CASE("a buffer keeps all that is appended")
{
    TextBuffer buffer(3);
    std::string expected;
    for (int i = 0; i < 100; ++i) {
        buffer.append('c');
        buffer.append("piece");
        buffer.append(std::string_view());
        buffer.append(2, ' ');
        buffer.append_number(i);
        expected += "cpiece  " + std::to_string(i);
    }
    CHECK(buffer.back() == '9');
    CHECK(buffer.size() == expected.size());
    CHECK(buffer.view() == expected);
    CHECK(std::move(buffer).release() == expected);
    TextBuffer numbers(0);
    numbers.append_number(std::numeric_limits<std::int64_t>::min());
    numbers.append_number(std::numeric_limits<std::uint64_t>::max());
    CHECK(numbers.view() == "-922337203685477580818446744073709551615");
}

TEST_CASE("an object that is written member by member is one that is built first")
{
    const boost::json::object built{
        {"text", "a \"b\" \n\xC3\xA9"},
        {"none", nullptr},
        {"number", 3},
        {"real", 3600.0},
        {"truth", true},
        {"texts", {"a", "b"}},
        {"no texts", boost::json::array()},
        {"value", boost::json::object{{"a", {1, 2}}, {"b", boost::json::object()}}},
        {"object",
         boost::json::object{{"in it", "c"}, {"empty", boost::json::object()}, {"after it", "d"}}},
        {"last", "e"}};
    const auto write = [&](JsonLine& out) {
        out.text("text", "a \"b\" \n\xC3\xA9");
        out.text_or_null("none", std::nullopt);
        out.number("number", std::int64_t{3});
        out.number("real", 3600.0);
        out.truth("truth", true);
        out.texts("texts", {"a", "b"});
        out.texts("no texts", {});
        out.value("value", built.at("value"));
        out.open("object");
        out.text("in it", "c");
        out.open("empty");
        out.close();
        out.text("after it", "d");
        out.close();
        out.text("last", "e");
        return out.object();
    };
    JsonLine line;
    CHECK(write(line) == dump_line(built));
    CHECK(std::move(line).object() == dump_line(built));
    JsonText indented;
    CHECK(write(indented) == dump_indented(built));
    CHECK(std::move(indented).object() == dump_indented(built));
    CHECK(JsonText().object() == dump_indented(boost::json::object()));
}
