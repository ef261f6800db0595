#include "protocol/command_file.hpp"

#include "autoexec/command.hpp"
#include "text/text.hpp"

#include <doctest/doctest.h>
#include <boost/json/parse.hpp>

#include <string>
#include <vector>

using namespace autoexec;
using namespace autoexec::protocol;

namespace {

using Strings = std::vector<std::string>;

CommandFile full_file()
{
    CommandFile file;
    file.command = "make \"all\" # ü\n";
    file.workflow_id = "w";
    file.step_id = "s";
    file.created_at = text::parse_iso("2026-01-20T21:00:36+00:00");
    file.expected_artifacts = {"a.md", "b/"};
    file.worktree_path = "/tree";
    file.execution_id = "e";
    file.attempt_id = "a";
    file.attempt = 2;
    file.agent = "builder";
    file.argv = {"make", "all", ""};
    file.env_refs = {"API_TOKEN"};
    file.env = {{"MODE", "all\n\"ü\""}, {"_1", ""}};
    file.working_directory = "sub/folder";
    file.model = "maker/large (new)";
    file.deadline_seconds = 1500;
    return file;
}

CommandFile read(std::string_view text)
{
    std::string problem;
    auto file = parse_command(text, problem);
    CAPTURE(text);
    REQUIRE_MESSAGE(file, problem);
    return *file;
}

std::string refusal(std::string_view text)
{
    std::string problem;
    CAPTURE(text.substr(0, 100));
    CHECK_FALSE(parse_command(text, problem));
    return problem;
}

}  // namespace

TEST_CASE("a command file is read back as it was written")
{
    const auto file = full_file();
    const auto again = read(format_command(file));
    CHECK(again.command == file.command);
    CHECK(again.workflow_id == file.workflow_id);
    CHECK(again.step_id == file.step_id);
    CHECK(again.created_at == file.created_at);
    CHECK(again.expected_artifacts == file.expected_artifacts);
    CHECK(again.worktree_path == file.worktree_path);
    CHECK(again.execution_id == file.execution_id);
    CHECK(again.attempt_id == file.attempt_id);
    CHECK(again.attempt == file.attempt);
    CHECK(again.agent == file.agent);
    CHECK(again.argv == file.argv);
    CHECK(again.env_refs == file.env_refs);
    CHECK(again.env == file.env);
    CHECK(again.working_directory == file.working_directory);
    CHECK(again.model == file.model);
    CHECK(again.deadline_seconds == file.deadline_seconds);
    CHECK(format_command(again) == format_command(file));
}

TEST_CASE("a command file begins with the keys of version 1.0")
{
    const auto object = boost::json::parse(format_command(full_file())).as_object();
    Strings keys;
    for (const auto& member : object) keys.emplace_back(member.key());
    CHECK(keys == Strings{"command", "correlation", "worktree_path", "instructions", "note",
                          "protocol", "execution_id", "attempt", "attempt_id", "agent", "argv",
                          "env_refs", "env", "working_directory", "model", "deadline_seconds"});
    CHECK(object.at("protocol") == "1.2");
    CHECK(object.at("correlation") == boost::json::parse(R"({"workflow_id": "w", "step_id": "s",
        "created_at": "2026-01-20T21:00:36+00:00", "expected_artifacts": ["a.md", "b/"]})"));
}

TEST_CASE("a file without workflow, step and our fields says so with nulls and nothing")
{
    CommandFile file;
    file.command = "x";
    const auto object = boost::json::parse(format_command(file)).as_object();
    CHECK(object.at("correlation").at("workflow_id").is_null());
    CHECK(object.at("correlation").at("step_id").is_null());
    CHECK(object.size() == 6);
}

TEST_CASE("the files of the original's versions are read")
{
    const auto early =
        read(R"({"command": "@a b", "worktree_path": "/t", "instructions": "Do it."})");
    CHECK(early.command == "@a b");
    CHECK(early.attempt_id.empty());
    CHECK(early.attempt == 0);
    CHECK_FALSE(early.workflow_id);
    const auto late = read(R"({"command": "x", "correlation": {"workflow_id": null,
        "step_id": "s", "created_at": "2026-01-20T21:00:36.129110", "expected_artifacts": []},
        "worktree_path": "/t", "instructions": "", "note": "", "redaction_applied": true,
        "original_length": 5})");
    CHECK_FALSE(late.workflow_id);
    CHECK(late.step_id == "s");
    CHECK(read(R"({"command": "x", "correlation": null, "protocol": "1.9"})").command == "x");
}

