#include "yaml/yaml.hpp"
#include "yaml/yaml_edit.hpp"

#include <doctest/doctest.h>

#include <array>
#include <string>

using namespace autoexec;
using namespace autoexec::yaml;

namespace {

YamlNode parse(const std::string& text)
{
    Report report("file.yaml", text);
    auto root = parse_yaml(text, report);
    const auto errors = report.take_errors();
    REQUIRE_MESSAGE((root && errors.empty()), to_string(errors));
    return *std::move(root);
}

Diagnostic first_error(const std::string& text, const YamlLimits& limits = {})
{
    Report report("file.yaml", text);
    (void)parse_yaml(text, report, limits);
    REQUIRE(report.failed());
    return report.take_errors().front();
}

std::string repeated(const std::string& text, int times)
{
    std::string all;
    for (int i = 0; i < times; ++i) all += text;
    return all;
}

}  // namespace

TEST_SUITE_BEGIN("yaml");

TEST_CASE("a document becomes nodes that know where they stand")
{
    const auto root = parse("a: 1\nb:\n  - x\n  - {c: \"d\"}\n");
    REQUIRE(root.kind == YamlNode::Kind::mapping);
    CHECK(root.find("a")->as_integer() == 1);
    CHECK(root.find("missing") == nullptr);
    const auto* list = root.find("b");
    REQUIRE(list->items.size() == 2);
    CHECK(list->items[0].text == "x");
    CHECK(list->items[0].at.line == 3);
    CHECK(list->items[0].at.column == 5);
    CHECK(list->items[1].find("c")->quoted);
}

TEST_CASE("an empty document is null, and so is one with comments alone")
{
    CHECK(parse("").kind == YamlNode::Kind::null);
    CHECK(parse("# nothing\n\n").kind == YamlNode::Kind::null);
    CHECK(parse("a:\nb: ~\nc: null\n").find("b")->kind == YamlNode::Kind::null);
}

TEST_CASE("what a scalar means depends on its quotes")
{
    const auto root =
        parse(R"([7, "7", -3, 010, 1.5, yes, "yes", text, 99999999999999999999, .inf])");
    const auto& i = root.items;
    CHECK(i[0].as_integer() == 7);
    CHECK_FALSE(i[1].as_integer());
    CHECK(i[1].as_string() == "7");
    CHECK(i[2].as_integer() == -3);
    CHECK_FALSE(i[3].as_integer());
    CHECK_FALSE(i[4].as_integer());
    CHECK(i[4].as_number() == 1.5);
    CHECK(i[5].as_bool() == true);
    CHECK_FALSE(i[5].as_string());
    CHECK(i[6].as_string() == "yes");
    CHECK(i[7].as_string() == "text");
    CHECK_FALSE(i[8].as_integer());
    CHECK_FALSE(i[9].as_number());
}

TEST_CASE("an alias stands for a copy of what it names")
{
    const auto root = parse("a: &x [1, 2]\nb: *x\n");
    REQUIRE(root.find("b")->items.size() == 2);
    CHECK(root.find("b")->items[1].as_integer() == 2);
    CHECK(root.find("b")->at.line == 2);
}

TEST_CASE("a syntax error names line and column")
{
    const auto error = first_error("a: 1\nb: [1, 2\nc: 3\n");
    CHECK(error.message.starts_with("Invalid YAML syntax: "));
    CHECK(error.line == 3);
    CHECK(error.column > 0);
    CHECK(error.source_line == "c: 3");
}

TEST_CASE("a tab in the indentation is called by its name")
{
    const auto error = first_error("a:\n\tb: 1\n");
    CHECK(error.line == 2);
    CHECK(error.hint.find("tab") != std::string::npos);
}

TEST_CASE("every key that is there twice is reported, and where it was first")
{
    const std::string text = "a: 1\nb: 2\na: 3\nb: 4\n";
    Report report("file.yaml", text);
    CHECK(parse_yaml(text, report));
    const auto errors = report.take_errors();
    REQUIRE(errors.size() == 2);
    CHECK(errors[0].message == "The key 'a' is there twice");
    CHECK(errors[0].hint == "It is also on line 1.");
    CHECK(errors[0].line == 3);
    CHECK(errors[1].line == 4);
}

TEST_CASE("documents made to exhaust their reader are refused")
{
    SUBCASE("by size")
    {
        CHECK(first_error(std::string(1024 * 1024 + 1, '#')).message ==
              "The file is larger than 1048576 bytes");
    }
    SUBCASE("by nodes")
    {
        CHECK(first_error(repeated("- 1\n", 60'000)).message.starts_with("More than 50000 nodes"));
    }
    SUBCASE("by depth, in every style")
    {
        CHECK(first_error(repeated("[", 500'000)).message == "Nested deeper than 32 levels");
        CHECK(first_error(repeated("{", 500'000)).message == "Nested deeper than 32 levels");
        CHECK(first_error(repeated("- ", 500'000)).message == "Nested deeper than 32 levels");
        CHECK(first_error(repeated("? ", 500'000)).message == "Nested deeper than 32 levels");
    }
    SUBCASE("by aliases of aliases")
    {
        std::string bomb = "a0: &a0 [x]\n";
        for (int i = 1; i < 30; ++i) {
            const auto before = "*a" + std::to_string(i - 1);
            bomb += "a" + std::to_string(i) + ": &a" + std::to_string(i) + " [" + before + ", " +
                    before + ", " + before + "]\n";
        }
        CHECK_FALSE(first_error(bomb).message.empty());
    }
    SUBCASE("by aliases of a long text")
    {
        const auto bomb = "- &a " + std::string(100'000, 'x') + "\n" + repeated("- *a\n", 10'000);
        CHECK(first_error(bomb).message.find("bytes of content") != std::string::npos);
    }
}

TEST_CASE("what is no single UTF-8 document is refused")
{
    CHECK(first_error("a: 1\n---\nb: 2\n").message == "Only one YAML document is read");
    CHECK(first_error("a: \xFF\n").message == "This is not UTF-8 text");
    const auto error = first_error(std::string("a: 1\nb: \0\n", 11));
    CHECK(error.message == "This is not UTF-8 text");
    CHECK(error.line == 2);
    CHECK(first_error("[a, b]: c\n").message == "A key must be text");
    CHECK(first_error("a: *nowhere\n").message.starts_with("Invalid YAML syntax"));
    CHECK(first_error("&a [*a]\n").message == "An alias cannot be inside the node that it names");
}

TEST_SUITE_END();

TEST_CASE("a text with stray carriage returns is changed to one that is still read")
{
    const std::array<std::string, 2> path{"a", "b"};
    for (const std::string text : {"\r\r\n", "\r", "x: 1\r\r\n", "x: 1\r\ny: 2\n", "\r\n"}) {
        CAPTURE(text);
        const auto changed = set_in_yaml(text, path, make_scalar("7", true));
        CHECK((changed || text.front() != 'x'));
        if (!changed) continue;
        Report report("file", *changed);
        const auto root = parse_yaml(*changed, report);
        REQUIRE(root);
        REQUIRE(root->find("a") != nullptr);
        CHECK(root->find("a")->find("b")->text == "7");
    }
}
