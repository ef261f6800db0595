#include "cli/top/log_text.hpp"

#include "cli/top/log_follower.hpp"
#include "support/temporary_folder.hpp"
#include "support/text.hpp"

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

using namespace autoexec::cli;
using namespace autoexec::test;

namespace {

Words shown(const LogText& log)
{
    Words lines;
    for (const auto& line : log.visible()) lines.push_back(line.text);
    return lines;
}

std::string found_line(const LogText& log)
{
    for (const auto& line : log.visible())
        if (line.style == Style::found) return line.text;
    return {};
}

void add_numbers(LogText& log, int from, int to)
{
    for (int i = from; i <= to; ++i) log.append(fmt::format("line {}\n", i));
}

/// The output of one attempt.
struct LogFile {
    LogFile() { fs::create_directories(path.parent_path()); }

    void write(std::string_view bytes, std::ios::openmode mode = std::ios::app) const
    {
        std::ofstream(path, std::ios::binary | mode) << bytes;
    }

    TemporaryFolder folder;
    fs::path path = folder / ".tapps-agents/output/attempt.log";
    LogFollower follower{folder.path(), "attempt"};
    LogText text;
};

}  // namespace

TEST_SUITE_BEGIN("log text");

TEST_CASE("the end of a log is visible, and follows what is added")
{
    LogText log;
    log.set_size(20, 3);
    CHECK(log.is_empty());
    CHECK(shown(log).empty());
    add_numbers(log, 1, 2);
    CHECK(shown(log) == Words{"line 1", "line 2"});
    add_numbers(log, 3, 5);
    CHECK(shown(log) == Words{"line 3", "line 4", "line 5"});
    log.append("unfinished");
    CHECK(shown(log) == Words{"line 4", "line 5", "unfinished"});
    log.append(" line\n");
    CHECK(shown(log) == Words{"line 4", "line 5", "unfinished line"});
}

TEST_CASE("a log that was scrolled stays where it is until its end is visible again")
{
    LogText log;
    log.set_size(20, 3);
    add_numbers(log, 1, 9);
    log.scroll(-2);
    CHECK_FALSE(log.follows());
    CHECK(shown(log) == Words{"line 5", "line 6", "line 7"});
    add_numbers(log, 10, 10);
    CHECK(shown(log) == Words{"line 5", "line 6", "line 7"});
    log.scroll(-100);
    CHECK(shown(log) == Words{"line 1", "line 2", "line 3"});
    log.scroll(100);
    CHECK(log.follows());
    log.to_begin();
    CHECK(shown(log)[0] == "line 1");
    log.to_end();
    CHECK(shown(log)[2] == "line 10");
}

TEST_CASE("long lines are wrapped, also after the terminal has another size")
{
    LogText log;
    log.set_size(4, 3);
    log.append("abcdefghij\n漢字漢\n");
    CHECK(shown(log) == Words{"ij", "漢字", "漢"});
    log.scroll(-1);
    CHECK(shown(log) == Words{"efgh", "ij", "漢字"});
    log.set_size(100, 3);
    CHECK(shown(log) == Words{"abcdefghij", "漢字漢"});
    log.set_size(1, 100);
    CHECK(shown(log).size() == 13);  // the wide ones are cut by the terminal
    log.set_size(0, 0);
    CHECK(shown(log).size() == 1);
}

TEST_CASE("no bytes of a log reach the terminal as they are")
{
    LogText log;
    log.set_size(80, 24);
    std::string bytes;
    for (int c = 0; c < 256; ++c)
        if (c != '\n') bytes += static_cast<char>(c);
    log.append(bytes + "\n\x1b]0;title\x07\x1b[2J\xE2\x80\xAE\n");
    for (const auto& line : shown(log))
        for (const unsigned char c : line) CHECK((c >= ' ' && c != 0x7F));
    CHECK(contains(shown(log).back(), R"(\x1b]0;title\x07\x1b[2J\u202e)"));
}

