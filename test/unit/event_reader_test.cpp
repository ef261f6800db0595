#include "programs/event_reader.hpp"
#include "programs/known_programs.hpp"

#include <doctest/doctest.h>

#include <random>
#include <string>
#include <vector>

using namespace autoexec;
using programs::EventReader;
using programs::ProgramVerdict;

namespace {

constexpr auto out = OutputStream::standard_output;
constexpr auto err = OutputStream::standard_error;

const std::string claude_success =
    R"({"type":"result","subtype":"success","is_error":false,"result":"Done.",)"
    R"("terminal_reason":"completed","permission_denials":[]})"
    "\n";
const std::string claude_error =
    R"({"type":"result","subtype":"success","is_error":true,"result":"Invalid API key"})"
    "\n";

ProcessExit exited(int code)
{
    ProcessExit exit;
    exit.exit_code = code;
    return exit;
}

ProcessExit died(int signal)
{
    ProcessExit exit;
    exit.signal = signal;
    return exit;
}

const OutputRules& rules(std::string_view name)
{
    const auto* const found = programs::find_output_rules(name);
    REQUIRE(found != nullptr);
    return *found;
}

std::optional<ProgramVerdict> verdict_of(std::string_view rule, std::string_view text,
                                         const ProcessExit& exit = exited(0))
{
    EventReader parser(rules(rule));
    parser.feed(out, text);
    return parser.verdict(exit);
}

ProgramVerdict claude(std::string_view text, const ProcessExit& exit = exited(0))
{
    return verdict_of("claude", text, exit).value();
}

ProgramVerdict codex(std::string_view text, const ProcessExit& exit = exited(0))
{
    return verdict_of("codex", text, exit).value();
}

bool contains(std::string_view text, std::string_view part)
{
    return text.find(part) != text.npos;
}

}  // namespace

TEST_CASE("the rule exit_code reads no output")
{
    CHECK_FALSE(verdict_of("exit_code", claude_error));
    EventReader parser(rules("exit_code"));
    parser.feed(out, claude_success);
    CHECK_FALSE(parser.concluded());
}

TEST_CASE("each rule has a name, by which it is found")
{
    for (const auto name : programs::output_rule_names()) CHECK(rules(name).name == name);
    CHECK(programs::find_output_rules("Claude") == nullptr);
}

TEST_CASE("Claude's own report counts, not its exit code or a signal")
{
    CHECK(claude(claude_success).completed);
    CHECK(claude(claude_success, exited(1)).completed);
    CHECK(claude(claude_success, died(15)).completed);
    const auto failed = claude(claude_error, exited(0));
    CHECK_FALSE(failed.completed);
    CHECK(failed.code == "auth");
    CHECK(failed.message == "Claude ended with an error: Invalid API key");
}

TEST_CASE("the subtype success does not hide why Claude stopped")
{
    const auto failed = claude(
        R"({"type":"result","subtype":"success","is_error":false,"terminal_reason":"max_turns"})");
    CHECK(failed.code == "max_turns");
    CHECK(contains(failed.message, "max_turns"));
    // Older ones say none, and a subtype alone proves nothing.
    CHECK(claude(R"({"type":"result","subtype":"error_max_turns","is_error":false})").completed);
}

TEST_CASE("of an error without a text, Claude's list of errors gives the words")
{
    const auto failed =
        claude(R"({"type":"result","is_error":true,"errors":[7,"No conversation found","other"]})");
    CHECK(contains(failed.message, "No conversation found"));
}

TEST_CASE("of several results the last one counts")
{
    CHECK_FALSE(claude(claude_success + claude_error).completed);
    CHECK(claude(claude_error + claude_success).completed);
}

TEST_CASE("exit code 0 without a result is a failure that names what is missing")
{
    for (const auto* text : {"", "I fixed it all.\n", R"({"type":"assistant"})"}) {
        const auto failed = claude(text);
        CHECK(failed.code == "no_result");
        CHECK(contains(failed.message, "--output-format stream-json"));
    }
    CHECK(contains(codex("").message, "--json"));
}

