#include "protocol/question_format.hpp"
#include "support/agent_fixture.hpp"
#include "support/executor_fixture.hpp"
#include "support/text.hpp"

#include <doctest/doctest.h>

#include <filesystem>
#include <string>
#include <string_view>
#include <utility>

using namespace autoexec;
using namespace autoexec::test;
using namespace std::chrono_literals;

namespace {

// An agent whose program speaks the Agent Client Protocol, scripted, in virtual time.
struct AcpAgent : AgentFixture {
    AcpAgent()
    {
        options.agents = agents_from(R"(
agents:
  - name: fake
    type: background
    driver: acp
    timeout_seconds: 600
    commands: [fake --acp, make test]
    permissions:
      - {kind: edit, path: "docs/**", allow: true}
      - {kind: edit, path: "asked/**", allow: ask}
)");
    }

    // Until its turn has begun.
    void begin(protocol::CommandFile command = EngineSide::command())
    {
        hand_over(std::move(command));
        begin_turn();
    }
    void begin_turn()
    {
        say(R"({"id":1,"result":{"protocolVersion":1}})");
        say(R"({"id":2,"result":{"sessionId":"abc"}})");
        REQUIRE(contains(program().input, R"("session/prompt")"));
        program().input.clear();
    }
    void say(std::string_view line) { program().print(std::string(line) + "\n"); }
    void end_turn(std::string_view reason)
    {
        say(R"({"id":3,"result":{"stopReason":")" + std::string(reason) + R"("}})");
    }
    void ask(std::string_view path)
    {
        say(R"({"id":7,"method":"session/request_permission","params":{"options":)"
            R"([{"optionId":"yes","kind":"allow_once"},{"optionId":"no","kind":"reject_once"}],)"
            R"("toolCall":{"toolCallId":"t","kind":"edit","title":"Write","locations":[{"path":")" +
            (tree / path).string() + R"("}]}}})");
    }
};

}  // namespace

TEST_SUITE_BEGIN("acp");

TEST_CASE_FIXTURE(AcpAgent, "a program gets the command by the protocol, and ends after its turn")
{
    begin();
    CHECK(program().spec.argv == std::vector<std::string>{"fake", "--acp"});
    CHECK(program().spec.interactive);
    CHECK(program().spec.input.empty());
    say(R"({"method":"session/update","params":{"update":{"sessionUpdate":"plan","entries":)"
        R"([{"content":"Do it","status":"in_progress"},{"content":"x","status":"completed"}]}}})");
    run_for(options.heartbeat_interval);
    CHECK(spy->seen.back().progress->message == "Do it");
    CHECK(spy->seen.back().progress->percentage == 50);
    CHECK_FALSE(program().input_closed);
    end_turn("end_turn");
    CHECK(program().input_closed);
    CHECK(program().stops == 0);
    exit(0);
    SUBCASE("the next command decides by its exit code")
    {
        CHECK(program().spec.argv == std::vector<std::string>{"make", "test"});
        CHECK_FALSE(program().spec.interactive);
        exit(2);
        CHECK(error().code == "exit_2");
    }
    SUBCASE("the session is reported")
    {
        exit(0);
        CHECK(final_status().status == ReportedStatus::completed);
        CHECK(final_status().session == "abc");
    }
}

TEST_CASE_FIXTURE(AcpAgent, "a program that stays after its turn is stopped, and its report counts")
{
    begin();
    end_turn("refusal");
    run_for(4900ms);
    CHECK(program().stops == 0);
    run_for(200ms);
    CHECK(program().stops > 0);
    CHECK(error().code == "refused");
}

TEST_CASE_FIXTURE(AcpAgent, "a program that does not answer is stopped, each phase at its limit")
{
    hand_over();
    SUBCASE("at first")
    {
        run_for(57s);
        CHECK_FALSE(program().input_closed);
    }
    SUBCASE("when it opens a session")
    {
        run_for(50s);
        say(R"({"id":1,"result":{"protocolVersion":1}})");
        run_for(89s);
        CHECK_FALSE(program().input_closed);
    }
    run_for(9s);
    CHECK(program().input_closed);
    CHECK(program().stops > 0);
    CHECK(error().code == "no_result");
    CHECK(contains(error().message, "within"));
}

