#include "protocol/status.hpp"
#include "text/text.hpp"

#include <doctest/doctest.h>

#include <limits>
#include <string>
#include <vector>

using namespace autoexec;
using namespace autoexec::protocol;

namespace {

using Kind = StatusReading::Kind;
using Strings = std::vector<std::string>;

AgentStatus read(std::string_view text)
{
    auto reading = parse_status(text);
    CAPTURE(text);
    REQUIRE_MESSAGE(reading.kind == Kind::valid, reading.problem);
    CHECK(reading.problem.empty());
    return reading.status;
}

std::string problem_of(std::string_view text)
{
    const auto reading = parse_status(text);
    CAPTURE(text);
    CHECK(reading.kind == Kind::malformed);
    return reading.problem;
}

AgentStatus structured(const std::string& members)
{
    return read(R"({"version":"1.0","status":"running",)" + members + "}");
}

AgentStatus full_status()
{
    AgentStatus status;
    status.structured = true;
    status.status = ReportedStatus::failed;
    status.started_at = text::parse_iso("2026-01-20T21:00:36+00:00");
    status.completed_at = text::parse_iso("2026-01-20T21:01:36+00:00");
    status.progress = Progress{62.5, "build", "über"};
    status.error = CommandError{"boom", "E1", true, 2};
    status.artifacts = {"a.md", "b/"};
    status.output = "line\n";
    status.workflow_id = "w";
    status.step_id = "s";
    status.command = "make";
    status.execution_id = "e";
    status.attempt_id = "a";
    status.agent_id = "agent";
    status.outcome = "timeout";
    status.attempt = 2;
    status.exit_code = -1;
    status.signal = 15;
    status.pid = 1LL << 40;
    status.sequence = 7;
    status.output_truncated = true;
    return status;
}

}  // namespace

TEST_CASE("a file that is absent, empty or truncated is read again")
{
    for (const char* text : {"", " \n", "\xEF\xBB\xBF", "{", R"({"status":"comp)",
                             R"({"status":"completed")", R"({"status":"completed",)"}) {
        CAPTURE(text);
        CHECK(parse_status(text).kind == Kind::incomplete);
        CHECK(parse_status(text).problem.empty());
    }
}

