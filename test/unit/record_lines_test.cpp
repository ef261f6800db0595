#include "protocol/record_lines.hpp"
#include "protocol/command_file.hpp"
#include "protocol/status.hpp"
#include "protocol/usage.hpp"
#include "support/time_zone.hpp"
#include "text/json.hpp"

#include <doctest/doctest.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <limits>
#include <string>

using namespace autoexec;
using namespace autoexec::protocol;

namespace {

using namespace std::chrono;

constexpr system_clock::time_point when =
    sys_days{2026y / January / 20} + 21h + 0min + 36s + 129110us;

ExecutionMetric full_metric()
{
    ExecutionMetric metric;
    metric.execution_id = "e";
    metric.workflow_id = "w";
    metric.command = "über";
    metric.status = ExecutionStatus::failed;
    metric.duration = 1500ms;
    metric.started_at = when;
    metric.retry_count = 1;
    metric.completed_at = when + 1500ms;
    metric.error_message = "boom\n";
    return metric;
}

std::string example(const char* name)
{
    const auto path = std::filesystem::path(AUTOEXEC_SOURCE_DIR) / "test/data/v1" / name;
    std::ifstream in(path, std::ios::binary);
    REQUIRE_MESSAGE(in, path.string());
    return {std::istreambuf_iterator<char>(in), {}};
}

AgentStatus example_status(const char* name)
{
    const auto reading = parse_status(example(name));
    REQUIRE_MESSAGE(reading.kind == StatusReading::Kind::valid, reading.problem);
    CHECK(reading.status.warnings.empty());
    return reading.status;
}

}  // namespace

TEST_CASE("the line of an attempt has all that is known, and is read back")
{
    auto attempt = full_metric();
    attempt.attempt_id = "a";
    attempt.error_code = "auth";
    attempt.agent = "claude";
    attempt.worktree = "/tree";
    attempt.session = "s";
    attempt.usage = Usage{1, 2, 3, 4, 1, 0.5, "opus", 1500ms, 2048};
    attempt.verified = Verification::partial;
    attempt.missing_artifacts = {"a.md"};
    attempt.exit_code = 0;
    attempt.reported = ReportedStatus::completed;
    CHECK(parse_metric(format_attempt(attempt)) == attempt);
    CHECK(format_attempt(attempt).starts_with(
        format_metric(attempt).substr(0, format_metric(attempt).size() - 1)));
    attempt.usage->of_session = attempt.usage->cost_of_session = true;
    CHECK(format_attempt(attempt).find(R"("usage": )" +
                                       text::dump_line(usage_or_null(attempt.usage)) + ", ") !=
          std::string::npos);
    // A number that makes no sense is no usage.
    CHECK_FALSE(parse_metric(R"({"execution_id":"e","command":"c","status":"failed",)"
                             R"("duration_ms":1,"started_at":"2026-01-20T21:00:36Z",)"
                             R"("usage":{"input_tokens":-1}})")
                    .value_or(ExecutionMetric{})
                    .usage);
}

TEST_CASE("a metric line has the original's keys in their order and no other")
{
    CHECK(format_metric(full_metric()) ==
          R"({"execution_id": "e", "workflow_id": "w", "step_id": null, "command": "\u00fcber", )"
          R"("status": "failed", "duration_ms": 1500.0, )"
          R"("started_at": "2026-01-20T21:00:36.129110+00:00", "retry_count": 1, )"
          R"("completed_at": "2026-01-20T21:00:37.629110+00:00", "error_message": "boom\n"})");
}

TEST_CASE("a metric line is read back as it was written")
{
    CHECK(parse_metric(format_metric(full_metric())) == full_metric());
    ExecutionMetric least;
    CHECK(parse_metric(format_metric(least)) == least);
    least.duration = duration<double, std::milli>(std::numeric_limits<double>::quiet_NaN());
    CHECK(parse_metric(format_metric(least))->duration == 0ms);
}

TEST_CASE("a metric line of another version is read")
{
    const auto metric = parse_metric(R"({"execution_id":"e","command":"c","status":"success",)"
                                     R"("duration_ms":10,"started_at":"t","skill":[1]})");
    REQUIRE(metric);
    CHECK(metric->status == ExecutionStatus::completed);
    CHECK(metric->duration == 10ms);
    CHECK(metric->retry_count == 0);
    CHECK_FALSE(metric->started_at);
    CHECK_FALSE(metric->completed_at);
    const auto with_object =
        parse_metric(R"({"execution_id":"e","command":"c","status":"failed","duration_ms":1.5,)"
                     R"("started_at":"t","error_message":{"message":"boom","code":"E"}})");
    REQUIRE(with_object);
    CHECK(with_object->error_message == "boom");
}

TEST_CASE("a metric line with another word for its status is none")
{
    const std::string line = R"({"execution_id":"e","command":"c","status":"odd",)"
                             R"("duration_ms":1,"started_at":"2026-01-20T10:00:00"})";
    CHECK_FALSE(parse_metric(line));
}

