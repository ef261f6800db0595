#include "acp/client.hpp"
#include "support/temporary_folder.hpp"
#include "support/text.hpp"

#include <doctest/doctest.h>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>

#include <filesystem>
#include <map>
#include <string>
#include <string_view>
#include <vector>

using namespace autoexec;
using acp::Client;
using acp::Phase;
using test::contains;
namespace fs = std::filesystem;
namespace json = boost::json;

namespace {

constexpr auto out = OutputStream::standard_output;

acp::Task task(std::vector<PermissionRule> permissions = {})
{
    return {"Fake", "Write a report into report.md.", {"/tree", "/tree"}, std::move(permissions)};
}

std::vector<json::object> messages(std::string_view text)
{
    std::vector<json::object> all;
    while (!text.empty()) {
        const auto end = text.find('\n');
        REQUIRE(end != text.npos);
        all.push_back(json::parse(text.substr(0, end)).as_object());
        text.remove_prefix(end + 1);
    }
    return all;
}

ProcessExit exited(int code)
{
    ProcessExit exit;
    exit.exit_code = code;
    return exit;
}

constexpr std::string_view once_and_always =
    R"([{"optionId":"always","kind":"allow_always"},{"optionId":"yes","kind":"allow_once"},)"
    R"({"optionId":"no","kind":"reject_once"}])";

// A client in its turn, and what it has written since.
struct Turn {
    explicit Turn(std::vector<PermissionRule> permissions = {}) : Turn(task(std::move(permissions)))
    {}
    explicit Turn(acp::Task asked) : client(std::move(asked))
    {
        say(R"({"jsonrpc":"2.0","id":1,"result":{"protocolVersion":1}})");
        say(R"({"jsonrpc":"2.0","id":2,"result":{"sessionId":"s"}})");
        REQUIRE(client.phase() == Phase::prompting);
        (void)client.take_input();
    }

    void say(std::string line)
    {
        std::erase(line, '\n');
        client.feed(out, line + "\n");
    }
    void update(std::string_view update)
    {
        say(R"({"jsonrpc":"2.0","method":"session/update","params":{"sessionId":"s","update":)" +
            std::string(update) + "}}");
    }
    void ask(std::string_view tool_call, std::string_view options = once_and_always)
    {
        std::string request =
            R"({"jsonrpc":"2.0","id":"q","method":"session/request_permission","params":{"toolCall":)";
        request.append(tool_call).append(R"(,"options":)").append(options).append("}}");
        say(request);
    }
    // The option that was chosen, or the outcome.
    std::string answer()
    {
        const auto all = messages(client.take_input());
        REQUIRE(all.size() == 1);
        CHECK(all[0].at("id") == "q");
        const auto& outcome = all[0].at("result").at("outcome").as_object();
        const auto* const option = outcome.if_contains("optionId");
        return (option != nullptr ? *option : outcome.at("outcome")).as_string().c_str();
    }
    std::string answer_to(std::string_view tool_call)
    {
        ask(tool_call);
        return answer();
    }
    programs::ProgramVerdict end(std::string_view result)
    {
        say(R"({"jsonrpc":"2.0","id":3,"result":)" + std::string(result) + "}");
        return verdict();
    }
    programs::ProgramVerdict fail(std::string_view error)
    {
        say(R"({"jsonrpc":"2.0","id":3,"error":)" + std::string(error) + "}");
        return verdict();
    }
    programs::ProgramVerdict verdict()
    {
        CHECK(client.concluded());
        return client.verdict(exited(0)).value();
    }

    Client client;
};

PermissionRule rule(std::string kind, std::string path, std::string command, bool allow)
{
    return {std::move(kind), std::move(path), std::move(command),
            allow ? Permission::allow : Permission::deny};
}

PermissionRule asking(std::string kind, std::string path, std::string command)
{
    return {std::move(kind), std::move(path), std::move(command), Permission::ask};
}

constexpr std::string_view run_make =
    R"({"toolCallId":"m","kind":"execute","title":"Run the tests","rawInput":{"command":"make test"}})";

constexpr std::string_view edit_report =
    R"({"toolCallId":"t","kind":"edit","title":"Write report.md","locations":[{"path":"/tree/report.md"}]})";

}  // namespace

TEST_CASE("a client initializes, opens a session and sends the prompt")
{
    Client client(task());
    auto sent = messages(client.take_input());
    REQUIRE(sent.size() == 1);
    CHECK(json::value(sent[0]) == json::parse(R"({"jsonrpc":"2.0","id":1,"method":"initialize",
        "params":{"protocolVersion":1,"clientCapabilities":{"_meta":{"jetbrains":{"air":
        {"version":1,"capabilities":["sessionFailure"]}}}},
        "clientInfo":{"name":"autoexec","title":"autoexec","version":"1"}}})"));
    CHECK(client.limit() == std::chrono::seconds(60));
    client.feed(out, "{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{\"protocolVersion\":1}}\n");
    sent = messages(client.take_input());
    REQUIRE(sent.size() == 1);
    CHECK(json::value(sent[0]) == json::parse(R"({"jsonrpc":"2.0","id":2,"method":"session/new",
        "params":{"cwd":"/tree","mcpServers":[]}})"));
    CHECK(client.limit() == std::chrono::seconds(90));
    client.feed(out, "{\"jsonrpc\":\"2.0\",\"id\":2,\"result\":{\"sessionId\":\"abc\"}}\n");
    sent = messages(client.take_input());
    REQUIRE(sent.size() == 1);
    CHECK(json::value(sent[0]) == json::parse(R"({"jsonrpc":"2.0","id":3,"method":"session/prompt",
        "params":{"sessionId":"abc","prompt":[{"type":"text",
        "text":"Write a report into report.md."}]}})"));
    CHECK(client.session() == "abc");
    CHECK_FALSE(client.limit());
    CHECK(client.take_input().empty());
}

