#include "text/glob.hpp"

#include <doctest/doctest.h>

#include <string>

using namespace autoexec;
using text::Glob;

namespace {

bool matches(std::string_view pattern, std::string_view path)
{
    std::string problem;
    const auto glob = Glob::compile(pattern, problem);
    REQUIRE_MESSAGE(glob, problem);
    return glob->matches(path);
}

bool may_match_below(std::string_view pattern, std::string_view folder)
{
    std::string problem;
    const auto glob = Glob::compile(pattern, problem);
    REQUIRE_MESSAGE(glob, problem);
    return glob->may_match_below(folder);
}

std::string refusal(std::string_view pattern)
{
    std::string problem;
    CHECK_FALSE(text::Glob::compile(pattern, problem));
    return problem;
}

}  // namespace

TEST_SUITE_BEGIN("glob");

TEST_CASE("a star and a question mark stay within one folder")
{
    CHECK(matches("*.txt", "a.txt"));
    CHECK(matches("*.txt", ".txt"));
    CHECK_FALSE(matches("*.txt", "a/b.txt"));
    CHECK(matches("a*b*c", "axxbyybzc"));
    CHECK_FALSE(matches("a*b*c", "axxbyy"));
    CHECK(matches("?.txt", "a.txt"));
    CHECK_FALSE(matches("?.txt", ".txt"));
    CHECK_FALSE(matches("a?b", "a/b"));
    CHECK(matches("a?b",
                  "a\xC3\xA9"
                  "b"));
    CHECK(matches("*", "x"));
    CHECK_FALSE(matches("a", ""));
}

TEST_CASE("two stars stand for any number of folders, none included")
{
    CHECK(matches("**/c.txt", "c.txt"));
    CHECK(matches("**/c.txt", "a/b/c.txt"));
    CHECK_FALSE(matches("**/c.txt", "a/b/xc.txt"));
    CHECK(matches("a/**/c.txt", "a/c.txt"));
    CHECK(matches("a/**/b/**/c", "a/x/b/b/y/c"));
    CHECK_FALSE(matches("a/**/b/**/c", "a/x/y/c"));
    CHECK(matches("a/**", "a/b/c"));
    CHECK(matches("**", "a/b/c"));
    CHECK(matches("./a//b", "a/b"));
}

TEST_CASE("a set takes characters, ranges and their opposite")
{
    CHECK(matches("[abc]x", "bx"));
    CHECK_FALSE(matches("[abc]x", "dx"));
    CHECK(matches("[a-f]", "c"));
    CHECK_FALSE(matches("[!a-f]", "c"));
    CHECK(matches("[^a-f]", "z"));
    CHECK(matches("[]x]", "]"));
    CHECK(matches("[!]]", "x"));
    CHECK(matches("[a-]", "-"));
    CHECK(matches("[\xC3\xA0-\xC3\xBF]", "\xC3\xA9"));
    CHECK(matches("[a-c-e]", "-"));
    CHECK(matches("[x\\^[]", "\\"));
    CHECK_FALSE(matches("[z-a]", "b"));
}

TEST_CASE("whatever is not a star, a question mark or a set stands for itself")
{
    CHECK(matches("a.(b)+{c}|$", "a.(b)+{c}|$"));
    CHECK_FALSE(matches("a.b", "axb"));
    CHECK(matches("\\d", "\\d"));
}

TEST_CASE("names that are not UTF-8 match, too")
{
    CHECK(matches("*/x", "\xFF/x"));
    CHECK(matches("a?", "a\xFF"));
}

TEST_CASE("patterns that lead out of the project or make no sense are refused")
{
    CHECK(refusal("/etc/*") == "it must be relative to the project");
    CHECK(refusal("../x") == "'..' would leave the project");
    CHECK(refusal("a/../../x") == "'..' would leave the project");
    CHECK(refusal("") == "it is empty");
    CHECK(refusal("a[b") == "a '[' has no ']'");
    CHECK(refusal("[]") == "a '[' has no ']'");
    CHECK(refusal("[!]") == "a '[' has no ']'");
    CHECK(refusal(std::string(5000, 'a')).starts_with("it is longer"));
    CHECK(refusal(std::string("a\0b", 3)).ends_with("NUL character"));
}

TEST_CASE("a walk needs to look only where the pattern leads")
{
    CHECK(may_match_below("work/*/x", ""));
    CHECK(may_match_below("work/*/x", "work"));
    CHECK(may_match_below("work/*/x", "work/a"));
    CHECK_FALSE(may_match_below("work/*/x", "work/a/b"));
    CHECK_FALSE(may_match_below("work/*/x", "other"));
    CHECK(may_match_below("**/x", "any/where"));
    CHECK(may_match_below("work/**/x", "work/a/b/c"));
    CHECK_FALSE(may_match_below("x", "x"));
}

TEST_CASE("a pattern made to explode is answered all the same")
{
    std::string pattern;
    std::string path;
    for (int i = 0; i < 600; ++i) {
        pattern += "**/a*a*/";
        path += "aaaaa/";
    }
    CHECK_FALSE(matches(pattern.substr(0, 4000) + "/b", path));
    std::string stars;
    for (int i = 0; i < 1500; ++i) stars += "a*";
    CHECK_FALSE(matches(stars + "b", std::string(4000, 'a')));
}

TEST_SUITE_END();