TEST_CASE("an exit with another code and without a result is judged by that code")
{
    CHECK_FALSE(verdict_of("claude", "", exited(1)));
    CHECK_FALSE(verdict_of("codex", "garbage", died(9)));
}

TEST_CASE("a tool that Claude was not allowed to use is reported beside the success")
{
    EventReader reader(rules("claude"));
    reader.feed(out, R"({"type":"result","is_error":false,"permission_denials":[)"
                     R"({"tool_name":"Bash","tool_input":{"command":"make test"}}]})"
                     "\n");
    CHECK(reader.verdict(exited(0)).value().completed);
    CHECK(reader.denied() == "Bash: make test");
    const auto message = reader.denied_message();
    CHECK(contains(message, "Claude needed permission for Bash: make test"));
    CHECK(contains(message, "--allowedTools"));

    EventReader other(rules("claude"));
    other.feed(out, R"({"type":"result","is_error":false,"permission_denials":[7]})");
    CHECK(other.verdict(exited(0)).value().completed);
    CHECK(other.denied() == "a tool");

    const auto asked = claude(
        R"({"type":"result","is_error":false,"permission_denials":[{"tool_name":"AskUserQuestion"}]})");
    CHECK(asked.code == "question_asked");
    // Its own error says more.
    CHECK(claude(R"({"type":"result","is_error":true,"permission_denials":[{}]})").code ==
          "agent_error");
}

TEST_CASE("a permission prompt ends the command, unless Claude continues by itself")
{
    EventReader parser(rules("claude"));
    parser.feed(out, R"({"type":"control_request","request":{"subtype":"initialize"}})"
                     "\n");
    CHECK_FALSE(parser.concluded());
    parser.feed(
        out,
        R"({"type":"control_request","request":{"subtype":"can_use_tool","tool_name":"Write"}})"
        "\n");
    CHECK(parser.concluded());
    auto verdict = parser.verdict(died(15));
    REQUIRE(verdict);
    CHECK(verdict->code == "permission_needed");
    CHECK(contains(verdict->message, "Write"));

    parser.feed(out, R"({"type":"assistant"})"
                     "\n");
    CHECK_FALSE(parser.concluded());
    parser.feed(out, claude_success);
    CHECK(parser.verdict(exited(0)).value().completed);
}

TEST_CASE("a result concludes; work after it takes that back, chatter does not")
{
    EventReader parser(rules("claude"));
    parser.feed(out, claude_success);
    CHECK(parser.concluded());
    parser.feed(out, R"({"type":"system","subtype":"hook_response"})"
                     "\n");
    CHECK(parser.concluded());
    parser.feed(out, R"({"type":"user"})"
                     "\n");
    CHECK_FALSE(parser.concluded());
}

TEST_CASE("the last end of a turn tells how Codex ended")
{
    const std::string started = R"({"type":"turn.started"})"
                                "\n";
    const std::string completed = R"({"type":"turn.completed","usage":{"input_tokens":7}})"
                                  "\n";
    const std::string failed = R"({"type":"turn.failed","error":{"message":"stream disconnected"}})"
                               "\n";
    const std::string declined = R"({"type":"item.completed","item":{"type":"command_execution",)"
                                 R"("command":"git push","status":"declined"}})"
                                 "\n";
    CHECK(codex(started + completed).completed);
    CHECK(codex(started + failed + started + completed, exited(1)).completed);
    const auto lost = codex(started + completed + started + failed);
    CHECK(lost.code == "network");
    CHECK(contains(lost.message, "stream disconnected"));
    CHECK(codex(R"({"type":"turn.failed"})").code == "agent_error");

    // An error on the way, as of a connection that is tried again, is no end.
    CHECK(codex(started + R"({"type":"error","message":"Reconnecting... 1/5"})" + "\n" + completed)
              .completed);
    CHECK(codex(started + R"({"type":"error","message":"no"})").code == "no_result");

    EventReader refused(rules("codex"));
    refused.feed(out, started + declined + completed);
    CHECK(refused.verdict(exited(0)).value().completed);
    CHECK(refused.denied() == "'git push'");

    EventReader parser(rules("codex"));
    parser.feed(out, completed);
    CHECK(parser.concluded());
    parser.feed(out, started);
    CHECK_FALSE(parser.concluded());
}