namespace {

// What a client writes after each line of the program.
std::vector<json::object> exchange(Client& client, const std::vector<std::string>& lines)
{
    (void)client.take_input();
    std::string sent;
    for (const auto& line : lines) {
        client.feed(out, line + "\n");
        sent += client.take_input();
    }
    return messages(sent);
}

const std::string ready = R"({"id":1,"result":{"protocolVersion":1}})";
const std::string session_with_modes =
    R"({"id":2,"result":{"sessionId":"s","modes":{"currentModeId":"auto","availableModes":[)"
    R"({"id":"auto"},{"id":"default"}]},"models":{"currentModelId":"small","availableModels":[)"
    R"({"modelId":"small"},{"modelId":"large"}]}}})";

}  // namespace

TEST_CASE("the mode and the model of a session are set before its turn, if it has others")
{
    auto asked = task();
    SUBCASE("others")
    {
        asked.mode = "default";
        asked.model = "large";
        Client client(asked);
        const auto sent = exchange(client, {ready, session_with_modes, R"({"id":3,"result":{}})",
                                            R"({"id":4,"result":{}})"});
        REQUIRE(sent.size() == 4);
        CHECK(json::value(sent[1]) == json::parse(R"({"jsonrpc":"2.0","id":3,
            "method":"session/set_model","params":{"modelId":"large","sessionId":"s"}})"));
        CHECK(json::value(sent[2]) == json::parse(R"({"jsonrpc":"2.0","id":4,
            "method":"session/set_mode","params":{"modeId":"default","sessionId":"s"}})"));
        CHECK(sent[3].at("method") == "session/prompt");
        CHECK(client.usage().model == "large");
    }
    SUBCASE("the same")
    {
        asked.mode = "auto";
        Client client(asked);
        const auto sent = exchange(client, {ready, session_with_modes});
        REQUIRE(sent.size() == 2);
        CHECK(sent[1].at("method") == "session/prompt");
    }
    SUBCASE("as options of the session, in groups, too")
    {
        asked.mode = "plan";
        asked.model = "b";
        Client client(asked);
        const auto sent = exchange(
            client, {ready,
                     R"({"id":2,"result":{"sessionId":"s","configOptions":[{"id":"m",)"
                     R"("category":"mode","currentValue":"build","options":[{"value":"build"},)"
                     R"({"value":"plan"}]},{"id":"n","category":"model","currentValue":"a",)"
                     R"("options":[{"group":"x","options":[{"value":"a"},{"value":"b"}]}]}]}})",
                     R"({"id":3,"result":{}})", R"({"id":4,"result":{}})"});
        REQUIRE(sent.size() == 4);
        CHECK(json::value(sent[2]) == json::parse(R"({"jsonrpc":"2.0","id":4,
            "method":"session/set_config_option",
            "params":{"configId":"m","value":"plan","sessionId":"s"}})"));
        CHECK(sent[1].at("params").at("configId") == "n");
    }
}

TEST_CASE("a mode that the program does not offer ends the command, and lists those that it offers")
{
    auto asked = task();
    SUBCASE("a mode")
    {
        asked.mode = "manual";
        Client client(asked);
        CHECK(exchange(client, {ready, session_with_modes}).size() == 1);
        REQUIRE(client.concluded());
        CHECK(client.verdict(exited(0))->message ==
              "Fake offers no mode 'manual', but auto, default. Correct 'mode' of the agent in the "
              "agents file.");
    }
    SUBCASE("any mode")
    {
        asked.mode = "default";
        Client client(asked);
        exchange(client, {ready, R"({"id":2,"result":{"sessionId":"s"}})"});
        CHECK(client.verdict(exited(0))->message ==
              "Fake offers no mode 'default'. Correct 'mode' of the agent in the agents file.");
    }
    SUBCASE("a model")
    {
        asked.model = "huge";
        Client client(asked);
        exchange(client, {ready, session_with_modes});
        CHECK(client.verdict(exited(0))->code == "model_not_found");
    }
    SUBCASE("one that it then refuses")
    {
        asked.mode = "default";
        Client client(asked);
        exchange(client, {ready, session_with_modes,
                          R"({"id":3,"error":{"code":-32603,"message":"not as root"}})"});
        CHECK(contains(client.verdict(exited(0))->message, "not as root"));
    }
}