TEST_CASE("a file of a bad shape is refused with a sentence")
{
    const std::pair<const char*, const char*> rows[] = {
        {"", "It is empty."},
        {R"({"command": "x")", "It is incomplete."},
        {"make all", "It is not a JSON object (line 1, column 1)."},
        {"{}", "`command` is missing or empty."},
        {R"({"command": ""})", "`command` is missing or empty."},
        {R"({"command": null})", "`command` is missing or empty."},
        {R"({"command": ["x"]})", "`command` is not a string."},
        {R"({"command": "a\u0000b"})", "`command` contains a NUL character."},
        {"{\"command\": \"\xFF\"}", "It contains text that is not UTF-8."},
        {R"({"command": "\ud800"})", "It contains text that is not UTF-8."},
        {R"({"command": "x", "correlation": []})", "`correlation` is not an object."},
        {R"({"command": "x", "correlation": {"step_id": 1}})",
         "`correlation.step_id` is not a string."},
        {R"({"command": "x", "correlation": {"expected_artifacts": "a"}})",
         "`correlation.expected_artifacts` is not a list of strings."},
        {R"({"command": "x", "argv": "x"})", "`argv` is not a list of strings."},
        {R"({"command": "x", "argv": ["x", 1]})", "`argv` is not a list of strings only."},
        {R"({"command": "x", "argv": [""]})", "`argv` has no program."},
        {R"({"command": "x", "argv": ["x", "\u0000"]})", "`argv` contains a NUL character."},
        {R"({"command": "x", "attempt_id": 1})", "`attempt_id` is not a string."},
        {R"({"command": "x", "attempt": 0})", "`attempt` is not a whole number in its range."},
        {R"({"command": "x", "deadline_seconds": 0})", "`deadline_seconds` must be positive."},
        {R"({"command": "x", "deadline_seconds": "9"})", "`deadline_seconds` is not a number."},
        {R"({"command": "x", "deadline_seconds": 1e999})",
         "`deadline_seconds` is too large for a double and is ignored (line 1, column 38)."},
        {R"({"command": "x", "protocol": "2.0"})",
         "Its protocol version is newer than this program."},
        {R"({"command": "x", "protocol": 1.1})", "`protocol` is not a string."}};
    for (const auto& [text, sentence] : rows) CHECK(refusal(text) == sentence);
    CHECK(refusal(R"({"command": "x", "command": "y"})").starts_with("A key occurs twice"));
}

TEST_CASE("the session that a retry may continue is written and read")
{
    CommandFile file;
    file.command = "build";
    file.session = "01a2298c-6719";
    file.failure = "busy";
    const auto again = read(format_command(file));
    CHECK(again.session == file.session);
    CHECK(again.failure == "busy");
    CHECK(refusal(R"({"command":"x","resume":{"session":"--yolo"}})") ==
          "`resume.session` is not the id of a session.");
    CHECK(format_command(CommandFile{}).find("resume") == std::string::npos);
}

TEST_CASE("a command file with variables or a folder that cannot be is refused")
{
    CHECK(refusal(R"({"command":"x","env":{"1A":"x"}})") == "`env` has an invalid name.");
    CHECK(refusal(R"({"command":"x","env":{"":"x"}})") == "`env` has an invalid name.");
    CHECK(refusal(R"({"command":"x","env":{"A":1}})") == "`env.A` is not a string.");
    CHECK(refusal(R"({"command":"x","env":["A"]})") == "`env` is not an object.");
    CHECK(refusal(R"({"command":"x","env":{"A":"\u0000"}})") == "`env` contains a NUL character.");
    for (const auto* const folder : {"../x", "/x", "a/../../x"})
        CHECK(refusal(R"({"command":"x","working_directory":")" + std::string(folder) + "\"}") ==
              "`working_directory` is not a folder within the worktree.");
    CHECK(format_command(CommandFile{}).find("env") == std::string::npos);
}

TEST_CASE("a command file with a model that a program could misunderstand is refused")
{
    for (const auto& name : {std::string("--yolo"), std::string("a\\nb"), std::string(201, 'x')})
        CHECK(refusal(R"({"command":"x","model":")" + name + "\"}") ==
              "`model` is not the name of a model.");
    CHECK(format_command(CommandFile{}).find("model") == std::string::npos);
}

TEST_CASE("the budget of an attempt is written and read")
{
    CommandFile file;
    file.command = "build";
    file.max_cost = 0.25;
    file.max_tokens = 1000;
    const auto again = read(format_command(file));
    CHECK(again.max_cost == 0.25);
    CHECK(again.max_tokens == 1000);
    CHECK(format_command(CommandFile{}).find("budget") == std::string::npos);
    CHECK(refusal(R"({"command":"x","budget":{"max_cost_usd":0}})") ==
          "`budget.max_cost_usd` must be positive.");
    CHECK(refusal(R"({"command":"x","budget":{"max_tokens":0}})") ==
          "`budget.max_tokens` is not a whole number in its range.");
}

