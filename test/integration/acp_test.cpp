#include "support/agent_fixture.hpp"
#include "support/text.hpp"

#include <doctest/doctest.h>

#include <string>
#include <string_view>

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
    permissions: [{kind: edit, path: "docs/**", allow: true}]
)");
    }

    // Until its turn has begun.
    void begin()
    {
        hand_over();
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