TEST_CASE("a session is continued where the program can, and what it was before is not new")
{
    auto asked = task();
    asked.session = "old";
    asked.next_prompt = "Continue.";
    Client client(asked);
    const auto opened = [&](const std::string& capabilities, const std::string& answer) {
        return exchange(client, {R"({"id":1,"result":{"protocolVersion":1,"agentCapabilities":)" +
                                     capabilities + "}}",
                                 answer});
    };
    SUBCASE("without its messages")
    {
        const auto sent = opened(R"({"loadSession":true,"sessionCapabilities":{"resume":{}}})",
                                 R"({"id":2,"result":{}})");
        REQUIRE(sent.size() == 2);
        CHECK(json::value(sent[0]) == json::parse(R"({"jsonrpc":"2.0","id":2,
            "method":"session/resume","params":{"sessionId":"old","cwd":"/tree","mcpServers":[]}})"));
        CHECK(sent[1].at("params").at("prompt").at(0).at("text") == "Continue.");
        CHECK(client.session() == "old");
    }
    SUBCASE("with its messages")
    {
        const auto update = [](std::string_view text) {
            return R"({"method":"session/update","params":{"update":)" + std::string(text) + "}}";
        };
        opened(R"({"loadSession":true})",
               update(R"({"sessionUpdate":"agent_message_chunk","content":{"text":"Hello"},)"
                      R"("_meta":{"usage":{"inputTokens":100}}})"));
        const auto sent = exchange(client, {R"({"id":2,"result":{}})"});
        REQUIRE(sent.size() == 1);
        CHECK(sent[0].at("method") == "session/prompt");
        CHECK(client.shown() == "Opening a session");
        CHECK(client.usage().empty());
    }
    SUBCASE("unless it cannot")
    {
        const auto sent = opened("{}", R"({"id":2,"result":{"sessionId":"new"}})");
        REQUIRE(sent.size() == 2);
        CHECK(sent[0].at("method") == "session/new");
        CHECK(sent[1].at("params").at("prompt").at(0).at("text") == json::value(asked.prompt));
    }
    SUBCASE("or does not know it")
    {
        opened(R"({"loadSession":true})",
               R"({"id":2,"error":{"code":-32002,"message":"Resource not found"}})");
        CHECK(client.phase() == Phase::opening);
        const auto sent = exchange(client, {R"({"id":3,"result":{"sessionId":"new"}})"});
        REQUIRE(sent.size() == 1);
        CHECK(sent[0].at("params").at("prompt").at(0).at("text") == json::value(asked.prompt));
        CHECK(client.session() == "new");
    }
    SUBCASE("but without a login, there is no session at all")
    {
        opened(R"({"loadSession":true})", R"({"id":2,"error":{"code":-32000,"message":"Log in"}})");
        CHECK(client.verdict(exited(0))->code == "auth");
    }
}

TEST_CASE("the reason of a turn's end is its outcome")
{
    const std::map<std::string, std::string> codes{
        {"end_turn", ""},
        {"refusal", "refused"},
        {"max_tokens", "agent_error"},
        {"max_turn_requests", "max_turns"},
        {"cancelled", "agent_error"},
        {"something_new", "agent_error"},
    };
    for (const auto& [reason, code] : codes) {
        CAPTURE(reason);
        const auto verdict = Turn().end(R"({"stopReason":")" + reason + R"("})");
        CHECK(verdict.code == code);
        CHECK(verdict.completed == code.empty());
    }
}

TEST_CASE("the error of a turn has a class")
{
    CHECK(Turn().fail(R"({"code":-32000,"message":"Authentication required"})").code == "auth");
    CHECK(Turn().fail(R"({"code":-32603,"message":"Internal error"})").code == "agent_error");
    const auto quota = Turn().fail(
        R"({"code":-32603,"message":"Internal error","data":{"details":"insufficient_quota"}})");
    CHECK(quota.code == "quota");
    CHECK(quota.message == "Fake ended with an error: Internal error: insufficient_quota");
    CHECK(Turn().fail(R"({"code":429,"message":"Wait."})").code == "rate_limited");
    CHECK(Turn().fail(R"({"code":-32603,"message":"try again in 20s"})").retry_after ==
          std::chrono::seconds(20));
}

TEST_CASE("an agent that needs a login, or speaks another version, ends before its turn")
{
    Client client(task());
    SUBCASE("login")
    {
        client.feed(out, "{\"id\":1,\"result\":{\"protocolVersion\":1}}\n");
        client.feed(out, "{\"id\":2,\"error\":{\"code\":-32000,\"message\":\"Log in\"}}\n");
        CHECK(client.verdict(exited(0))->code == "auth");
    }
    SUBCASE("version")
    {
        client.feed(out, "{\"id\":1,\"result\":{\"protocolVersion\":2}}\n");
        CHECK(contains(client.verdict(exited(0))->message, "version 2"));
    }
    CHECK(client.concluded());
}

TEST_CASE("a phase that lasts too long ends with a message")
{
    Client client(task());
    SUBCASE("initialize")
    {
        client.expire();
        CHECK(contains(client.verdict(exited(0))->message, "'initialize'"));
    }
    SUBCASE("session/new")
    {
        client.feed(out, "{\"id\":1,\"result\":{\"protocolVersion\":1}}\n");
        client.expire();
        CHECK(contains(client.verdict(exited(0))->message, "'session/new'"));
    }
    CHECK(client.verdict(exited(0))->code == "no_result");
}

TEST_CASE("an end of the program before that of the turn is no result")
{
    Turn turn;
    CHECK(turn.client.verdict(exited(0))->code == "no_result");
    CHECK_FALSE(turn.client.verdict(exited(3)));  // the exit code and its last words decide
}

TEST_CASE("what is no message is skipped, and lines are bounded")
{
    Turn turn;
    for (const auto* line :
         {"Welcome!", "{", "[]", "null", "{}", R"({"id":99,"result":{}})", R"({"id":3})",
          R"({"id":null,"error":{}})", R"({"method":5,"id":{}})", R"({"method":"session/update"})",
          R"({"method":"session/update","params":{"update":7}})"})
        turn.say(line);
    turn.client.feed(out, R"({"id":3,"result":{"stopReason":"end_turn","x":")");
    for (int i = 0; i < 17; ++i) turn.client.feed(out, std::string(1024 * 1024, 'x'));
    turn.say("\"}}");
    CHECK_FALSE(turn.client.concluded());
    turn.client.feed(OutputStream::standard_error, R"({"id":3,"result":{"stopReason":"x"}})"
                                                   "\n");
    CHECK(turn.client.take_input().empty());
    CHECK(contains(turn.client.verdict(exited(0))->message, "16 MiB"));
}

TEST_CASE("a client offers neither files nor terminals")
{
    Turn turn;
    turn.say(R"({"jsonrpc":"2.0","id":7,"method":"fs/write_text_file","params":{"path":"/x"}})");
    const auto sent = messages(turn.client.take_input());
    REQUIRE(sent.size() == 1);
    CHECK(sent[0].at("error").at("code") == -32601);
    CHECK(sent[0].at("id") == 7);
    turn.update(R"({"sessionUpdate":"tool_call","toolCallId":"t","title":"make","kind":"execute",
"content":[{"type":"terminal","terminalId":"t"}]})");
    CHECK(turn.end(R"({"stopReason":"end_turn"})").completed);
}