TEST_CASE("a line that is no metric is nothing")
{
    const std::string good = R"({"execution_id":"e","command":"c","status":"failed",)"
                             R"("duration_ms":1,"started_at":"t","retry_count":0})";
    REQUIRE(parse_metric(good));
    for (const char* key : {"execution_id", "command", "status", "duration_ms", "started_at"}) {
        auto without = good;
        without.insert(without.find(key), "x");
        CAPTURE(without);
        CHECK_FALSE(parse_metric(without));
    }
    for (const auto& [from, to] :
         {std::pair("\"e\"", "5"), std::pair(":1,", ":\"1\","), std::pair(":0}", ":-1}"),
          std::pair(":0}", ":\"0\"}"), std::pair(":0}", ":1e999}"),
          std::pair(":0}", ":0,\"workflow_id\":5}"), std::pair(":0}", ":0,\"command\":\"d\"}")}) {
        auto changed = good;
        changed.replace(changed.find(from), std::string_view(from).size(), to);
        CAPTURE(changed);
        CHECK_FALSE(parse_metric(changed));
    }
    for (std::size_t length = 0; length < good.size(); ++length)
        CHECK_FALSE(parse_metric(good.substr(0, length)));
}

TEST_CASE("an audit line is the original's, with our keys at the end")
{
    const test::TimeZone zone("UTC-5:30");
    AuditRecord record("execution_started");
    record.workflow_id = "w";
    record.command = "über\n";
    record.details = {{"b", 1}, {"a", 2.0}};
    record.more = {{"execution_id", "e"}, {"status", "never over theirs"}};
    const auto line = format_audit(record, when);
    CHECK(line ==
          R"(2026-01-21 02:30:36 | INFO | {"timestamp": "2026-01-20T21:00:36.129110+00:00", )"
          R"("event_type": "execution_started", "workflow_id": "w", "step_id": null, )"
          R"("command": "\u00fcber\n", "status": null, "details": {"b": 1, "a": 2.0}, )"
          R"("execution_id": "e"})");
    const auto object = parse_audit(line);
    REQUIRE(object);
    CHECK(object->at("execution_id") == "e");
}

TEST_CASE("an audit line takes its record's own time before the current one")
{
    AuditRecord record("agent_lost");
    record.time = when;
    CHECK(parse_audit(format_audit(record, when + 1h))->at("timestamp") ==
          "2026-01-20T21:00:36.129110+00:00");
}

TEST_CASE("a line that is no audit event is nothing")
{
    for (const char* line : {"", "2026-01-20 21:00:36 | INFO | ", "2026-01-20 21:00:36 | INFO | []",
                             "2026-01-20 21:00:36 | INFO | {}", R"(x | INFO | {"event_type": 5})",
                             R"({"event_type": "a"})", R"(x | INFO | {"event_type": "a")",
                             R"({"x": " | {"event_type": "a"})"}) {
        CAPTURE(line);
        CHECK_FALSE(parse_audit(line));
    }
    CHECK(parse_audit(R"(x | WARNING | {"event_type": "a", "command": "b | {"})"));
}

TEST_CASE("the files of version 1 are still read")
{
    std::string problem;
    const auto command = parse_command(example("command.json"), problem);
    REQUIRE_MESSAGE(command, problem);
    CHECK(command->attempt == 1);
    CHECK(command->argv.size() == 3);
    CHECK(command->deadline_seconds == 3600);
    const auto early = parse_command(example("command-early.json"), problem);
    REQUIRE_MESSAGE(early, problem);
    CHECK(early->attempt_id.empty());
    CHECK(parse_cancel(example("cancel.json"))->attempt_id == command->attempt_id);
    CHECK(parse_metric(example("metric.jsonl"))->duration.count() == 83250.5);
    CHECK(parse_audit(example("audit.log"))->at("event_type") == "execution_completed");
    // The metadata file has no reader of ours; its shape is what others depend on.
    CHECK(example("metadata.json") == format_metadata(*command, command->command) + "\n");
}

TEST_CASE("the status files of version 1 are still read")
{
    const auto running = example_status("status-running.json");
    CHECK(running.status == ReportedStatus::running);
    CHECK(running.progress->percentage == 40);
    CHECK(running.sequence == 3);
    const auto completed = example_status("status-completed.json");
    CHECK(completed.status == ReportedStatus::completed);
    CHECK(completed.artifacts.size() == 2);
    CHECK(completed.exit_code == 0);
    const auto failed = example_status("status-failed.json");
    CHECK(failed.error == CommandError{"The linker found no main.", "exit_1", true, 0});
    const auto legacy = example_status("status-legacy.json");
    CHECK_FALSE(legacy.structured);
    CHECK(legacy.status == ReportedStatus::completed);
    CHECK(legacy.output == "42 tests passed");
}