TEST_CASE("a command file of 1 MiB is read and a larger one is not")
{
    const std::string frame = R"({"command": ""})";
    auto text = R"({"command": ")" + std::string(command_file_limit - frame.size(), 'x') + "\"}";
    CHECK(read(text).command.size() == command_file_limit - frame.size());
    CHECK(refusal(text + " ") == "It is larger than 1048576 bytes.");
}

TEST_CASE("the metadata file has the original's keys, and shows whether something was redacted")
{
    auto file = full_file();
    const auto metadata = boost::json::parse(format_metadata(file, "make ***REDACTED***"));
    CHECK(metadata == boost::json::parse(R"({
        "version": "1.0", "type": "skill_command", "command": "make ***REDACTED***",
        "correlation": {"workflow_id": "w", "step_id": "s",
            "created_at": "2026-01-20T21:00:36+00:00", "expected_artifacts": ["a.md", "b/"]},
        "workflow_context": {"workflow_id": "w", "step_id": "s",
            "expected_artifacts": ["a.md", "b/"]},
        "interaction_pattern": {"mode": "async",
            "completion_detection": "status_file_and_artifacts", "progress_updates": true,
            "error_handling": "retry_with_backoff"},
        "metadata": {}, "timestamp": "2026-01-20T21:00:36+00:00", "redaction_applied": true})"));
    CHECK(format_metadata(file, "make ***REDACTED***").starts_with("{\n  \"version\": \"1.0\""));
    CHECK(format_metadata(file, file.command).find("redaction_applied") == std::string::npos);
}

TEST_CASE("a cancel file is read back, and one that names no attempt is none")
{
    CancelFile file;
    file.execution_id = "e";
    file.attempt_id = "a";
    file.reason = "timeout";
    file.requested_at = text::parse_iso("2026-01-20T21:00:36+00:00");
    const auto again = parse_cancel(format_cancel(file));
    REQUIRE(again);
    CHECK(again->execution_id == "e");
    CHECK(again->attempt_id == "a");
    CHECK(again->reason == "timeout");
    CHECK(again->requested_at == file.requested_at);
    CHECK(parse_cancel(R"({"attempt_id": "a"})")->reason == "cancelled");
    for (const char* text : {"", "{", "[]", "{}", R"({"attempt_id": 1})", R"({"attempt_id": ""})",
                             R"({"attempt_id": "a", "reason": 5})", "{\"attempt_id\": \"\xFF\"}"}) {
        CAPTURE(text);
        CHECK_FALSE(parse_cancel(text));
    }
}

TEST_CASE("a program in braces is a program, with one word and with several")
{
    const CommandRequest one({"true"}, "tree");
    CHECK(one.argv == Strings{"true"});
    CHECK(one.command == "true");
    const std::string file = "a file with a long name, which is not kept within the string";
    const CommandRequest two({"cat", file}, "tree");
    CHECK(two.argv == Strings{"cat", file});
    CHECK(CommandRequest("true", "tree").argv.empty());
}

TEST_CASE("a program with arguments becomes a command that people can read")
{
    const CommandRequest request(Strings{"cp", "a b", "-x", "it's"}, "tree");
    CHECK(request.command == R"(cp 'a b' -x 'it'\''s')");
    CHECK(request.argv == Strings{"cp", "a b", "-x", "it's"});
    CHECK(request.worktree == "tree");
}

TEST_CASE("a result begins with the keys of the original")
{
    ExecutionResult result;
    result.status = ExecutionStatus::timeout;
    result.command = "make";
    result.worktree = "/tree";
    result.artifacts = {"a"};
    result.error = CommandError{"too slow", "timeout", {}, 0};
    result.duration = std::chrono::milliseconds{1500};
    result.queued = std::chrono::milliseconds{250};
    result.completion_method = CompletionMethod::status_file;
    result.verified = Verification::partial;
    result.reported = ReportedStatus::running;
    result.exit_code = 3;
    const auto object = to_json(result);
    Strings keys;
    for (const auto& member : object) keys.emplace_back(member.key());
    keys.resize(6);
    CHECK(keys ==
          Strings{"status", "command", "worktree", "artifacts", "error", "duration_seconds"});
    CHECK(object.at("status") == "timeout");
    CHECK(object.at("error") == "too slow");
    CHECK(object.at("error_code") == "timeout");
    CHECK(object.at("duration_seconds") == 1.5);
    CHECK(object.at("queued_seconds") == 0.25);
    CHECK(object.at("completion_method") == "status_file");
    CHECK(object.at("verified") == "partial");
    CHECK(object.at("reported") == "running");
    CHECK(object.at("exit_code") == 3);
    CHECK(object.at("signal").is_null());
    CHECK(object.at("progress").is_null());
    CHECK(to_json(ExecutionResult{}).at("error").is_null());
}