TEST_CASE("a cancelled turn is not a success, whatever the program says of it")
{
    Turn turn({rule("", "", "", true)});
    turn.client.cancel();
    turn.client.cancel();
    const auto sent = messages(turn.client.take_input());
    REQUIRE(sent.size() == 1);
    CHECK(sent[0].at("method") == "session/cancel");
    CHECK_FALSE(sent[0].contains("id"));
    CHECK(turn.client.limit() == std::chrono::seconds(10));
    CHECK(turn.answer_to(edit_report) == "cancelled");
    CHECK_FALSE(turn.client.concluded());
    SUBCASE("as Copilot")
    {
        CHECK_FALSE(turn.end(R"({"stopReason":"end_turn"})").completed);
    }
    SUBCASE("as the protocol wants")
    {
        CHECK_FALSE(turn.end(R"({"stopReason":"cancelled"})").completed);
    }
    SUBCASE("if it rejects that")
    {
        turn.say(R"({"jsonrpc":"2.0","error":{"code":-32601,"message":"Method not found"}})");
        CHECK_FALSE(turn.client.concluded());
        turn.client.expire();
        CHECK_FALSE(turn.verdict().completed);
    }
}

TEST_CASE("a client that is cancelled before the turn has ended")
{
    Client client(task());
    client.cancel();
    CHECK(client.concluded());
    CHECK_FALSE(client.verdict(exited(0))->completed);
}

TEST_CASE("a prompt during a turn starts the next turn, and the last turn decides the outcome")
{
    Turn turn;
    CHECK(turn.client.say("And a summary."));
    CHECK(turn.client.say("And a title."));
    CHECK(turn.client.take_input().empty());  // a program may hang if it gets one meanwhile
    const auto next = [&](int id, std::string_view reason) {
        turn.say(R"({"id":)" + std::to_string(id) + R"(,"result":{"stopReason":")" +
                 std::string(reason) + R"(","usage":{"inputTokens":10,"outputTokens":1}}})");
        return messages(turn.client.take_input());
    };
    auto sent = next(3, "max_tokens");
    REQUIRE(sent.size() == 1);
    CHECK(json::value(sent[0]) == json::parse(R"({"jsonrpc":"2.0","id":4,"method":"session/prompt",
        "params":{"sessionId":"s","prompt":[{"type":"text","text":"And a summary."}]}})"));
    CHECK(turn.client.phase() == Phase::prompting);
    CHECK(next(4, "end_turn").size() == 1);
    CHECK(turn.client.say("Once more."));
    SUBCASE("until none is left")
    {
        CHECK(next(5, "end_turn").size() == 1);
        CHECK(next(6, "end_turn").empty());
        CHECK(turn.verdict().completed);
        CHECK(turn.client.usage().input_tokens == 40);
        CHECK_FALSE(turn.client.say("Too late."));
    }
    SUBCASE("or the last one fails")
    {
        CHECK(next(5, "end_turn").size() == 1);
        CHECK(next(6, "refusal").empty());
        CHECK(turn.verdict().code == "refused");
    }
    SUBCASE("or the program does")
    {
        turn.say(R"({"id":5,"error":{"code":-32000,"message":"Log in"}})");
        CHECK(turn.verdict().code == "auth");
    }
    SUBCASE("or it is cancelled")
    {
        turn.client.cancel();
        CHECK_FALSE(turn.client.say("Too late."));
        CHECK(next(5, "end_turn").size() == 1);  // the cancellation
        CHECK_FALSE(turn.verdict().completed);
    }
}

TEST_CASE("a client takes a bounded number of prompts")
{
    Turn turn;
    for (int i = 0; i < 100; ++i) CHECK(turn.client.say("More."));
    CHECK_FALSE(turn.client.say("More."));
}

TEST_CASE("a failed turn of Codex is not a success")
{
    Turn turn;
    SUBCASE("as an extension")
    {
        const auto verdict = turn.end(R"({"stopReason":"end_turn","_meta":{"jetbrains":{"air":
{"sessionFailure":{"category":"limit","severity":"error","title":"Credit balance is too low"}}}}})");
        CHECK(verdict.code == "quota");
        CHECK(contains(verdict.message, "Credit balance is too low"));
    }
    SUBCASE("as text")
    {
        turn.update(R"({"sessionUpdate":"agent_message_chunk","content":{"type":"text",
"text":"stream disconnected before completion"}})");
        CHECK(turn.end(R"({"stopReason":"end_turn","usage":null})").code == "network");
    }
    SUBCASE("but a turn that speaks of errors is one")
    {
        turn.update(R"({"sessionUpdate":"agent_message_chunk","content":{"type":"text",
"text":"I found out why the stream is closed."}})");
        CHECK(turn.end(R"({"stopReason":"end_turn","usage":{"inputTokens":1}})").completed);
    }
}

TEST_CASE("a program that tries again is in trouble until it works")
{
    Turn turn;
    turn.update(R"({"sessionUpdate":"session_info_update","_meta":{"jetbrains":{"air":
{"sessionFailure":{"category":"connection","severity":"warning","title":"Reconnecting... 1/5"}}}}})");
    REQUIRE(turn.client.trouble());
    CHECK(turn.client.trouble()->code == "network");
    CHECK(turn.client.shown() == "Reconnecting... 1/5");
    turn.update(R"({"sessionUpdate":"agent_message_chunk","content":{"type":"text","text":"Hi"}})");
    CHECK_FALSE(turn.client.trouble());
}