TEST_CASE("a question of Codex concludes, in the older form, too")
{
    for (const auto* text : {R"({"type":"exec_approval_request"})",
                             R"({"id":"1","msg":{"type":"apply_patch_approval_request"}})"}) {
        EventReader parser(rules("codex"));
        parser.feed(out, std::string(text) + "\n");
        CHECK(parser.concluded());
        CHECK(parser.verdict(died(15)).value().code == "permission_needed");
    }
    CHECK(codex(R"({"type":"request_user_input"})").code == "question_asked");
}

TEST_CASE("events are found however the output is cut into chunks")
{
    const std::string text = "noise\r\n{\"type\":\"assistant\"}\r\n" + claude_success;
    for (std::size_t size = 1; size < text.size(); ++size) {
        EventReader parser(rules("claude"));
        for (std::size_t at = 0; at < text.size(); at += size)
            parser.feed(out, std::string_view(text).substr(at, size));
        CHECK(parser.concluded());
        CHECK(parser.verdict(exited(0)).value().completed);
    }
}

TEST_CASE("a result that was cut off counts for nothing, wherever it was cut")
{
    const std::string whole = claude_success.substr(0, claude_success.size() - 1);
    for (std::size_t size = 0; size < whole.size(); ++size)
        CHECK(claude(whole.substr(0, size)).code == "no_result");
    CHECK(claude(whole).completed);  // only the newline is missing
}

TEST_CASE("what is no event of Claude's own is passed over")
{
    for (const auto* text :
         {R"({"type":"result"})", R"({"type":"result","is_error":"false"})", R"(["result"])",
          R"({"type":"result","is_error":false} trailing)", "\xff\xfe{\x00", "null", "{}",
          R"({"type":["result"],"is_error":false})",
          R"({"type":"result","type":"result","is_error":false})"})
        CHECK(claude(std::string(text) + "\n").code == "no_result");

    EventReader parser(rules("claude"));
    parser.feed(err, claude_success);
    CHECK_FALSE(parser.concluded());
    CHECK(parser.verdict(exited(0)).value().code == "no_result");
}

TEST_CASE("a result on the same line as other output is none")
{
    CHECK(claude("progress 100 % " + claude_success).code == "no_result");
}

TEST_CASE("a line that is too long is passed over as a whole, and its absence is explained")
{
    EventReader parser(rules("claude"));
    const std::string chunk(1024 * 1024, 'x');
    parser.feed(out, R"({"type":"result","is_error":true,"result":")");
    for (int i = 0; i < 40; ++i) parser.feed(out, chunk);
    parser.feed(out, "\"}\n");
    CHECK_FALSE(parser.concluded());
    CHECK(contains(parser.verdict(exited(0)).value().message, "16 MiB"));
    parser.feed(out, claude_success);  // the line after it is read again
    CHECK(parser.concluded());
}

TEST_CASE("any bytes end in a verdict")
{
    std::minstd_rand random(7);
    const std::vector<std::string> pieces = {
        "{",     "}",        "\"type\":", "\"result\"", "\"is_error\":",
        "true",  ",",        "[",         "]",          "\n",
        "\\",    "\xC3",     "\"",        "\"msg\":",   "turn.started",
        "1e999", "\"item\":"};
    for (int round = 0; round < 2000; ++round) {
        EventReader parser(rules(round % 2 == 0 ? "claude" : "codex"));
        for (int i = 0; i < 60; ++i) parser.feed(out, pieces[random() % pieces.size()]);
        CHECK(parser.verdict(exited(0)));
    }
}

namespace {

struct Case {
    std::string_view rule;
    std::string_view output;
    int exit_code;
    std::string_view code;  ///< Empty: completed.
    std::string_view words;
};

}  // namespace

