#include "agent/outcome.hpp"

#include <doctest/doctest.h>

#include <random>
#include <string>
#include <vector>

using namespace autoexec;
using agent::AgentVerdict;
using agent::OutcomeParser;

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

std::optional<AgentVerdict> verdict_of(OutcomeRule rule, std::string_view text,
                                       const ProcessExit& exit = exited(0))
{
    OutcomeParser parser(rule);
    parser.feed(out, text);
    return parser.verdict(exit);
}

AgentVerdict claude(std::string_view text, const ProcessExit& exit = exited(0))
{
    return verdict_of(OutcomeRule::claude, text, exit).value();
}

AgentVerdict codex(std::string_view text, const ProcessExit& exit = exited(0))
{
    return verdict_of(OutcomeRule::codex, text, exit).value();
}

bool contains(std::string_view text, std::string_view part)
{
    return text.find(part) != text.npos;
}

}  // namespace

TEST_CASE("the rule exit_code reads no output")
{
    CHECK_FALSE(verdict_of(OutcomeRule::exit_code, claude_error));
    OutcomeParser parser(OutcomeRule::exit_code);
    parser.feed(out, claude_success);
    CHECK_FALSE(parser.concluded());
}

TEST_CASE("each rule has a name, by which it is found")
{
    for (const auto name : agent::outcome_rule_names()) {
        const auto rule = agent::outcome_rule_named(name);
        REQUIRE(rule);
        CHECK(agent::name_of(*rule) == name);
    }
    CHECK_FALSE(agent::outcome_rule_named("Claude"));
}

TEST_CASE("Claude's own report counts, not its exit code or a signal")
{
    CHECK(claude(claude_success).completed);
    CHECK(claude(claude_success, exited(1)).completed);
    CHECK(claude(claude_success, died(15)).completed);
    const auto failed = claude(claude_error, exited(0));
    CHECK_FALSE(failed.completed);
    CHECK(failed.code == "agent_error");
    CHECK(contains(failed.message, "Invalid API key"));
}

TEST_CASE("the subtype success does not hide why Claude stopped")
{
    const auto failed = claude(
        R"({"type":"result","subtype":"success","is_error":false,"terminal_reason":"max_turns"})");
    CHECK(failed.code == "agent_error");
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
    CHECK_FALSE(verdict_of(OutcomeRule::claude, "", exited(1)));
    CHECK_FALSE(verdict_of(OutcomeRule::codex, "garbage", died(9)));
}

TEST_CASE("a tool that Claude was not allowed to use makes success a failure with the way out")
{
    const auto failed =
        claude(R"({"type":"result","is_error":false,"permission_denials":[{"tool_name":"Bash"}]})");
    CHECK(failed.code == "permission_needed");
    CHECK(contains(failed.message, "Bash"));
    CHECK(contains(failed.message, "--allowedTools"));
    const auto asked = claude(
        R"({"type":"result","is_error":false,"permission_denials":[{"tool_name":"AskUserQuestion"}]})");
    CHECK(asked.code == "question_asked");
    // Its own error says more.
    CHECK(claude(R"({"type":"result","is_error":true,"permission_denials":[{}]})").code ==
          "agent_error");
    CHECK(claude(R"({"type":"result","is_error":false,"permission_denials":[7]})").code ==
          "permission_needed");
}

TEST_CASE("a permission prompt ends the command, unless Claude continues by itself")
{
    OutcomeParser parser(OutcomeRule::claude);
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
    OutcomeParser parser(OutcomeRule::claude);
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
    CHECK(lost.code == "agent_error");
    CHECK(contains(lost.message, "stream disconnected"));
    CHECK(codex(R"({"type":"turn.failed"})").code == "agent_error");

    // An error on the way, as of a connection that is tried again, is no end.
    CHECK(codex(started + R"({"type":"error","message":"Reconnecting... 1/5"})" + "\n" + completed)
              .completed);
    CHECK(codex(started + R"({"type":"error","message":"no"})").code == "no_result");

    const auto refused = codex(started + declined + completed);
    CHECK(refused.code == "permission_needed");
    CHECK(contains(refused.message, "'git push'"));
    CHECK(codex(started + declined + completed + started + completed).completed);

    OutcomeParser parser(OutcomeRule::codex);
    parser.feed(out, completed);
    CHECK(parser.concluded());
    parser.feed(out, started);
    CHECK_FALSE(parser.concluded());
}

TEST_CASE("a question of Codex concludes, in the older form, too")
{
    for (const auto* text : {R"({"type":"exec_approval_request"})",
                             R"({"id":"1","msg":{"type":"apply_patch_approval_request"}})"}) {
        OutcomeParser parser(OutcomeRule::codex);
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
        OutcomeParser parser(OutcomeRule::claude);
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

    OutcomeParser parser(OutcomeRule::claude);
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
    OutcomeParser parser(OutcomeRule::claude);
    const std::string chunk(1024 * 1024, 'x');
    parser.feed(out, R"({"type":"result","is_error":true,"result":")");
    for (int i = 0; i < 40; ++i) parser.feed(out, chunk);
    parser.feed(out, "\"}\n");
    CHECK_FALSE(parser.concluded());
    CHECK(contains(parser.verdict(exited(0)).value().message, "4 MiB"));
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
        OutcomeParser parser(round % 2 == 0 ? OutcomeRule::claude : OutcomeRule::codex);
        for (int i = 0; i < 60; ++i) parser.feed(out, pieces[random() % pieces.size()]);
        CHECK(parser.verdict(exited(0)));
    }
}