TEST_CASE("text, tools and the plan are the progress")
{
    Turn turn;
    const auto chunk = [&](const std::string& text) {
        turn.update(R"({"sessionUpdate":"agent_message_chunk","content":{"type":"text","text":")" +
                    text + R"("}})");
    };
    chunk("I wri");
    chunk("te.\\nThen");
    CHECK(turn.client.shown() == "Then");
    turn.update(R"({"sessionUpdate":"tool_call","toolCallId":"t","title":"Write report.md"})");
    CHECK(turn.client.shown() == "Write report.md");
    turn.update(R"({"sessionUpdate":"plan","entries":[{"content":"a","status":"completed"},
{"content":"b","status":"in_progress"},{"content":"c","status":"pending"},
{"content":"d","status":"pending"}]})");
    CHECK(turn.client.percentage() == 25);
    CHECK(turn.client.shown() == "b");
}

TEST_CASE("usage is without cache, and with reasoning")
{
    Turn turn;
    turn.update(R"({"sessionUpdate":"usage_update","used":1,"size":2,
"cost":{"amount":0.5,"currency":"USD"}})");
    Usage expected;
    expected.input_tokens = 600;
    expected.output_tokens = 50;
    expected.cache_read_tokens = 400;
    expected.reasoning_tokens = 10;
    expected.cost_usd = 0.5;
    expected.cost_of_session = true;
    SUBCASE("as it is")
    {
        turn.end(R"({"stopReason":"end_turn","usage":{"totalTokens":1050,"inputTokens":600,
"cachedReadTokens":400,"outputTokens":50,"thoughtTokens":10}})");
    }
    SUBCASE("reasoning beside the output")
    {
        turn.end(R"({"stopReason":"end_turn","usage":{"totalTokens":1050,"inputTokens":600,
"cachedReadTokens":400,"outputTokens":40,"thoughtTokens":10}})");
    }
    SUBCASE("cache within the input, for each request")
    {
        for (int i = 0; i < 2; ++i)
            turn.update(R"({"sessionUpdate":"agent_message_chunk","content":{"type":"text",
"text":""},"_meta":{"usage":{"totalTokens":525,"inputTokens":500,"cachedReadTokens":200,
"outputTokens":25,"thoughtTokens":5}}})");
        turn.end(R"({"stopReason":"end_turn"})");
    }
    CHECK(turn.client.usage() == expected);
}

TEST_CASE("what no rule allows is denied, and reported")
{
    Turn turn;
    CHECK(turn.answer_to(edit_report) == "no");
    CHECK(turn.client.shown() == "Denied: Write report.md");
    CHECK(turn.client.denied() == "'Write report.md'");
    CHECK(contains(turn.client.denied_message(), "'Write report.md'"));
    SUBCASE("and may be worked around")
    {
        CHECK(turn.end(R"({"stopReason":"end_turn"})").completed);
    }
    SUBCASE("or ends the turn, as with Codex")
    {
        CHECK(turn.end(R"({"stopReason":"cancelled"})").code == "permission_needed");
    }
}

TEST_CASE("only an option for this request is chosen, and never one that allows instead of rejects")
{
    constexpr std::string_view always =
        R"([{"optionId":"a","kind":"allow_always"},{"optionId":"r","kind":"reject_always"}])";
    constexpr std::string_view allow = R"([{"optionId":"a","kind":"allow_once"}])";
    constexpr std::string_view reject =
        R"([{"optionId":"a","kind":"allow_always"},{"optionId":"r","kind":"reject_once"}])";
    Turn allowing({rule("", "", "", true)});
    CHECK(allowing.answer_to(edit_report) == "yes");
    CHECK(allowing.client.shown() == "Allowed: Write report.md");
    CHECK(allowing.client.denied().empty());
    allowing.ask(edit_report, reject);
    CHECK(allowing.answer() == "r");
    allowing.ask(edit_report, always);
    CHECK(allowing.answer() == "cancelled");
    CHECK_FALSE(allowing.client.denied().empty());
    Turn denying;
    denying.ask(edit_report, allow);
    CHECK(denying.answer() == "cancelled");
    denying.ask(edit_report, "7");
    CHECK(denying.answer() == "cancelled");
}

TEST_CASE("a request that a rule leaves to a person is held until its answer")
{
    Turn turn({asking("execute", "", "make")});
    turn.ask(run_make);
    CHECK(turn.client.take_input().empty());
    REQUIRE(turn.client.question() != nullptr);
    const auto question = *turn.client.question();
    CHECK(question.kind == QuestionKind::permission);
    CHECK(question.text == "Run the tests\nKind: execute\nCommand: make test");
    CHECK(question.options.size() == 2);
    CHECK(turn.client.shown() == "Waits for permission: Run the tests");
    SUBCASE("which allows it")
    {
        turn.client.answer_question({question.id, "allow", ""});
        CHECK(turn.answer() == "yes");
        CHECK(turn.client.denied().empty());
    }
    SUBCASE("which denies it by an option")
    {
        turn.client.answer_question({question.id, "deny", ""});
        CHECK(turn.answer() == "no");
        CHECK(turn.client.denied() == "'Run the tests'");
    }
    SUBCASE("which is none")
    {
        turn.client.answer_question({question.id, "", ""});
        CHECK(turn.answer() == "no");
    }
    CHECK(turn.client.question() == nullptr);
    turn.client.answer_question({question.id, "allow", ""});
    CHECK(turn.client.take_input().empty());
    CHECK(turn.end(R"({"stopReason":"end_turn"})").completed);
}

