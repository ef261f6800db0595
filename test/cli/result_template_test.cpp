#include "cli/session/result_template.hpp"

#include "cli/cli.hpp"

#include <doctest/doctest.h>
#include <boost/json/parse.hpp>

#include <string>
#include <vector>

using namespace autoexec::cli;

namespace {

const auto result = boost::json::parse(R"({"id": "a", "n": 3, "cost": 0.5, "none": null,
    "usage": {"tokens": 12}, "list": ["x", {"y": true}], "text": "two\nlines"})")
                        .as_object();

std::string fill(std::string_view text)
{
    return ResultTemplate(text).fill(result);
}

}  // namespace

TEST_SUITE_BEGIN("result template");

TEST_CASE("keys become values, and all else stays")
{
    CHECK(fill("{id} {n} {cost}") == "a 3 0.5");
    CHECK(fill("{usage.tokens};{list.0};{list.1.y};{list}") == R"(12;x;true;["x", {"y": true}])");
    CHECK(fill("[{none}{absent}{usage.absent}{list.7}{list.x}{id.deeper}]") == "[]");
    CHECK(fill(R"({id}\t{n}\n\\)") == "a\t3\n\\");
    CHECK(fill("{{{id}}}") == "{a}");
    CHECK(fill("{text}") == R"(two\nlines)");
    CHECK(fill("").empty());
}

TEST_CASE("a malformed template is a usage error")
{
    for (const auto* text : {"{id", "{}", "a {", "{{{id"})
        CHECK_THROWS_AS(ResultTemplate{text}, Failure);
}

TEST_CASE("keys that no result has are named")
{
    ResultTemplate text("{id} {idd} {usage.tokens} {none.more} {extra}");
    CHECK(text.missing().empty());
    (void)text.fill(result);
    CHECK(text.missing() == std::vector<std::string>{"idd", "extra"});
    (void)text.fill({{"extra", 1}});
    CHECK(text.missing() == std::vector<std::string>{"idd"});
    CHECK(text.known().contains("usage"));
}

TEST_SUITE_END();