TEST_CASE("each program's own words give the class of its failure")
{
    const std::vector<Case> cases{
        {"claude",
         R"({"type":"result","subtype":"success","is_error":true,"api_error_status":401,)"
         R"("result":"Failed to authenticate. API Error: 401 invalid x-api-key"})",
         1, "auth", "Failed to authenticate"},
        {"claude",
         R"({"type":"result","is_error":true,"result":"Not logged in · Please run /login"})", 1,
         "auth", "Not logged in"},
        {"claude",
         R"({"type":"result","is_error":true,"api_error_status":400,"result":"Credit balance is too low"})",
         1, "quota", "Credit balance"},
        {"claude",
         R"({"type":"result","is_error":true,"api_error_status":null,"result":"API Error: 529 Overloaded"})",
         1, "overloaded", "529"},
        {"claude",
         R"({"type":"result","is_error":true,"api_error_status":429,"result":"API Error: Request rejected 429"})",
         1, "rate_limited", "429"},
        {"claude", R"({"type":"result","is_error":true,"stop_reason":"refusal","result":"No."})", 1,
         "refused", "No."},
        {"claude",
         R"({"type":"result","is_error":true,"subtype":"error_max_budget_usd","errors":["Reached $1"]})",
         1, "budget", "Reached $1"},
        {"claude",
         R"({"type":"result","is_error":true,"terminal_reason":"prompt_too_long","result":"Prompt is too long"})",
         1, "context", "too long"},
        {"codex",
         R"({"type":"turn.failed","error":{"message":"{\"error\":{\"message\":\"Quota exceeded.\"}}"}})",
         1, "quota", "error: Quota exceeded."},
        {"codex",
         R"({"type":"turn.failed","error":{"message":"unexpected status 401 Unauthorized"}})", 1,
         "auth", "401"},
        // Exit codes of these two prove nothing.
        {"gemini", R"({"type":"result","status":"error","error":{"message":"empty stream"}})", 0,
         "agent_error", "empty stream"},
        {"gemini", R"({"type":"result","status":"success"})", 0, "", ""},
        {"qwen", R"({"type":"result","is_error":false,"result":"[API Error: 401 invalid key]"})", 0,
         "auth", "401 invalid key"},
        {"qwen",
         R"({"type":"result","is_error":false,"result":"I wrote a\n[API Error: Connection error.]"})",
         0, "network", "Connection error"},
        {"qwen", R"({"type":"result","is_error":false,"result":"See [API Error: 1] in the docs."})",
         0, "", ""},
        {"opencode", R"({"type":"step_finish","part":{"reason":"stop"}})", 0, "", ""},
        {"opencode", R"({"type":"step_finish","part":{"reason":"length"}})", 0, "agent_error",
         "limit of tokens"},
        {"opencode",
         R"({"type":"error","error":{"name":"APIError","data":{"message":"Overloaded","statusCode":503}}})",
         1, "overloaded", "Overloaded"},
        {"opencode", R"({"type":"error","error":{"name":"ContextOverflowError","data":{}}})", 1,
         "context", "ContextOverflowError"},
    };
    for (const auto& [rule, output, exit_code, code, words] : cases) {
        CAPTURE(output);
        const auto verdict = verdict_of(rule, output, exited(exit_code)).value();
        CHECK(verdict.code == code);
        CHECK(verdict.completed == code.empty());
        CHECK(contains(verdict.message, words));
        CHECK_FALSE(contains(verdict.message, "{"));
    }
}

TEST_CASE("what a program retries is the known cause, until it succeeds")
{
    EventReader reader(rules("claude"));
    const std::string retry =
        R"({"type":"system","subtype":"api_retry","attempt":1,"max_retries":10,)"
        R"("error_status":401,"error":"authentication_failed"})"
        "\n";
    reader.feed(out, retry);
    REQUIRE(reader.trouble());
    CHECK(reader.trouble()->code == "auth");
    CHECK(reader.trouble()->message == "401 authentication_failed");
    CHECK(reader.shown() == "API retry 1 of 10: authentication_failed");
    CHECK_FALSE(reader.hopeless());
    reader.feed(out, retry);
    CHECK(reader.hopeless());
    reader.feed(out, R"({"type":"assistant"})"
                     "\n");
    CHECK_FALSE(reader.trouble());
    CHECK_FALSE(reader.hopeless());
}