TEST_CASE("a file that cannot become valid is malformed, with a reason")
{
    CHECK(problem_of("[]").starts_with("It is not a JSON object"));
    CHECK(problem_of(R"({"status":"completed","output":NaN})").starts_with("NaN"));
    CHECK(problem_of(R"({"status":"failed","status":"completed"})").find("twice") !=
          std::string::npos);
    CHECK(problem_of(R"({"status":"completed"} trailing)").starts_with("Text follows"));
    CHECK(problem_of(R"({"x":)" + std::string(40, '[')).find("32") != std::string::npos);
    CHECK(problem_of(R"({"x":)" + std::string(100'000, '[')).find("32") != std::string::npos);
}

TEST_CASE("what a program reported besides its outcome is written and read back")
{
    AgentStatus status;
    status.structured = true;
    status.status = ReportedStatus::failed;
    status.error = CommandError{"busy", "rate_limited", {}, 0, std::chrono::seconds(90)};
    status.session = "s-1";
    status.permission_denied = "needed permission";
    status.cause = CommandError{"429", "rate_limited", {}, 0};
    status.usage =
        Usage{1, 2, 3, 4, 5, 0.5, "opus", std::chrono::milliseconds(1500), 2048, true, true};
    CHECK(parse_status(format_status(status)).status == status);
    // Invalid numbers are reported, and the rest is kept.
    const auto odd = read(
        R"({"version":"1.0","status":"completed","usage":{"input_tokens":-1,"cost_usd":"x","output_tokens":2}})");
    CHECK(odd.usage == Usage{{}, 2, {}, {}, {}, {}, ""});
    CHECK_FALSE(odd.warnings.empty());
    CHECK_FALSE(read(R"({"version":"1.0","status":"completed","usage":"much"})").usage);
}

TEST_CASE("words are read without regard to case, and their synonyms are known")
{
    struct Row {
        std::vector<const char*> words;
        ReportedStatus status;
        const char* code;
    };
    const Row rows[] = {
        {{"pending", "PENDING"}, ReportedStatus::pending, ""},
        {{"running", "Running"}, ReportedStatus::running, ""},
        {{"completed", "COMPLETED", "complete", "success", "Succeeded", "done", "ok", "OK",
          "finished", "passed"},
         ReportedStatus::completed,
         ""},
        {{"failed", "FAILED", "error", "failure", "aborted"}, ReportedStatus::failed, ""},
        {{"cancelled", "canceled", "Cancelled"}, ReportedStatus::failed, "cancelled"},
        {{"timeout", "timed_out", "TIMEOUT"}, ReportedStatus::failed, "timeout"}};
    for (const auto& row : rows)
        for (const char* word : row.words)
            for (const char* version : {"", R"("version":"1.0",)"}) {
                CAPTURE(word);
                const auto status =
                    read("{" + std::string(version) + R"("status":")" + word + "\"}");
                CHECK(status.status == row.status);
                CHECK(status.warnings.empty());
                CHECK(status.error.has_value() == (row.status == ReportedStatus::failed));
                if (status.error) CHECK(status.error->code == row.code);
            }
}

TEST_CASE("any other word counts as running, with one warning that can be shown")
{
    const auto status = read(R"({"status":"in\u001b[2Jprogress"})");
    CHECK(status.status == ReportedStatus::running);
    CHECK(status.warnings ==
          Strings{"The status “in\\x1b[2Jprogress” is unknown; `running` is assumed."});
    CHECK(read(R"({"status":" completed"})").status == ReportedStatus::running);
    CHECK(read(R"({"status":""})").warnings.size() == 1);
    const auto longer = read(R"({"status":")" + std::string(100'000, 'x') + "\"}");
    CHECK(longer.warnings.front().size() < 150);
}

TEST_CASE("a file without a status, or with one that is no word, counts as running")
{
    CHECK(read("{}").status == ReportedStatus::running);
    CHECK(read("{}").warnings.size() == 1);
    CHECK(read(R"({"status":null,"success":false})").status == ReportedStatus::running);
    const auto number = read(R"({"status":1})");
    CHECK(number.status == ReportedStatus::running);
    CHECK(number.warnings.front() == "`status` is not a string.");
}

TEST_CASE("completed without success has failed")
{
    for (const char* version : {"", R"("version":"1.0",)"}) {
        const auto head = "{" + std::string(version);
        const auto denied = read(head + R"("status":"done","success":false})");
        CHECK(denied.status == ReportedStatus::failed);
        CHECK(denied.error->message == "The agent reported completion without success.");
        CHECK(read(head + R"("status":"done","success":true})").status ==
              ReportedStatus::completed);
        CHECK(read(head + R"("status":"running","success":false})").status ==
              ReportedStatus::running);
    }
    const auto odd = read(R"({"status":"done","success":"no"})");
    CHECK(odd.status == ReportedStatus::completed);
    CHECK(odd.warnings == Strings{"`success` is not true or false."});
}

TEST_CASE("only the string 1.0 makes a file structured")
{
    const std::string rest = R"("status":"completed","progress":{"percentage":5},)"
                             R"("partial_results":{"output":"p"},"metadata":{"step_id":"m"},)"
                             R"("output":"top","step_id":"s"})";
    for (const char* version :
         {"", R"("version":1.0,)", R"("version":"2.0",)", R"("version":null,)",
          R"("version":"1.1",)", R"("version":["1.0"],)"}) {
        CAPTURE(version);
        const auto status = read("{" + std::string(version) + rest);
        CHECK_FALSE(status.structured);
        CHECK_FALSE(status.progress);
        CHECK(status.output == "top");
        CHECK(status.step_id == "s");
        CHECK(status.warnings.empty());
    }
    const auto status = read(R"({"version":"1.0",)" + rest);
    CHECK(status.structured);
    CHECK(status.progress == Progress{5, "", ""});
    CHECK(status.output == "p");
    CHECK(status.step_id == "m");
}

TEST_CASE("partial results win where they are not empty")
{
    const std::string top = R"("artifacts":["top"],"output":"top","partial_results":)";
    CHECK(structured(top + R"({"artifacts":["p"],"output":"p"})").artifacts == Strings{"p"});
    const auto half = structured(top + R"({"artifacts":[],"output":"p"})");
    CHECK(half.artifacts == Strings{"top"});
    CHECK(half.output == "p");
    CHECK(structured(top + R"({"output":""})").output == "top");
    CHECK(structured(top + "null").output == "top");
}

TEST_CASE("an error is read as a string and as an object, in either version")
{
    for (const char* version : {"", R"("version":"1.0",)"}) {
        const auto failed = "{" + std::string(version) + R"("status":"failed","error":)";
        CHECK(read(failed + R"("boom"})").error == CommandError{"boom", "", {}, 0});
        CHECK(read(failed + R"({"message":"boom","code":"E1","retryable":true,"retry_count":2}})")
                  .error == CommandError{"boom", "E1", true, 2});
        CHECK(read(failed + R"({"message":"boom","retryable":false}})").error ==
              CommandError{"boom", "", false, 0});
        for (const char* nothing : {"null", "\"\"", "{}"})
            CHECK(read(failed + nothing + "}").error == CommandError{"Unknown error", "", {}, 0});
    }
    CHECK_FALSE(read(R"({"status":"completed","error":null})").error);
    CHECK_FALSE(read(R"({"status":"completed","error":""})").error);
}

TEST_CASE("the code of a stop comes from the error, then the word, then the outcome")
{
    const auto code = [](const std::string& members) {
        return read("{" + members + "}").error->code;
    };
    CHECK(code(R"("status":"cancelled","error":{"code":"mine"})") == "mine");
    CHECK(code(R"("status":"timeout","outcome":"cancelled")") == "timeout");
    CHECK(code(R"("status":"failed","outcome":"cancelled","error":"stopped")") == "cancelled");
    CHECK(code(R"("status":"failed","outcome":"failed")").empty());
}

TEST_CASE("a single artifact may stand as a string")
{
    CHECK(read(R"({"status":"done","artifacts":"a.md"})").artifacts == Strings{"a.md"});
    CHECK(structured(R"("partial_results":{"artifacts":"a.md"})").artifacts == Strings{"a.md"});
    CHECK(read(R"({"status":"done","artifacts":["a","","b"]})").artifacts == Strings{"a", "b"});
}

TEST_CASE("a field of another type is dropped with a warning that names it")
{
    const std::pair<const char*, const char*> rows[] = {
        {R"("progress":[1])", "`progress` is not an object."},
        {R"("progress":{"percentage":"50"})", "`progress.percentage` is not a number."},
        {R"("progress":{"message":1})", "`progress.message` is not a string."},
        {R"("partial_results":"x")", "`partial_results` is not an object."},
        {R"("partial_results":{"output":[]})", "`partial_results.output` is not a string."},
        {R"("error":[])", "`error` is not an object."},
        {R"("error":{"retryable":"yes"})", "`error.retryable` is not true or false."},
        {R"("error":{"retry_count":-1})",
         "`error.retry_count` is not a whole number in its range."},
        {R"("artifacts":{})", "`artifacts` is not a list of strings."},
        {R"("artifacts":["a",1])", "`artifacts` is not a list of strings only."},
        {R"("output":["a"])", "`output` is not a string."},
        {R"("metadata":[])", "`metadata` is not an object."},
        {R"("metadata":{"step_id":5})", "`metadata.step_id` is not a string."},
        {R"("started_at":5)", "`started_at` is not a string."},
        {R"("completed_at":{})", "`completed_at` is not a string."},
        {R"("attempt_id":5)", "`attempt_id` is not a string."},
        {R"("attempt":0)", "`attempt` is not a whole number in its range."},
        {R"("exit_code":1.5)", "`exit_code` is not a whole number in its range."},
        {R"("exit_code":4294967296)", "`exit_code` is not a whole number in its range."},
        {R"("signal":"TERM")", "`signal` is not a whole number in its range."},
        {R"("pid":1e300)", "`pid` is not a whole number in its range."},
        {R"("sequence":18446744073709551615)", "`sequence` is not a whole number in its range."},
        {R"("output_truncated":1)", "`output_truncated` is not true or false."},
        {R"("outcome":"great")", "The outcome “great” is unknown."}};
    for (const auto& [members, warning] : rows) {
        CAPTURE(members);
        CHECK(structured(members).warnings == Strings{warning});
    }
    CHECK(structured(R"("artifacts":["a",1])").artifacts == Strings{"a"});
    CHECK_FALSE(structured(R"("outcome":"great")").outcome);
    CHECK(structured(R"("zzz":{"deep":[1]})").warnings.empty());
}

TEST_CASE("a number too large for a double drops its field, not the file")
{
    const auto status = structured(
        R"("progress":{"percentage":1e999,"message":"half"},"exit_code":-1e999,"output":"done")");
    CHECK(status.status == ReportedStatus::running);
    REQUIRE(status.progress);
    CHECK(status.progress->percentage == 0);
    CHECK(status.progress->message == "half");
    CHECK_FALSE(status.exit_code);
    CHECK(status.output == "done");
    REQUIRE(status.warnings.size() == 2);
    CHECK(status.warnings[0].starts_with("`percentage` is too large for a double and is ignored"));
    CHECK(status.warnings[1].starts_with("`exit_code` is too large for a double and is ignored"));
}

TEST_CASE("a number may be written with a point, and a percentage stays in its range")
{
    CHECK(structured(R"("exit_code":3.0)").exit_code == 3);
    CHECK(structured(R"("progress":{"percentage":250})").progress->percentage == 100);
    CHECK(structured(R"("progress":{"percentage":-1})").progress->percentage == 0);
    CHECK_FALSE(structured(R"("progress":{})").progress);
}

TEST_CASE("damaged text is repaired, but in a status or an id it is malformed")
{
    for (const char* damage : {"\xFF", "\\ud800"}) {
        const std::string text = "x" + std::string(damage);
        const auto status = structured("\"output\":\"" + text + "\",\"error\":\"" + text + "\"");
        CHECK(status.output == "x\xEF\xBF\xBD");
        CHECK(status.warnings.empty());
        CHECK(problem_of(R"({"status":")" + text + "\"}") ==
              "`status` contains text that is not UTF-8.");
        for (const char* id : {"execution_id", "attempt_id", "workflow_id", "step_id", "agent_id"})
            CHECK(problem_of(R"({"status":"completed",")" + std::string(id) + "\":\"" + text +
                             "\"}") ==
                  "`" + std::string(id) + "` contains text that is not UTF-8.");
        CHECK(problem_of(R"({"version":"1.0","status":"done","metadata":{"workflow_id":")" + text +
                         "\"}}") == "`workflow_id` contains text that is not UTF-8.");
    }
    CHECK(read(R"({"status":"done","step_id":"\ufffd","output":"ok"})").step_id == "\xEF\xBF\xBD");
}