TEST_CASE("a log keeps its newest lines within its bounds, whatever the lines are")
{
    LogText log(10'000);
    log.set_size(80, 3);
    add_numbers(log, 1, 100);
    log.to_begin();
    CHECK(shown(log)[0] == "line 1");
    add_numbers(log, 101, 10'000);
    CHECK_FALSE(log.follows());
    const auto first = shown(log)[0];
    CHECK(first > "line 9");
    log.to_begin();
    CHECK(shown(log)[0] == first);
    log.to_end();
    CHECK(shown(log)[2] == "line 10000");

    log.append(std::string(1'000'000, 'x'));
    log.to_begin();
    CHECK(shown(log)[0] == std::string(80, 'x'));
    log.append("\nend");
    log.to_end();
    CHECK(shown(log)[2] == "end");
}

TEST_CASE("a text is found in both directions, from where it was found last")
{
    LogText log;
    log.set_size(20, 3);
    add_numbers(log, 1, 30);
    log.append("An Error\n");
    add_numbers(log, 32, 60);
    CHECK(log.find("error", false));
    CHECK(found_line(log) == "An Error");
    CHECK_FALSE(log.follows());
    CHECK(log.find("error", true));  // the only one
    CHECK_FALSE(log.find("ERROR", false));
    CHECK(found_line(log) == "An Error");
    CHECK(log.find("line 3", true));
    CHECK(found_line(log) == "line 32");
    CHECK(log.find("line 3", true));
    CHECK(found_line(log) == "line 33");
    CHECK(log.find("line 3", false));
    CHECK(log.find("line 3", false));
    CHECK(found_line(log) == "line 30");
    CHECK(log.find("line 60", false));
    CHECK(log.find("line", true));  // from the other end
    CHECK(found_line(log) == "line 1");
    CHECK_FALSE(LogText().find("x", true));
}

TEST_CASE("a text far within a long line is visible once it is found")
{
    LogText log;
    log.set_size(10, 3);
    log.append(std::string(1000, 'a') + "needle" + std::string(1000, 'b') + "\n");
    log.to_begin();
    CHECK(log.find("needle", true));
    bool visible = false;
    for (const auto& row : shown(log)) visible = visible || contains(row, "needle");
    CHECK(visible);
}

TEST_CASE("what is added to a file is read, and a large one from near its end")
{
    LogFile log;
    log.text.set_size(80, 3);
    CHECK_FALSE(log.follower.refresh(log.text));
    log.write("one\ntwo");
    CHECK(log.follower.refresh(log.text));
    CHECK_FALSE(log.follower.refresh(log.text));
    CHECK(shown(log.text) == Words{"one", "two"});
    log.write("\nthree\n");
    CHECK(log.follower.refresh(log.text));
    CHECK(shown(log.text) == Words{"one", "two", "three"});
    CHECK_FALSE(log.text.is_cut());

    std::string many;
    for (int i = 0; i < 1'000'000; ++i) many += fmt::format("line {:6}\n", i);
    log.write(many);
    CHECK(log.follower.refresh(log.text));
    CHECK(shown(log.text).back() == "line 999999");
    CHECK(log.text.is_cut());
    log.text.to_begin();
    CHECK(shown(log.text)[0].size() == 11);  // a whole line
}

TEST_CASE("a file that was truncated or replaced is read again")
{
    LogFile log;
    log.text.set_size(80, 3);
    log.write("one\ntwo\n");
    log.follower.refresh(log.text);
    SUBCASE("truncated")
    {
        log.write("new\n", std::ios::trunc);
    }
    SUBCASE("replaced")
    {
        fs::rename(log.path, log.path.parent_path() / "old");
        log.write("new\n");
    }
    SUBCASE("replaced by a longer one")
    {
        fs::rename(log.path, log.path.parent_path() / "old");
        log.write("new\n\n\n\n\n\n\n");
        log.text.to_begin();
    }
    CHECK(log.follower.refresh(log.text));
    log.text.to_begin();
    CHECK(shown(log.text)[0] == "new");
}

TEST_CASE("neither a link nor a FIFO is followed as a log")
{
    LogFile log;
    SUBCASE("a link")
    {
        write_file(log.folder / "secret", "secret\n");
        fs::create_symlink(log.folder / "secret", log.path);
    }
    SUBCASE("a FIFO")
    {
        REQUIRE(::mkfifo(log.path.c_str(), 0600) == 0);
    }
    CHECK_FALSE(log.follower.refresh(log.text));
    CHECK(log.text.is_empty());
}

TEST_SUITE_END();
