#include "workflow/run/step_cache.hpp"

#include <fmt/format.h>

#include <doctest/doctest.h>

#include <string>

using namespace autoexec;
using namespace autoexec::workflow;

TEST_SUITE_BEGIN("step cache");

TEST_CASE("what is stored with cached work is read back")
{
    const auto end = read_cache_details(
        R"({"key": "k", "run_id": "w-1", "step": "a", "verified": "all", "exit_code": 0, )"
        R"("output": "said"})",
        "k");
    REQUIRE(end);
    CHECK(end->run_id == "w-1");
    CHECK(end->execution.status == ExecutionStatus::completed);
    CHECK(end->execution.verified == Verification::all);
    CHECK(end->execution.exit_code == 0);
    CHECK(end->execution.output == "said");
    CHECK(end->execution.attempts == 0);
    const auto least = read_cache_details(R"({"key": "k", "run_id": "w-1"})", "k");
    REQUIRE(least);
    CHECK(least->execution.verified == Verification::none);
    CHECK_FALSE(least->execution.exit_code);
}

TEST_CASE("cached work with another key, or with a run that is none, is not used")
{
    for (const auto& details :
         {std::string(), std::string("{"), std::string("[]"), std::string(R"({"run_id": "w-1"})"),
          std::string(R"({"key": "other", "run_id": "w-1"})"),
          std::string(R"({"key": "k", "run_id": ""})"), std::string(R"({"key": "k", "run_id": 1})"),
          std::string(R"({"key": "k", "run_id": "w\nx"})"),
          std::string(R"({"key": "k", "run_id": "w\u001b[31m"})"),
          fmt::format(R"({{"key": "k", "run_id": "{}"}})", std::string(501, 'x'))}) {
        CAPTURE(details.substr(0, 100));
        CHECK_FALSE(read_cache_details(details, "k"));
    }
}

TEST_SUITE_END();