TEST_CASE("what is written is read back")
{
    const auto status = full_status();
    const auto text = format_status(status);
    const auto again = read(text);
    CHECK(format_status(again) == text);
    CHECK(again.structured);
    CHECK(again.progress == status.progress);
    CHECK(again.error == status.error);
    CHECK(again.artifacts == status.artifacts);
    CHECK(again.pid == status.pid);
    CHECK(again.exit_code == -1);
    CHECK(again.output_truncated);
    CHECK(again.warnings.empty());
}

TEST_CASE("a status is written as the first version wrote it, then our fields")
{
    CHECK(format_status(full_status()) == R"({
  "version": "1.0",
  "status": "failed",
  "started_at": "2026-01-20T21:00:36+00:00",
  "completed_at": "2026-01-20T21:01:36+00:00",
  "progress": {
    "percentage": 62.5,
    "current_step": "build",
    "message": "\u00fcber"
  },
  "error": {
    "message": "boom",
    "code": "E1",
    "retryable": true,
    "retry_count": 2
  },
  "artifacts": [
    "a.md",
    "b/"
  ],
  "output": "line\n",
  "metadata": {
    "workflow_id": "w",
    "step_id": "s",
    "command": "make"
  },
  "execution_id": "e",
  "attempt": 2,
  "attempt_id": "a",
  "agent_id": "agent",
  "pid": 1099511627776,
  "sequence": 7,
  "outcome": "timeout",
  "exit_code": -1,
  "signal": 15,
  "output_truncated": true
})");
}

TEST_CASE("empty fields are left out")
{
    AgentStatus status;
    status.status = ReportedStatus::running;
    status.output = "";
    CHECK(format_status(status) == "{\n  \"version\": \"1.0\",\n  \"status\": \"running\"\n}");
    status.progress = Progress{std::numeric_limits<double>::infinity(), "", ""};
    CHECK(format_status(status).find("\"percentage\": 100\n") != std::string::npos);
}
