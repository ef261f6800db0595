#include "text/columns.hpp"

#include <doctest/doctest.h>

#include <string>
#include <string_view>

using namespace autoexec::text;

TEST_SUITE_BEGIN("columns");

TEST_CASE("characters take the columns that a terminal gives them")
{
    CHECK(columns_of(U'a') == 1);
    CHECK(columns_of(U'ß') == 1);
    CHECK(columns_of(U'漢') == 2);
    CHECK(columns_of(U'🙂') == 2);
    CHECK(columns_of(char32_t{0x301}) == 0);  // an accent
    CHECK(columns_of("a漢b") == 4);
    CHECK(columns_of("") == 0);
}

TEST_CASE("a line has no characters that move the cursor, and none without a width")
{
    CHECK(one_line("a\x1b[2Jb\r\x07") == R"(a\x1b[2Jb\r\x07)");
    CHECK(one_line("\x1b[31mred\x1b[0m") == "red");
    CHECK(one_line("a\nb") == "a\\nb");
    CHECK(one_line("\xff") == "\xEF\xBF\xBD");
    CHECK(one_line("a\u202Eb") == R"(a\u202eb)");
    CHECK(one_line("a\u200Bb\uFE0F\uFEFF") == "ab");
    CHECK(one_line("\tx") == "        x");
    CHECK(one_line("漢\tx") == "漢      x");
}

TEST_CASE("a character has at most two accents, and the beginning of a line none")
{
    const std::string accent = "\u0301";
    CHECK(one_line("e" + accent) == "e" + accent);
    CHECK(one_line("e" + accent + accent + accent + accent + "x") == "e" + accent + accent + "x");
    CHECK(one_line(accent + "x") == "x");
}

TEST_CASE("the beginning of a line ends before a character that does not fit")
{
    CHECK(head_columns("abc", 2) == "ab");
    CHECK(head_columns("abc", 3) == "abc");
    CHECK(head_columns("a漢b", 2) == "a");
    CHECK(head_columns("a漢b", 3) == "a漢");
    CHECK(head_columns("e\u0301x", 1) == "e\u0301");
    CHECK(head_columns("a", 0).empty());
}

TEST_SUITE_END();
