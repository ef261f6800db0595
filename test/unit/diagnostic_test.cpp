#include "autoexec/diagnostic.hpp"

#include "yaml/report.hpp"

#include <doctest/doctest.h>

#include <array>
#include <string>

using namespace autoexec;
using yaml::Report;

namespace {

std::string shown(const std::string& text, yaml::Position at, std::string hint = {})
{
    Report report("agents.yaml", text);
    report.error(at, "No good", std::move(hint));
    const auto errors = report.take_errors();
    return to_string(errors);
}

}  // namespace

TEST_SUITE_BEGIN("diagnostic");

TEST_CASE("a problem is shown as compilers do")
{
    CHECK(shown("a: 1\nbcd: x\n", {2, 6}, "Try 7.") ==
          "agents.yaml:2:6: error: No good\n"
          "    2 | bcd: x\n"
          "      |      ^\n"
          "  hint: Try 7.\n");
}

TEST_CASE("a problem without a place is shown with what there is")
{
    CHECK(shown("a: 1\n", {}) == "agents.yaml: error: No good\n");
    CHECK(shown("a: 1\n", {1, 0}) == "agents.yaml:1: error: No good\n    1 | a: 1\n");
    CHECK(shown("a: 1\n", {9, 1}) == "agents.yaml:9:1: error: No good\n");
}

TEST_CASE("the caret is below the character, not the byte")
{
    CHECK(shown("\xC3\xA9\xC3\xA9: x\n", {1, 7}).find("| \xC3\xA9\xC3\xA9: x\n      |     ^\n") !=
          std::string::npos);
    CHECK(shown("\tx\n", {1, 2}).find("      | \t^\n") != std::string::npos);
}

TEST_CASE("of a very long line the part around the column is shown")
{
    const auto text = std::string(1000, 'a') + "HERE" + std::string(1000, 'b');
    Report report("x", text);
    report.warning({1, 1001}, "m");
    const auto warning = report.take_warnings().at(0);
    CHECK(warning.source_line.size() == 160);
    CHECK(warning.source_line.substr(static_cast<std::size_t>(warning.source_column) - 1, 4) ==
          "HERE");
    CHECK(warning.column == 1001);
    CHECK(warning.severity == Diagnostic::Severity::warning);
}

TEST_CASE("escape sequences in a file do not reach the terminal")
{
    CHECK(shown("a: \x1B[31mred\n", {1, 4}).find('\x1B') == std::string::npos);
}

TEST_CASE("a word is looked for on its line")
{
    Report report("x", "one two\nthree two\n");
    CHECK(report.find({2, 1}, "two").column == 7);
    CHECK(report.find({2, 8}, "two").column == 8);
    CHECK(report.find({7, 3}, "two").line == 7);
}

TEST_CASE("a flood of problems is cut")
{
    Report report("x", "");
    for (int i = 0; i < 1000; ++i) report.error({}, "again");
    CHECK(report.take_errors().size() == 100);
}

TEST_CASE("a near word is suggested, a far one is not")
{
    constexpr std::array<std::string_view, 3> words{"enabled", "commands", "timeout_seconds"};
    CHECK(yaml::did_you_mean("comands", words) == "Did you mean 'commands'?");
    CHECK(yaml::did_you_mean("enabeld", words) == "Did you mean 'enabled'?");
    CHECK(yaml::did_you_mean("timeout_second", words) == "Did you mean 'timeout_seconds'?");
    CHECK(yaml::did_you_mean("colour", words).empty());
    CHECK(yaml::did_you_mean(std::string(10'000, 'e'), words).empty());
    CHECK(yaml::nearest("x", words).empty());
}

TEST_SUITE_END();