TEST_CASE_FIXTURE(AcpAgent, "a turn is cancelled before its program is stopped")
{
    begin();
    engine.ask_to_stop();
    run_for(1s);
    CHECK(contains(program().input, R"("session/cancel")"));
    CHECK_FALSE(program().input_closed);
    CHECK(program().stops == 0);
    SUBCASE("and the program agrees")
    {
        end_turn("cancelled");
        run_for(1s);
    }
    SUBCASE("and the program calls it a success")
    {
        end_turn("end_turn");
        run_for(1s);
    }
    SUBCASE("and the program says nothing")
    {
        run_for(8s);
        CHECK(program().stops == 0);
        run_for(2s);
    }
    CHECK(program().input_closed);
    CHECK(program().stops > 0);
    CHECK(error().code == "cancelled");
}

TEST_CASE_FIXTURE(AcpAgent, "a turn that uses up its budget is cancelled, then its program stopped")
{
    constexpr std::string_view half =
        R"({"method":"session/update","params":{"update":{"sessionUpdate":"usage_update",)"
        R"("cost":{"amount":0.25,"currency":"USD"}}}})";
    constexpr std::string_view whole =
        R"({"method":"session/update","params":{"update":{"sessionUpdate":"usage_update",)"
        R"("cost":{"amount":0.5,"currency":"USD"}}}})";
    auto command = EngineSide::command("write it");
    command.max_cost = 0.5;
    begin(command);
    say(half);
    run_for(1s);
    CHECK(program().input.empty());
    say(whole);
    run_for(1s);
    CHECK(contains(program().input, R"("session/cancel")"));
    CHECK(program().stops == 0);
    SUBCASE("the program agrees")
    {
        end_turn("cancelled");
        run_for(1s);
    }
    SUBCASE("the program says nothing")
    {
        run_for(10s);
    }
    CHECK(program().stops > 0);
    CHECK(error().code == "budget");
    CHECK(error().retryable == false);
    CHECK(error().message ==
          "The command was stopped, because its budget is used up. The limit of $0.50 for this "
          "command is reached, $0.50 used.");
    CHECK(final_status().usage.value().cost_usd == 0.5);
}

TEST_CASE_FIXTURE(AcpAgent, "rules decide about permissions, and what was denied is reported")
{
    begin();
    ask("docs/a.md");
    CHECK(contains(program().input, R"("optionId":"yes")"));
    program().input.clear();
    ask("src/a.cpp");
    CHECK(contains(program().input, R"("optionId":"no")"));
    run_for(options.heartbeat_interval);
    CHECK(spy->seen.back().progress->message == "Denied: Write");
    end_turn("end_turn");
    exit(0);
    exit(0);
    CHECK(final_status().status == ReportedStatus::completed);
    REQUIRE(final_status().permission_denied);
    CHECK(contains(*final_status().permission_denied, "'permissions'"));
}

TEST_CASE_FIXTURE(AcpAgent, "what a person says is the prompt of the next turn, once")
{
    make_git_folder(tree);
    hand_over();
    CHECK(spy->seen.back().prompts_taken == 0);  // at once
    begin_turn();
    protocol::AnswerFile file{engine.published().attempt_id, {}, {}};
    file.prompts = {"one"};
    engine.answer(protocol::format_answer(file));
    run_for(250ms);
    CHECK(spy->seen.back().prompts_taken == 1);
    CHECK(program().input.empty());  // its turn has not ended
    file.prompts = {"one", "two"};
    engine.answer(protocol::format_answer(file));
    run_for(250ms);
    CHECK(spy->seen.back().prompts_taken == 2);
    end_turn("end_turn");
    CHECK(contains(program().input, "one"));
    CHECK_FALSE(contains(program().input, "two"));
    program().input.clear();
    say(R"({"id":4,"result":{"stopReason":"end_turn"}})");
    CHECK(contains(program().input, "two"));
    CHECK_FALSE(program().input_closed);
    say(R"({"id":5,"result":{"stopReason":"end_turn"}})");
    CHECK(program().input_closed);
    run_for(1s);
    CHECK(program().stops == 0);
    exit(0);
    exit(0);
    CHECK(final_status().prompts_taken == 2);
}

// A program that has asked about an edit that a rule leaves to a person, in a repository.
struct AskingProgram : AcpAgent {
    AskingProgram() { make_git_folder(tree); }
    void begin_asking()
    {
        begin();
        ask("asked/a.md");
        run_for(1ms);
        REQUIRE(spy->seen.back().waiting_for);
        question = *spy->seen.back().waiting_for;
    }
    [[nodiscard]] std::string answer(const Question& seen, std::string option) const
    {
        return protocol::format_answer({engine.published().attempt_id,
                                        {seen.id, std::move(option), {}},
                                        protocol::digest_of(seen)});
    }
    [[nodiscard]] std::filesystem::path answer_file() const
    {
        return tree / ".git/autoexec/answers" / engine.published().attempt_id;
    }
    [[nodiscard]] bool waits() { return spy->seen.back().waiting_for.has_value(); }

