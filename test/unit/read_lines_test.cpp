#include "records/read_lines.hpp"

#include "support/temporary_folder.hpp"

#include <doctest/doctest.h>
#include <fcntl.h>

#include <string>
#include <string_view>
#include <utility>
#include <vector>

using namespace autoexec;

namespace {

records::ReverseLines open_lines(const test::TemporaryFolder& folder,
                                 records::MayHold may_hold = {})
{
    return records::ReverseLines(
        files::UniqueFd(::open((folder.path() / "log").c_str(), O_RDONLY | O_CLOEXEC)), {},
        std::move(may_hold));
}

std::vector<std::string> read_back(const test::TemporaryFolder& folder)
{
    auto lines = open_lines(folder);
    std::vector<std::string> found;
    while (const auto line = lines.next()) found.emplace_back(*line);
    return found;
}

using Lines = std::vector<std::string>;

}  // namespace

TEST_SUITE_BEGIN("read_lines");

TEST_CASE("lines come from the last to the first, empty ones left out")
{
    const test::TemporaryFolder folder;
    folder.write("log", "one\n\ntwo\nthree\n\n");
    CHECK(read_back(folder) == Lines{"three", "two", "one"});
}

TEST_CASE("a last line without its newline is a line")
{
    const test::TemporaryFolder folder;
    folder.write("log", "one\ntwo");
    CHECK(read_back(folder) == Lines{"two", "one"});
}

TEST_CASE("files without lines have none")
{
    const test::TemporaryFolder folder;
    SUBCASE("empty")
    {
        folder.write("log", "");
    }
    SUBCASE("only newlines")
    {
        folder.write("log", "\n\n\n");
    }
    SUBCASE("absent") {}
    CHECK(read_back(folder).empty());
}

TEST_CASE("lines of all lengths survive the borders between chunks")
{
    const test::TemporaryFolder folder;
    Lines expected;
    std::string text;
    for (std::size_t length = 1; length < 400'000; length = length * 3 / 2 + 1) {
        expected.insert(expected.begin(),
                        std::string(length, static_cast<char>('a' + length % 26)));
        text += expected.front() + '\n';
    }
    folder.write("log", text);
    CHECK(read_back(folder) == expected);
}

TEST_CASE("a newline at the very border of a chunk ends its line")
{
    for (const std::size_t off : {0, 1, 2}) {
        CAPTURE(off);
        const test::TemporaryFolder folder;
        const std::string last(64 * 1024 - 2 + off, 'x');
        folder.write("log", "first\n" + last + "\n");
        CHECK(read_back(folder) == Lines{last, "first"});
    }
}

TEST_CASE("a line that is too long is skipped and counted, its neighbours are not")
{
    const test::TemporaryFolder folder;
    const std::string too_long(records::ReverseLines::max_line_bytes * 2, 'x');
    std::string first;
    SUBCASE("in the middle")
    {
        first = "first";
        folder.write("log", first + "\n" + too_long + "\nlast\n");
    }
    SUBCASE("at the beginning")
    {
        folder.write("log", too_long + "\nlast\n");
    }
    auto lines = open_lines(folder);
    CHECK(lines.next() == "last");
    CHECK(lines.next().value_or("") == first);
    CHECK_FALSE(lines.next());
    CHECK(lines.skipped() == 1);
    auto none = open_lines(folder, [](std::string_view) { return false; });
    CHECK_FALSE(none.next());
    CHECK(none.skipped() == 1);
}

TEST_CASE("a file that becomes shorter while it is read ends the reading")
{
    const test::TemporaryFolder folder;
    folder.write("log", std::string(200'000, 'x') + "\nlast\n");
    auto lines = open_lines(folder);
    CHECK(lines.next() == "last");
    std::filesystem::resize_file(folder.path() / "log", 10);
    CHECK_FALSE(lines.next());
    CHECK_FALSE(lines.next());
}

TEST_CASE("lines are ruled out only if no way to write JSON could hold the value")
{
    using records::StringHint;
    const auto may_equal = [](std::string_view json, std::string_view value) {
        return StringHint(value, StringHint::Kind::equal).may_be_in(json);
    };
    const auto may_have_part = [](std::string_view json, std::string_view value) {
        return StringHint(value, StringHint::Kind::part).may_be_in(json);
    };
    CHECK(may_equal(R"({"id": "abc"})", "abc"));
    CHECK(may_equal("{\"id\": \"x\"}\n{\"id\": \"abc\"}", "abc"));
    CHECK_FALSE(may_equal(R"({"id": "abd"})", "abc"));
    CHECK_FALSE(may_equal(R"({"id": "abcd"})", "abc"));
    CHECK(may_have_part(R"({"id": "abcd"})", "abc"));
    CHECK(may_equal(R"({"id": "\u0061bc"})", "abc"));
    CHECK_FALSE(may_equal(R"({"id": "\u00e4bc\\u0061bc"})", "xbc"));
    CHECK(may_equal(R"({"id": "\u00e4bc"})", "\u00e4bc"));
    CHECK_FALSE(may_equal(R"({"id": "\u00e4bd"})", "\u00e4bc"));
    CHECK(may_equal(R"({"id": "\u00e4"})", "\u00e4"));
    CHECK(may_equal(R"({"id": "ab\/c"})", "ab/c"));
    CHECK_FALSE(may_equal(R"({"id": "ac\/c"})", "ab/c"));
    records::StringHints hints;
    hints.add(std::nullopt);
    hints.add("");
    CHECK(hints.may_be_in(""));
    hints.add("abc");
    hints.add("x");
    CHECK(hints.may_be_in(R"({"id": "abc", "a": "x"})"));
    CHECK_FALSE(hints.may_be_in(R"({"id": "abc"})"));
}

TEST_CASE("lines that may be wanted are never passed over, most others are")
{
    const test::TemporaryFolder folder;
    Lines wanted;
    std::size_t lines = 0;
    std::string text;
    for (std::size_t length = 1; text.size() < 6'000'000; length = length * 7 % 1009) {
        auto line = std::to_string(lines++) + std::string(length, 'x');
        if (lines % 999 == 0) {
            line += "wanted";
            // Some are larger than a chunk.
            if (lines % 2 == 0) line += std::string(300'000, 'x');
            wanted.insert(wanted.begin(), line);
        }
        text += line + '\n';
    }
    folder.write("log", text);
    const auto is_wanted = [](std::string_view some) { return records::contains(some, "wanted"); };
    auto reader = open_lines(folder, is_wanted);
    Lines found;
    std::size_t read = 0;
    for (; const auto line = reader.next(); ++read)
        if (is_wanted(*line)) found.emplace_back(*line);
    CHECK(found == wanted);
    CHECK(read < lines / 2);
}

TEST_SUITE_END();
