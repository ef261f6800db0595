#include "protocol/running_files.hpp"
#include "text/text.hpp"

#include <doctest/doctest.h>

#include <string>

using namespace autoexec;
using namespace autoexec::protocol;

namespace {

RunningRecord full_record()
{
    RunningRecord record;
    record.execution_id = "e";
    record.attempt_id = "a";
    record.attempt = 2000;
    record.workflow_id = "w";
    record.command = "make";
    record.worktree = "/tree";
    record.started_at = text::parse_iso("2026-01-20T21:00:36.129110+00:00");
    record.agent = "builder";
    record.pid = 42;
    record.artifacts = {{"a.md", "1-2-3-4"}, {"b.md", ""}};
    record.prompts_taken = 3;
    record.taken_prompts = {"x", "y"};
    return record;
}

}  // namespace

TEST_SUITE_BEGIN("running files");

TEST_CASE("a running record is read back")
{
    const auto record = full_record();
    const auto text = format_running(record);
    const auto again = parse_running(text);
    REQUIRE(again);
    CHECK(again->ids() == record.ids());
    CHECK(again->started_at == record.started_at);
    CHECK(again->artifacts == record.artifacts);
    CHECK(again->pid == 42);
    CHECK(again->taken_prompts == record.taken_prompts);
    CHECK(format_running(*again) == text);
}

TEST_CASE("too many artifacts are left out of a running record")
{
    auto record = full_record();
    for (int i = 0; i < 1000; ++i) record.artifacts[std::to_string(i)] = "1-2-3-4";
    CHECK(parse_running(format_running(record))->artifacts.empty());
}

TEST_CASE("a running record without an attempt or its execution is none")
{
    for (const char* text : {"", "{", "[]", "{}", R"({"execution_id": "e"})",
                             R"({"attempt_id": "a"})", R"({"execution_id": "e", "attempt_id": 1})",
                             R"({"execution_id": "e", "attempt_id": "a")"}) {
        CAPTURE(text);
        CHECK_FALSE(parse_running(text));
    }
}

TEST_CASE("members of a wrong type or out of range count as absent")
{
    const auto record = parse_running(
        R"({"execution_id": "e", "attempt_id": "a", "attempt": -1, "started_at": "yesterday",)"
        R"( "pid": "42", "artifacts": ["a.md"]})");
    REQUIRE(record);
    CHECK(record->attempt == 1);
    CHECK_FALSE(record->started_at);
    CHECK(record->pid == 0);
    CHECK(record->artifacts.empty());
}

TEST_CASE("the record of an agent is read back, and one that names no agent is none")
{
    AgentRecord record{
        "agent", 42, "host", text::parse_iso("2026-01-20T21:00:36+00:00"), {"a", "b"}};
    const auto text = format_agent(record);
    const auto again = parse_agent(text);
    REQUIRE(again);
    CHECK(again->agents == record.agents);
    CHECK(again->started_at == record.started_at);
    CHECK(format_agent(*again) == text);
    CHECK_FALSE(parse_agent("{}"));
    CHECK_FALSE(parse_agent(text.substr(0, text.size() - 3)));
}

TEST_CASE("a claim is read back, and one of another agent is empty")
{
    ClaimFile claim;
    claim.execution_id = "e";
    claim.attempt_id = "a";
    claim.agent_id = "agent";
    claim.worktree = "/tree";
    claim.host = "host";
    claim.pid = 42;
    claim.claimed_at = text::parse_iso("2026-01-20T21:00:36+00:00");
    const auto text = format_claim(claim);
    const auto again = parse_claim(text);
    CHECK(again.ids() == claim.ids());
    CHECK(again.claimed_at == claim.claimed_at);
    CHECK(format_claim(again) == text);
    CHECK(parse_claim("mine").worktree.empty());
    CHECK(parse_claim(R"({"host": 5})").host.empty());
}

TEST_SUITE_END();