    Question question;
};

TEST_CASE_FIXTURE(AskingProgram, "a person's answer decides about a request that is held")
{
    begin_asking();
    CHECK(spy->seen.back().status == ReportedStatus::running);
    CHECK(question.kind == QuestionKind::permission);
    CHECK(program().input.empty());
    SUBCASE("and allows it")
    {
        engine.answer(answer(question, "allow"));
        run_for(250ms);
        CHECK(contains(program().input, R"("optionId":"yes")"));
    }
    SUBCASE("and denies it")
    {
        engine.answer(answer(question, "deny"));
        run_for(250ms);
        CHECK(contains(program().input, R"("optionId":"no")"));
    }
    CHECK_FALSE(std::filesystem::exists(answer_file()));
    CHECK_FALSE(waits());
    end_turn("end_turn");
    exit(0);
    exit(0);
    CHECK(final_status().status == ReportedStatus::completed);
}

TEST_CASE_FIXTURE(AskingProgram, "an answer that the program makes itself approves nothing")
{
    begin_asking();
    SUBCASE("by a file in its worktree")
    {
        for (const auto* folder : {"", "autoexec/answers", ".cursor", ".cursor-skill-claims",
                                   ".tapps-agents/running/answers"})
            write_file(tree / folder / engine.published().attempt_id, answer(question, "allow"));
    }
    SUBCASE("by a status that asks for something harmless under the same id")
    {
        auto forged = question;
        forged.text = "Read the README";
        engine.answer(answer(forged, "allow"));
    }
    SUBCASE("by an answer to another question")
    {
        auto other = question;
        other.id = "2";
        engine.answer(answer(other, "allow"));
    }
    SUBCASE("by an option that the question does not have")
    {
        engine.answer(answer(question, "always"));
    }
    SUBCASE("by a file that is no answer")
    {
        engine.answer(std::string(1024 * 1024, 'x'));
    }
    run_for(10s);
    CHECK(program().input.empty());
    CHECK(waits());
}

TEST_CASE_FIXTURE(AskingProgram, "an answer to the question before approves no later one")
{
    begin_asking();
    const auto first = question;
    engine.answer(answer(question, "deny"));
    run_for(250ms);
    engine.answer(answer(first, "allow"));  // too late
    program().input.clear();
    ask("asked/b.md");
    run_for(10s);
    CHECK(program().input.empty());
    CHECK(waits());
    CHECK(spy->seen.back().waiting_for->id != first.id);
}

TEST_CASE_FIXTURE(AskingProgram, "without an answer in time, permission is denied")
{
    options.input_timeout = 60s;
    begin_asking();
    run_for(59s);
    CHECK(program().input.empty());
    run_for(1500ms);
    CHECK(contains(program().input, R"("optionId":"no")"));
    CHECK_FALSE(waits());
    end_turn("end_turn");
    exit(0);
    exit(0);
    CHECK(final_status().permission_denied);
}

TEST_CASE_FIXTURE(AskingProgram, "a command that waits for an answer can be stopped, and times out")
{
    begin_asking();
    std::string code = "cancelled";
    SUBCASE("cancelled")
    {
        engine.ask_to_stop();
        run_for(1s);
    }
    SUBCASE("by its time limit")
    {
        code = "timeout";
        run_for(601s);
    }
    CHECK(contains(program().input, R"("outcome":"cancelled")"));
    CHECK(contains(program().input, R"("session/cancel")"));
    end_turn("cancelled");
    run_for(1s);
    CHECK(error().code == code);
    CHECK_FALSE(waits());
}

TEST_CASE_FIXTURE(AcpAgent, "an executor that has no protocol for answers is not waited for")
{
    options.agents.accept_legacy = true;
    start();
    auto command = EngineSide::command();
    command.attempt_id.clear();
    command.execution_id.clear();
    engine.publish_unlocked(command);
    run_for(options.scan_interval);
    say(R"({"id":1,"result":{"protocolVersion":1}})");
    say(R"({"id":2,"result":{"sessionId":"abc"}})");
    ask("asked/a.md");
    run_for(1ms);
    CHECK(contains(program().input, R"("optionId":"no")"));
    end_turn("end_turn");
    exit(0);
    exit(0);
}