TEST_CASE("held requests are asked one after the other, each with its own id")
{
    Turn turn({asking("execute", "", "")});
    turn.ask(run_make);
    turn.ask(R"({"toolCallId":"u","kind":"execute","title":"Deploy","rawInput":{"command":"x"}})");
    const auto first = turn.client.question()->id;
    turn.client.answer_question({first, "deny", ""});
    CHECK(turn.answer() == "no");
    REQUIRE(turn.client.question() != nullptr);
    CHECK(turn.client.question()->id != first);
    CHECK(contains(turn.client.question()->text, "Deploy"));
    turn.client.answer_question({turn.client.question()->id, "allow", ""});
    CHECK(turn.answer() == "yes");
}

TEST_CASE("a flood of requests is denied beyond a bound")
{
    Turn turn({asking("", "", "")});
    for (int i = 0; i < 10'000; ++i) turn.ask(run_make);
    CHECK(messages(turn.client.take_input()).size() == 10'000 - 16);
}

TEST_CASE("a question shows the command and the paths, unless the title is the same")
{
    Turn turn({asking("", "", "")});
    SUBCASE("the title contains the command")
    {
        turn.ask(R"({"toolCallId":"m","title":"Never run make","rawInput":{"command":"make"}})");
        CHECK(turn.client.question()->text == "Never run make\nCommand: make");
    }
    SUBCASE("the title is the command")
    {
        turn.ask(R"({"toolCallId":"m","title":"make","rawInput":{"command":"make"}})");
        CHECK(turn.client.question()->text == "make");
    }
}

TEST_CASE("when the turn is cancelled, held requests are, too")
{
    Turn turn({asking("execute", "", "")});
    turn.ask(run_make);
    turn.client.cancel();
    const auto sent = messages(turn.client.take_input());
    REQUIRE(sent.size() == 2);
    CHECK(json::serialize(sent[0]) ==
          R"({"id":"q","result":{"outcome":{"outcome":"cancelled"}},"jsonrpc":"2.0"})");
    CHECK(sent[1].at("method") == "session/cancel");
    CHECK(turn.client.question() == nullptr);
    turn.ask(run_make);
    CHECK(turn.answer() == "cancelled");
}

TEST_CASE("a person is not asked about what could not be allowed")
{
    Turn turn({asking("", "", "")});
    SUBCASE("without an option for this request alone")
    {
        turn.ask(run_make, R"([{"optionId":"a","kind":"allow_always"},
            {"optionId":"r","kind":"reject_once"}])");
        CHECK(turn.answer() == "r");
    }
    SUBCASE("outside the worktree")
    {
        CHECK(turn.answer_to(R"({"toolCallId":"t","kind":"edit","title":"x",
            "locations":[{"path":"/etc/passwd"}]})") == "no");
    }
    CHECK(turn.client.question() == nullptr);
}

TEST_CASE("a rule that asks applies if one path or one part of the command matches")
{
    Turn turn({asking("", "src/**", ""), asking("", "", "make"), rule("", "", "", true)});
    const auto asks = [&](std::string_view call) {
        turn.ask(call);
        const bool held = turn.client.question() != nullptr;
        turn.client.answer_question({"", "", ""});
        (void)turn.client.take_input();
        return held;
    };
    CHECK(asks(R"({"toolCallId":"1","kind":"edit","locations":[{"path":"/tree/doc/a"},
        {"path":"/tree/src/a"}]})"));
    CHECK_FALSE(asks(R"({"toolCallId":"2","kind":"edit","locations":[{"path":"/tree/doc/a"}]})"));
    CHECK(asks(R"({"toolCallId":"3","kind":"execute","rawInput":{"command":"ls; make"}})"));
    CHECK_FALSE(asks(R"({"toolCallId":"4","kind":"execute","rawInput":{"command":"ls"}})"));
}

TEST_CASE("files with which a program could answer itself cannot be changed")
{
    Turn turn({rule("", "", "", true)});
    for (const auto* path : {".git/autoexec/answers/a", ".tapps-agents/running/answers/a",
                             "a/../.tapps-agents/x", ".git"}) {
        CAPTURE(path);
        CHECK(turn.answer_to(R"({"toolCallId":")" + std::string(path) +
                             R"(","kind":"edit","locations":[{"path":"/tree/)" + path +
                             R"("}]})") == "no");
    }
    for (const auto* kind : {"delete", "execute", "other", "unknown", ""}) {
        CAPTURE(kind);
        CHECK(turn.answer_to(R"({"toolCallId":"k)" + std::string(kind) + R"(","kind":")" + kind +
                             R"(","rawInput":{"path":".git/autoexec/answers/a"}})") == "no");
    }
    for (const auto* kind : {"read", "search"})
        CHECK(turn.answer_to(R"({"toolCallId":")" + std::string(kind) + R"(","kind":")" + kind +
                             R"(","locations":[{"path":"/tree/.git"}]})") == "yes");
    CHECK(turn.answer_to(
              R"({"toolCallId":"i","kind":"edit","locations":[{"path":"/tree/.gitignore"}]})") ==
          "yes");
}

TEST_CASE("the first rule that matches decides")
{
    Turn turn({rule("edit", "secret/**", "", false), rule("edit", "**", "", true),
               rule("execute", "", "make", true)});
    const auto edits = [&](const std::string& path) {
        return turn.answer_to(R"({"toolCallId":")" + path +
                              R"(","kind":"edit","locations":[{"path":")" + path + R"("}]})");
    };
    CHECK(edits("/tree/a/b.txt") == "yes");
    CHECK(edits("b.txt") == "yes");
    CHECK(edits("/tree/secret/key") == "no");
    CHECK(edits("/tree/a/../secret/key") == "no");
    CHECK(edits("/tree/../etc/passwd") == "no");
    CHECK(edits("../tree2/x") == "no");
    CHECK(edits("/treehouse/x") == "no");
    CHECK(edits("~/.ssh/config") == "no");
    CHECK(turn.answer_to(R"({"toolCallId":"1","kind":"edit"})") == "no");  // which path?
    CHECK(turn.answer_to(R"({"toolCallId":"2","kind":"edit","locations":[{"path":"/tree/a"},
{"path":"/etc/x"}]})") == "no");
    CHECK(turn.answer_to(R"({"toolCallId":"3","kind":"edit","rawInput":{"file_path":"/etc/x"},
"locations":[{"path":"/tree/a"}]})") == "no");
    CHECK(turn.answer_to(R"({"toolCallId":"4","kind":"read","locations":[{"path":"/tree/a"}]})") ==
          "no");
}