TEST_CASE("an overloaded provider is worth any number of retries")
{
    EventReader reader(rules("codex"));
    for (int i = 0; i < 5; ++i)
        reader.feed(out,
                    R"({"type":"error","message":"Reconnecting... 1/5: 503 Service Unavailable"})"
                    "\n");
    CHECK(reader.trouble().value().code == "overloaded");
    CHECK_FALSE(reader.hopeless());
}

TEST_CASE("a program is not stopped while its own background tasks run")
{
    EventReader reader(rules("claude"));
    reader.feed(out, R"({"type":"system","subtype":"task_started"})"
                     "\n" +
                         claude_success);
    CHECK_FALSE(reader.concluded());
    reader.feed(out, R"({"type":"system","subtype":"task_notification"})"
                     "\n");
    CHECK(reader.concluded());
}

TEST_CASE("the end of a task that the program did not start hides none of its own")
{
    EventReader reader(rules("claude"));
    reader.feed(out, R"({"type":"system","subtype":"task_notification"})"
                     "\n"
                     R"({"type":"system","subtype":"task_started"})"
                     "\n" +
                         claude_success);
    CHECK_FALSE(reader.concluded());
}

TEST_CASE("a number in a condition is compared by its value")
{
    OutputRules own;
    auto& rule = own.events.emplace_back();
    rule.when = {{"/n", EventCondition::Kind::literal, "1.5"}};
    rule.meaning = EventMeaning::success;
    const auto succeeds = [&own](std::string_view number) {
        EventReader reader(own);
        reader.feed(out, R"({"n":)" + std::string(number) + "}\n");
        return reader.concluded();
    };
    CHECK(succeeds("1.5"));
    CHECK(succeeds("15e-1"));
    CHECK_FALSE(succeeds("1"));
    CHECK_FALSE(succeeds(R"("1.5")"));
    CHECK_FALSE(succeeds("null"));
    CHECK_FALSE(succeeds("true"));
}

TEST_CASE("a last line of standard error without a newline tells the cause, too")
{
    EventReader reader(rules("claude"));
    reader.feed(err, "Error: 401 unauthorized");
    CHECK(reader.verdict(exited(1)).value().code == "auth");
}

TEST_CASE("a flood of words is no message")
{
    EventReader reader(rules("codex"));
    reader.feed(out, R"({"type":"error","message":"401 )" + std::string(1'000'000, 'x') + "\"}\n");
    CHECK(reader.trouble().value().code == "auth");
    CHECK(reader.trouble().value().message.size() < 20'000);
}

TEST_CASE("session, model and usage are those that the program reports")
{
    EventReader claude_reader(rules("claude"));
    claude_reader.feed(
        out,
        R"({"type":"system","subtype":"init","session_id":"s-1","model":"sonnet"})"
        "\n"
        R"({"type":"result","is_error":false,"session_id":"s-1","total_cost_usd":0.25,"usage":)"
        R"({"input_tokens":10,"output_tokens":20,"cache_read_input_tokens":30,"cache_creation_input_tokens":40}})"
        "\n");
    CHECK(claude_reader.session() == "s-1");
    CHECK(claude_reader.usage() == Usage{10, 20, 30, 40, {}, 0.25, "sonnet"});

    // Its input includes what was cached, its output the reasoning.
    EventReader codex_reader(rules("codex"));
    codex_reader.feed(out,
                      R"({"type":"thread.started","thread_id":"t"})"
                      "\n"
                      R"({"type":"turn.completed","usage":{"input_tokens":100,)"
                      R"("cached_input_tokens":60,"output_tokens":9,"reasoning_output_tokens":4}})"
                      "\n");
    CHECK(codex_reader.session() == "t");
    CHECK(codex_reader.usage() == Usage{40, 9, 60, {}, 4, {}, "", {}, {}, true});

    // Each step has a part; reasoning is beside the output.
    EventReader opencode_reader(rules("opencode"));
    for (int i = 0; i < 2; ++i)
        opencode_reader.feed(
            out, R"({"type":"step_finish","part":{"reason":"stop","cost":0.5,"tokens":)"
                 R"({"input":1,"output":2,"reasoning":3,"cache":{"read":4,"write":5}}}})"
                 "\n");
    CHECK(opencode_reader.usage() == Usage{2, 10, 8, 10, 6, 1.0, ""});
}

