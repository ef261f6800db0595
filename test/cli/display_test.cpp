#include "cli/session/display.hpp"
#include "cli/session/color.hpp"

#include <doctest/doctest.h>

#include <unistd.h>

#include <algorithm>
#include <string>

using namespace autoexec;
using namespace autoexec::cli;

TEST_SUITE_BEGIN("display");

TEST_CASE("the excerpt of a failed command has its last lines, safe to show")
{
    ExecutionResult result;
    result.status = ExecutionStatus::failed;
    CHECK(excerpt_of(result).empty());
    result.output = "\n\n";
    CHECK(excerpt_of(result).empty());
    result.output = "one\n\ntwo\x1b[2J\r\n\n";
    CHECK(excerpt_of(result) == "  | one\n  | two\\x1b[2J\n");
    result.output = std::string(500, 'x');
    CHECK(excerpt_of(result) == "  | " + std::string(160, 'x') + "…\n");
    result.output.clear();
    for (int i = 1; i <= 30; ++i) result.output += "line " + std::to_string(i) + "\n";
    const auto excerpt = excerpt_of(result);
    CHECK(excerpt.starts_with("  | line 21\n"));
    CHECK(std::count(excerpt.begin(), excerpt.end(), '\n') == 10);
    result.status = ExecutionStatus::timeout;
    CHECK(excerpt_of(result) == excerpt);
    for (const auto status : {ExecutionStatus::completed, ExecutionStatus::cancelled}) {
        result.status = status;
        CHECK(excerpt_of(result).empty());
    }
}

TEST_CASE("a coloured state is as wide as a plain one")
{
    set_color("always");
    CHECK(colored_state("failed", 9, STDOUT_FILENO) == "\x1b[31mfailed\x1b[m   ");
    CHECK(colored_state("queued", 9, STDOUT_FILENO) == "queued   ");
    set_color("never");
    CHECK(colored_state("failed", 9, STDOUT_FILENO) == "failed   ");
    CHECK_THROWS_AS(set_color("red"), Failure);
    set_color("auto");
}

TEST_SUITE_END();
