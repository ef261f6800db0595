#include "redaction/agent_text.hpp"

#include "executor/agent_artifacts.hpp"

#include "support/executor_fixture.hpp"

#include <doctest/doctest.h>
#include <boost/json/serialize.hpp>

using namespace autoexec;
using namespace autoexec::test;

namespace {

const std::string token = "gh" + std::string("p_") + std::string(36, 'a');

bool has(std::string_view text, std::string_view part)
{
    return text.find(part) != text.npos;
}

}  // namespace

TEST_CASE("an agent's words are cut at a character, after they were redacted")
{
    const Redactor redactor;
    CHECK(agent_text(redactor, "short", 5) == "short");
    CHECK(agent_text(redactor, "longer", 5) == "longe…");
    CHECK(agent_text(redactor, "ab漢字", 4) == "ab…");
    CHECK(agent_text(redactor, "x " + token, 10) == "x ***REDAC…");
}

TEST_CASE("the artifacts that an agent names are bounded in number and length, and redacted")
{
    const Redactor redactor;
    ExecutionResult result;
    result.worktree = "/tree";
    std::vector<std::string> named{token, std::string(100'000, 'n')};
    for (int i = 0; i < 5000; ++i) {
        named.push_back("file" + std::to_string(i));
        named.push_back("../" + token + std::string(1000, 'x'));
    }
    set_artifacts(redactor, named, result);
    CHECK(result.artifacts.size() == max_artifacts);
    CHECK(result.artifacts.at(0) == "***REDACTED***");
    CHECK(result.artifacts.at(1).size() == max_artifact_name + 3);
    CHECK(result.warnings.size() == 12);
    for (const auto& warning : result.warnings) {
        CHECK(warning.size() < 400);
        CHECK_FALSE(has(warning, token));
    }
    CHECK(result.warnings.back() == "The agent names 5002 artifacts; the first 1000 are kept.");
}

TEST_CASE_FIXTURE(ExecutorFixture, "no record holds a secret or a flood from an agent's status")
{
    clock->at(std::chrono::seconds(3), [&] {
        auto status = tree.status(ReportedStatus::failed);
        status.error = CommandError{token + " " + std::string(1'000'000, 'm'),
                                    token + " " + std::string(1'000'000, 'c'), false, 0};
        status.artifacts = {"build/" + token, "/elsewhere/" + token};
        tree.report(std::move(status));
    });
    execute();
    REQUIRE(result.error);
    CHECK(result.error->code.size() <= max_agent_code + 3);
    CHECK(result.error->message.size() <= max_agent_message + 3);
    CHECK(result.artifacts == std::vector<std::string>{"build/***REDACTED***"});
    std::string all = result.error->code + result.error->message;
    for (const auto& warning : result.warnings) all += warning;
    for (const auto& event : sink->events) all += boost::json::serialize(event.details);
    for (const auto& metric : sink->metrics()) all += metric.error_message.value_or("");
    CHECK_FALSE(has(all, token));
    CHECK(has(all, "***REDACTED***"));
    CHECK(all.size() < 100'000);
}