TEST_CASE("numbers that are no counts are no usage")
{
    EventReader reader(rules("claude"));
    reader.feed(out, R"({"type":"result","is_error":false,"total_cost_usd":-1,"usage":)"
                     R"({"input_tokens":"many","output_tokens":1e300}})"
                     "\n");
    CHECK(reader.usage().empty());
}

TEST_CASE("a sum of absurd counts does not overflow")
{
    EventReader reader(rules("opencode"));
    for (int i = 0; i < 10'000; ++i)
        reader.feed(out, R"({"type":"step_finish","part":{"tokens":{"input":1e15}}})"
                         "\n");
    CHECK(reader.usage().input_tokens == std::int64_t{1} << 53);
}

TEST_CASE("a program that says on standard error that it retries in vain is hopeless")
{
    const std::string line = "Retrying in 60s: [API Error: 429 You exceeded your current quota.]\n";
    EventReader reader(rules("qwen"));
    reader.feed(err, line);
    CHECK_FALSE(reader.hopeless());
    SUBCASE("twice in a row")
    {
        reader.feed(err, "Something else.\n" + line);
        CHECK(reader.hopeless());
    }
    SUBCASE("but not if waiting may help, or it worked in between")
    {
        reader.feed(err, "Retrying in 1s: [API Error: 503 busy]\n" + line);
        reader.feed(out, "{\"type\":\"assistant\"}\n");
        reader.feed(err, line);
        CHECK_FALSE(reader.hopeless());
    }
    SUBCASE("nor if it does not say that it retries")
    {
        reader.feed(err, "A server said: 401 Unauthorized\nA server said: 401 Unauthorized\n");
        CHECK_FALSE(reader.hopeless());
    }
}

TEST_CASE("a line of a log on standard error is reduced to its sentence")
{
    EventReader reader(rules("opencode"));
    reader.feed(err, R"(timestamp=2026-11-30T07:21:31Z level=ERROR message="stream error" )"
                     R"(small=false error.error="AI_APICallError: Too many requests")"
                     "\n");
    CHECK(reader.trouble().value().code == "rate_limited");
    CHECK(reader.trouble()->message == "AI_APICallError: Too many requests");
}

TEST_CASE("what a program retries may be said on standard error only")
{
    EventReader reader(rules("qwen"));
    reader.feed(err,
                "Ripgrep not available.\nRetrying in 60s (attempt 1/10): [API Error: 429 busy]\n");
    CHECK(reader.trouble().value().code == "rate_limited");
    CHECK(reader.trouble()->retry_after == std::chrono::seconds(60));
    reader.feed(out, R"({"type":"assistant"})"
                     "\n");
    CHECK_FALSE(reader.trouble());
}

TEST_CASE("the time to wait is found in the program's words")
{
    const auto limited = codex(
        R"({"type":"turn.failed","error":{"message":"Rate limit reached. Please try again in 20s."}})",
        exited(1));
    CHECK(limited.code == "rate_limited");
    CHECK(limited.retry_after == std::chrono::seconds(20));
}

TEST_CASE("output that ends in the middle of an event is named as the cause")
{
    CHECK(contains(claude(R"({"type":"result","is_error":false,"result":"a long)").message,
                   "middle of a line"));
}
