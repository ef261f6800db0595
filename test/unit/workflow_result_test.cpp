#include "protocol/words.hpp"

#include "protocol/result_format.hpp"
#include "text/json.hpp"
#include "text/json_fields.hpp"
#include "text/text.hpp"

#include <doctest/doctest.h>
#include <boost/json/array.hpp>
#include <boost/json/value.hpp>

#include <set>
#include <string>
#include <vector>

using namespace autoexec;
using namespace std::chrono_literals;

namespace {

/// Each value from the first to the last has a word of its own, from which it is read.
template <class Value>
void check_words(Value last, std::optional<Value> (*parse)(std::string_view) noexcept)
{
    std::set<std::string_view> words;
    for (int i = 0; i <= static_cast<int>(last); ++i) {
        const auto value = static_cast<Value>(i);
        CHECK(parse(to_string(value)) == value);
        words.insert(to_string(value));
    }
    CHECK(words.size() == static_cast<std::size_t>(last) + 1);
    const auto beyond = static_cast<Value>(static_cast<int>(last) + 1);
    CHECK(to_string(beyond) == "unknown");
    for (const auto* word : {"", "unknown", "Completed", "completed "}) CHECK_FALSE(parse(word));
}

StepResult full_step()
{
    StepResult step;
    step.id = "review";
    step.state = StepState::failed;
    step.round = 2;
    step.reason = "The gate said no.";
    step.gate_passed = false;
    step.tolerated = true;
    step.started_at = text::parse_iso("2026-01-20T21:00:36+00:00");
    step.ended_at = text::parse_iso("2026-01-20T21:00:38+00:00");
    step.duration = 1500ms;
    auto& execution = step.execution.emplace();
    execution.status = ExecutionStatus::failed;
    execution.execution_id = "e";
    execution.worktree = "/w";
    execution.reported = ReportedStatus::completed;
    execution.artifacts = {"a.md"};
    execution.verified = Verification::partial;
    execution.missing_artifacts = {"b.md"};
    execution.error = CommandError{"boom", "artifact_missing", std::nullopt, 0};
    execution.attempts = 2;
    execution.exit_code = 0;
    execution.output = "all done";
    execution.warnings = {"odd"};
    return step;
}

}  // namespace

TEST_SUITE_BEGIN("workflow results");

TEST_CASE("every state, status and event has its word, and is read from it")
{
    check_words(StepState::skipped, protocol::parse_word<StepState>);
    check_words(WorkflowStatus::cancelled, protocol::parse_word<WorkflowStatus>);
    check_words(WorkflowEvent::Type::run_ended, protocol::parse_word<WorkflowEvent::Type>);
    check_words(WorktreeMode::in_place, protocol::parse_word<WorktreeMode>);
}

TEST_CASE("a step's result keeps apart what the program did, what was claimed and what is there")
{
    CHECK(
        text::dump_line(to_json(full_step())) ==
        R"({"id": "review", "state": "failed", "round": 2, "reason": "The gate said no.", )"
        R"("tolerated": true, "gate_passed": false, )"
        R"("started_at": "2026-01-20T21:00:36+00:00", "ended_at": "2026-01-20T21:00:38+00:00", )"
        R"("duration_seconds": 1.5, "exit": {"exit_code": 0, "signal": null}, )"
        R"("claimed": {"status": "completed", "artifacts": ["a.md"]}, )"
        R"("verified": {"artifacts": "partial", "missing": ["b.md"]}, "execution_id": "e", )"
        R"("attempts": 2, "status": "failed", "error": "boom", "error_code": "artifact_missing", )"
        R"("worktree": "/w", "output": "all done", "warnings": ["odd"], )"
        R"("branch": null, "commit": null})");
}

TEST_CASE("a step without an execution has the same keys, without values")
{
    StepResult step;
    step.id = "s";
    CHECK(text::dump_line(to_json(step)) ==
          R"({"id": "s", "state": "pending", "round": 0, "reason": null, "tolerated": false, )"
          R"("gate_passed": null, "started_at": null, "ended_at": null, "duration_seconds": 0.0, )"
          R"("exit": {"exit_code": null, "signal": null}, )"
          R"("claimed": {"status": null, "artifacts": []}, )"
          R"("verified": {"artifacts": "none", "missing": []}, "execution_id": null, )"
          R"("attempts": 0, "status": null, "error": null, "error_code": null, "worktree": null, )"
          R"("output": "", "warnings": [], "branch": null, "commit": null})");
    step.execution = ExecutionResult{};
    step.execution->error = CommandError{"boom", "", std::nullopt, 0};
    const auto json = to_json(step);
    CHECK(json.at("status") == "failed");
    CHECK(json.at("error") == "boom");
    CHECK(json.at("error_code").is_null());
}

TEST_CASE("a step that waited in a queue says how long")
{
    auto step = full_step();
    step.execution->queued = 2500ms;
    const auto json = to_json(step);
    CHECK(json.at("queued_seconds") == 2.5);
    std::vector<std::string> complaints;
    const auto again = protocol::read_execution(text::Fields(&json, complaints));
    REQUIRE(again);
    CHECK(again->queued == 2500ms);
    for (const auto& bad : {boost::json::value(-1), boost::json::value(1e300)}) {
        auto odd = json;
        odd["queued_seconds"] = bad;
        const auto read = protocol::read_execution(text::Fields(&odd, complaints));
        REQUIRE(read);
        CHECK(read->queued >= 0ms);
    }
}

TEST_CASE("a run's result has its steps in order")
{
    WorkflowResult run;
    run.run_id = "w-1";
    run.workflow_id = "w";
    run.status = WorkflowStatus::completed;
    run.duration = 2s;
    run.critical_path = {"a", "b"};
    CHECK(text::dump_line(to_json(run)) ==
          R"({"run_id": "w-1", "workflow_id": "w", "status": "completed", "error": null, )"
          R"("duration_seconds": 2.0, "branch": null, "commit": null, )"
          R"("critical_path": ["a", "b"], "steps": []})");
    run.error = "It failed.";
    run.steps = {full_step(), StepResult{}};
    const auto json = to_json(run);
    CHECK(json.at("error") == "It failed.");
    CHECK(json.at("steps").as_array().size() == 2);
    CHECK(json.at("steps").at(0) == to_json(full_step()));
}

TEST_SUITE_END();