TEST_CASE("a command is allowed by its first words, if it is a single one")
{
    Turn turn({rule("execute", "", "git push", false), rule("execute", "", "make", true),
               rule("execute", "", "git ", true)});
    int number = 0;
    const auto runs = [&](const std::string& command) {
        return turn.answer_to(R"({"toolCallId":")" + std::to_string(++number) +
                              R"(","kind":"execute","rawInput":{"command":)" +
                              json::serialize(json::value(command)) + R"(,"cwd":"/tree"}})");
    };
    CHECK(runs("make") == "yes");
    CHECK(runs("make test") == "yes");
    CHECK(runs("makeshift") == "no");
    CHECK(runs("make; rm -rf /") == "no");
    CHECK(runs("make\nrm") == "no");
    CHECK(runs("make $(id)") == "no");
    CHECK(runs("make >/etc/x") == "no");
    CHECK(runs("git status") == "yes");
    CHECK(runs("git push origin") == "no");
    CHECK(runs("make && git push") == "no");
    CHECK(turn.answer_to(R"({"toolCallId":"x","kind":"execute","rawInput":
{"command":["make","test"]}})") == "yes");
    CHECK(turn.answer_to(R"({"toolCallId":"y","kind":"execute","rawInput":
{"command":"make","cwd":"/etc"}})") == "no");
    CHECK(turn.answer_to(R"({"toolCallId":"z","kind":"execute"})") == "no");
}

TEST_CASE("a command that only the title tells, as with Gemini, is judged like another")
{
    Turn turn({rule("execute", "", "mkdir", false), rule("", "", "", true)});
    const auto runs = [&](const std::string& title) {
        return turn.answer_to(R"({"toolCallId":"t)" + std::to_string(title.size()) +
                              R"(","kind":"execute","title":")" + title + R"("})");
    };
    CHECK(runs("mkdir ../forbidden") == "no");
    CHECK(runs("make test") == "yes");
    CHECK(runs("") == "no");  // it may be what is denied
    CHECK(runs("true " + std::string(2000, 'x')) == "no");
    CHECK(turn.answer_to(R"({"toolCallId":"e","kind":"edit","title":"mkdir",
"locations":[{"path":"a"}]})") == "yes");
}

TEST_CASE("the title of a request with an input is not its command")
{
    Turn turn({rule("execute", "", "make", true), rule("execute", "src", "rm", false),
               rule("execute", "src", "", true)});
    int number = 0;
    const auto runs = [&](const std::string& input) {
        return turn.answer_to(R"({"toolCallId":")" + std::to_string(++number) +
                              R"(","kind":"execute","title":"make test","rawInput":)" + input +
                              "}");
    };
    CHECK(runs(R"({"cmd":"rm -rf ."})") == "no");
    CHECK(runs(R"({"command":"","script":"rm -rf ."})") == "no");
    CHECK(runs(R"({"cmd":"true","cwd":"src"})") == "no");  // it may be what is denied
    CHECK(runs(R"({"command":"true","cwd":"src"})") == "yes");
    CHECK(runs("{}") == "no");
    CHECK(runs("null") == "yes");
    turn.update(R"({"sessionUpdate":"tool_call","toolCallId":"u","kind":"execute",
"rawInput":{"cmd":"rm -rf ."}})");
    CHECK(turn.answer_to(R"({"toolCallId":"u","title":"make test"})") == "no");
}

TEST_CASE("each decision is reported once, with its rule")
{
    auto asked = task({asking("", "src/**", ""), rule("", "docs/**", "", true)});
    std::vector<std::string> told;
    asked.on_decision = [&](const acp::ToolCall& call, bool allowed, const std::string& why) {
        told.push_back(call.paths.at(0) + (allowed ? " allowed: " : " denied: ") + why);
    };
    Turn turn(asked);
    const auto asks = [&](const std::string& path, std::string_view options = once_and_always) {
        told.clear();
        turn.ask(R"({"toolCallId":")" + path + R"(","kind":"edit","locations":[{"path":")" + path +
                     R"("}]})",
                 options);
        return told.empty() ? "" : told.front();
    };
    CHECK(asks("docs/a") == "docs/a allowed: rule 2");
    CHECK(asks("a") == "a denied: no rule");
    CHECK(asks("/etc/a") == "/etc/a denied: outside the worktree");
    CHECK(asks(".git/a") == ".git/a denied: a file of git or autoexec");
    CHECK(asks("docs/b", R"([{"optionId":"a","kind":"allow_always"}])") ==
          "docs/b denied: rule 2, but it has no option for this time only");
    CHECK(asks("src/a") == "");
    turn.client.answer_question({"1", acp::allow_option, {}});
    CHECK(told == std::vector<std::string>{"src/a allowed: rule 1, by an answer"});
    CHECK(asks("src/b") == "");
    turn.client.answer_question({"2", {}, {}});
    CHECK(told == std::vector<std::string>{"src/b denied: rule 1, without an answer"});
    CHECK(asks("src/c") == "");
    turn.client.cancel();
    CHECK(told ==
          std::vector<std::string>{"src/c denied: rule 1, but its turn is being cancelled"});
    CHECK(asks("docs/c") == "docs/c denied: its turn is being cancelled");
}