TEST_CASE_FIXTURE(AcpAgent, "each decision is an event, the first 50 of an attempt")
{
    const auto sink = std::make_shared<RecordingSink>();
    options.sinks = {sink};
    begin();
    ask("docs/a.md");
    ask("src/a.cpp");
    ask("../a");
    REQUIRE(sink->count(EventType::permission_decided) == 3);
    const auto& first = sink->events[0];
    CHECK(first.attempt_id == engine.published().attempt_id);
    CHECK(first.worktree == tree);
    CHECK(boost::json::value(first.details) ==
          boost::json::object{{"decision", "allowed"},
                              {"rule", "rule 1"},
                              {"kind", "edit"},
                              {"title", "Write"},
                              {"paths", {(tree / "docs/a.md").string()}}});
    CHECK(sink->events[1].details.at("decision") == "denied");
    CHECK(sink->events[1].details.at("rule") == "no rule");
    CHECK(sink->events[2].details.at("rule") == "outside the worktree");
    for (int i = 3; i < 60; ++i) ask("docs/b.md");  // of the same tool, which was outside
    CHECK(sink->count(EventType::permission_decided) == 50);
    say(R"({"id":8,"method":"session/request_permission","params":{"options":[{"optionId":"y",)"
        R"("kind":"allow_once"}],"toolCall":{"toolCallId":"u","kind":"edit","locations":[)"
        R"({"path":"docs/c.md"}]}}})");
    end_turn("end_turn");
    exit(0);
    exit(0);
    REQUIRE(sink->count(EventType::permission_decided) == 51);
    CHECK(sink->events.back().details == boost::json::object{{"decision", "more"},
                                                             {"allowed", std::uint64_t{1}},
                                                             {"denied", std::uint64_t{10}}});
}

TEST_CASE_FIXTURE(AcpAgent, "what a program asks permission for is redacted and cut in the events")
{
    const auto sink = std::make_shared<RecordingSink>();
    options.sinks = {sink};
    begin();
    say(R"({"id":7,"method":"session/request_permission","params":{"options":[],"toolCall":)"
        R"({"toolCallId":"t","kind":"execute","title":"Run","rawInput":{"command":)"
        R"("curl )" +
        std::string("gh") + "p_" + std::string(36, 'Q') + " " + std::string(5000, 'x') +
        R"("}}}})");
    REQUIRE(sink->count(EventType::permission_decided) == 1);
    const std::string command = sink->events[0].details.at("command").as_string().c_str();
    CHECK(contains(command, "curl"));
    CHECK_FALSE(contains(command, "QQQ"));
    CHECK(command.size() < 1100);
}

TEST_CASE_FIXTURE(AcpAgent, "a retry continues the session, and says what failed")
{
    options.agents.agents.front().retry_in_session = true;
    auto command = EngineSide::command();
    command.attempt = 2;
    command.session = "old";
    command.failure = "make failed";
    hand_over(std::move(command));
    say(R"({"id":1,"result":{"protocolVersion":1,"agentCapabilities":{"loadSession":true}}})");
    CHECK(contains(program().input, R"("sessionId":"old")"));
    program().input.clear();
    say(R"({"id":2,"result":{}})");
    CHECK(contains(program().input, "This failed: make failed"));
    end_turn("end_turn");
    exit(0);
    exit(0);
    CHECK(final_status().session == "old");
}

TEST_CASE_FIXTURE(AcpAgent, "a mode that the program does not offer ends the command")
{
    options.agents.agents.front().mode = "manual";
    hand_over();
    say(R"({"id":1,"result":{"protocolVersion":1}})");
    say(R"({"id":2,"result":{"sessionId":"s"}})");
    CHECK(program().input_closed);
    exit(0);
    CHECK(contains(error().message, "offers no mode 'manual'"));
}

TEST_CASE_FIXTURE(AcpAgent, "a program that ends before its turn has no result, or its exit code")
{
    begin();
    SUBCASE("code 0")
    {
        exit(0);
        CHECK(error().code == "no_result");
    }
    SUBCASE("code 41")
    {
        program().print("log in first\n", OutputStream::standard_error);
        exit(41);
        CHECK(error().code == "exit_41");
        CHECK(contains(error().message, "log in first"));
    }
}

TEST_SUITE_END();
