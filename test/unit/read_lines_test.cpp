#include "records/read_lines.hpp"

#include "support/temporary_folder.hpp"

#include <doctest/doctest.h>
#include <fcntl.h>

#include <string>
#include <vector>

using namespace autoexec;

namespace {

records::ReverseLines open_lines(const test::TemporaryFolder& folder)
{
    return records::ReverseLines(
        files::UniqueFd(::open((folder.path() / "log").c_str(), O_RDONLY | O_CLOEXEC)));
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

TEST_CASE("a line is ruled out only if no way to write its JSON could hold the value")
{
    using records::may_hold;
    CHECK(may_hold(R"({"id": "abc"})", "abc"));
    CHECK_FALSE(may_hold(R"({"id": "abd"})", "abc"));
    CHECK(may_hold(R"({"id": "\u0061bc"})", "abc"));
    CHECK(may_hold(R"({"id": "\u00e4"})", "ä"));
    CHECK(may_hold(R"({"id": "a\/b"})", "a/b"));
    CHECK(may_hold(R"({"id": "x"})", std::nullopt));
    CHECK(may_hold(R"({"id": "x"})", ""));
}

TEST_SUITE_END();