TEST_CASE("a request that is too long to be checked is denied")
{
    Turn turn({rule("", "", "", true)});
    std::string paths;
    for (int i = 0; i < 101; ++i)
        paths += (i > 0 ? "," : "") + (R"({"path":"/tree/)" + std::to_string(i) + R"("})");
    CHECK(turn.answer_to(R"({"toolCallId":"1","kind":"edit","locations":[)" + paths + "]}") ==
          "no");
    CHECK(turn.answer_to(R"({"toolCallId":"2","kind":"edit","locations":[{"path":")" +
                         std::string(5000, 'x') + R"("}]})") == "no");
    CHECK(turn.answer_to(R"({"toolCallId":"3","kind":"execute","rawInput":{"command":"make )" +
                         std::string(200'000, 'x') + R"("}})") == "no");
}

TEST_CASE("usage of absurd size is bounded")
{
    Turn turn;
    for (int i = 0; i < 20; ++i)
        turn.update(R"({"sessionUpdate":"agent_message_chunk","_meta":{"usage":{
"inputTokens":1000000000000000}}})");
    CHECK(turn.client.usage().input_tokens == std::int64_t{1} << 53);
}

TEST_CASE("a request is judged by all that was said of its tool")
{
    Turn turn({rule("edit", "docs/**", "", true)});
    turn.update(
        R"({"sessionUpdate":"tool_call","toolCallId":"t","kind":"edit","title":"Prepare"})");
    turn.update(R"({"sessionUpdate":"tool_call_update","toolCallId":"t",
"content":[{"type":"diff","path":"/tree/docs/a.md"}]})");
    CHECK(turn.answer_to(R"({"toolCallId":"t","title":"Write a.md"})") == "yes");
    turn.update(R"({"sessionUpdate":"tool_call_update","toolCallId":"t","status":"completed"})");
    CHECK(turn.answer_to(R"({"toolCallId":"t","title":"Write a.md"})") == "no");
}

TEST_CASE("recorded exchanges of programs")
{
    const std::map<std::string, std::string> code_of{{"success", ""},
                                                     {"resume", ""},
                                                     {"denied", ""},
                                                     {"cancel", "agent_error"},
                                                     {"cancel_while_asking", "agent_error"},
                                                     {"unauthorized", "auth"},
                                                     {"no_credit", "quota"},
                                                     {"overloaded", "overloaded"},
                                                     {"refusal", "refused"},
                                                     {"max_tokens", "agent_error"}};
    // What the protocol does not tell there.
    const std::map<std::string, std::string> particular{{"codex/denied", "permission_needed"},
                                                        {"codex/refusal", ""},
                                                        {"gemini/refusal", ""},
                                                        {"qwen/refusal", ""},
                                                        {"gemini/max_tokens", ""},
                                                        {"qwen/max_tokens", ""},
                                                        {"opencode/max_tokens", ""}};
    int seen = 0;
    for (const auto& file :
         fs::recursive_directory_iterator(AUTOEXEC_SOURCE_DIR "/test/agents/recordings/acp")) {
        if (file.path().extension() != ".jsonl") continue;
        ++seen;
        const std::string scenario = file.path().stem();
        const auto name = file.path().parent_path().filename().string() + "/" + scenario;
        CAPTURE(name);
        const bool denies = scenario == "denied";
        auto asked =
            task(denies ? std::vector<PermissionRule>{} : std::vector{rule("", "", "", true)});
        const auto lines = messages(test::read_file(file.path()));
        for (const auto& line : lines)
            if (const auto& message = line.at("message").as_object();
                message.contains("method") && message.at("method") == "session/set_mode")
                asked.mode = message.at("params").at("modeId").as_string().c_str();
        if (scenario == "resume") {
            asked.session = "00000000-0000-4000-8000-000000000001";
            if (name.starts_with("opencode")) asked.session = "ses_00000000000000000000000001";
            asked.next_prompt = asked.prompt;
        }
        Client client(asked);
        std::map<std::int64_t, std::int64_t>
            ids;  // recorded → ours; without that of a mode that is set already
        std::vector<json::object> sent;
        for (const auto& line : lines) {
            for (auto& message : messages(client.take_input())) sent.push_back(std::move(message));
            auto message = line.at("message").as_object();
            const auto* const method = message.if_contains("method");
            if (line.at("to") == "agent") {
                if (method != nullptr && *method == "session/set_mode" &&
                    (sent.empty() || sent.front()["method"] != *method))
                    continue;
                if (method != nullptr && *method == "session/cancel") client.cancel();
                if (client.phase() == Phase::cancelling) continue;  // in another order
                REQUIRE_MESSAGE(!sent.empty(), json::serialize(message));
                if (method != nullptr) {
                    ids[message["id"].as_int64()] = sent.front()["id"].as_int64();
                    message["id"] = sent.front()["id"];
                }
                if (message.contains("result") || method != nullptr) CHECK(message == sent.front());
                sent.erase(sent.begin());
                continue;
            }
            if (method == nullptr) {
                const auto id = ids.find(message.at("id").as_int64());
                if (id == ids.end()) continue;
                message["id"] = id->second;
            } else if (*method == "session/request_permission" &&
                       scenario == "cancel_while_asking") {
                client.cancel();
            }
            client.feed(out, json::serialize(message) + "\n");
        }
        CHECK(client.concluded());
        const auto special = particular.find(name);
        CHECK(client.verdict(exited(0))->code ==
              (special != particular.end() ? special->second : code_of.at(scenario)));
        CHECK(client.denied().empty() == !denies);
        CHECK_FALSE(client.session().empty());
        if (scenario == "success") CHECK(client.usage().input_tokens.value_or(0) > 0);
    }
    CHECK(seen >= 44);
}
