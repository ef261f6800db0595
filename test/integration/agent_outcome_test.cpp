#include "agent/presets.hpp"
#include "programs/known_programs.hpp"
#include "support/agent_fixture.hpp"

#include <doctest/doctest.h>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>

#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

using namespace autoexec;
using namespace autoexec::test;
using namespace std::chrono_literals;
namespace fs = std::filesystem;

namespace {

bool contains(std::string_view text, std::string_view part)
{
    return text.find(part) != text.npos;
}

constexpr std::string_view claude_done = R"({"type":"result","is_error":false})"
                                         "\n";
constexpr std::string_view claude_works = R"({"type":"assistant"})"
                                          "\n";

// An agent that is judged by what it says, over scripted programs in virtual time.
struct OutcomeSource : AgentFixture {
    OutcomeSource()
    {
        options.agents = agents_from(R"(
agents:
  - {name: claude, type: background, outcome: claude, timeout_seconds: 60,
     commands: ['claude {command}']}
)");
    }
    AgentDefinition& definition() { return options.agents.agents.front(); }
};

}  // namespace

TEST_CASE_FIXTURE(OutcomeSource,
                  "what the program says of its end is the result, whatever its exit code")
{
    hand_over();
    SUBCASE("success, and exit code 1")
    {
        program().print(claude_done);
        exit(1);
        CHECK(final_status().status == ReportedStatus::completed);
        CHECK(final_status().exit_code == 1);
        CHECK_FALSE(final_status().error);
    }
    SUBCASE("an error, and exit code 0")
    {
        program().print(R"({"type":"result","is_error":true,"result":"Credit is used up"})");
        exit(0);
        CHECK(error().code == "agent_error");
        CHECK(contains(error().message, "Credit is used up"));
    }
    SUBCASE("nothing, and exit code 0")
    {
        program().print("All done!\n");
        exit(0);
        CHECK(error().code == "no_result");
    }
    SUBCASE("nothing, and exit code 3")
    {
        program().print("no such model\n", OutputStream::standard_error);
        exit(3);
        CHECK(error().code == "exit_3");
        CHECK(contains(error().message, "no such model"));
    }
}

TEST_CASE_FIXTURE(OutcomeSource,
                  "a program that goes on after its result is stopped, and the result stands")
{
    hand_over();
    run_for(7s);
    program().print(claude_done);
    run_for(4900ms);
    CHECK(program().stops == 0);
    run_for(200ms);
    CHECK(program().stops > 0);
    CHECK(final_status().status == ReportedStatus::completed);
    CHECK(final_status().outcome == "completed");
}

TEST_CASE_FIXTURE(OutcomeSource,
                  "what a program says while it is stopped changes its result no more")
{
    definition().linger = 0s;
    hand_over();
    program().deaf = true;
    program().print(claude_done);
    run_for(1s);
    CHECK(program().stops > 0);
    program().print(R"({"type":"result","is_error":true,"terminal_reason":"aborted_streaming"})"
                    "\n");
    SUBCASE("when it ends by itself")
    {
        exit(143);
    }
    SUBCASE("when it is cancelled, too late")
    {
        engine.ask_to_stop();
        run_for(1s);
        exit(143);
    }
    SUBCASE("when its time is over meanwhile")
    {
        run_for(70s);
        exit(143);
    }
    CHECK(final_status().status == ReportedStatus::completed);
}

TEST_CASE_FIXTURE(OutcomeSource, "a program that works on after a result is left to it")
{
    hand_over();
    program().print(claude_done);
    run_for(3s);
    program().print(claude_works);
    run_for(20s);
    CHECK(program().stops == 0);
    program().print(claude_done);
    run_for(3s);
    CHECK(program().stops == 0);
    exit(0);
    CHECK(final_status().status == ReportedStatus::completed);
}

TEST_CASE_FIXTURE(OutcomeSource,
                  "a result before the time-out stands, even if the program exits after it")
{
    definition().linger = 10s;
    hand_over();
    run_for(55s);
    program().print(claude_done);
    run_for(10s);
    CHECK(program().stops > 0);
    CHECK(final_status().status == ReportedStatus::completed);
}

TEST_CASE_FIXTURE(OutcomeSource, "without a result the time-out ends the program as any other")
{
    hand_over();
    program().print(claude_works);
    run_for(61s);
    CHECK(error().code == "timeout");
}

TEST_CASE_FIXTURE(OutcomeSource,
                  "a cancelled program's result does not count if the cancel came first")
{
    hand_over();
    program().deaf = true;
    engine.ask_to_stop();
    run_for(1s);
    program().print(claude_done);
    exit(0);
    CHECK(error().code == "cancelled");
}

TEST_CASE_FIXTURE(OutcomeSource,
                  "a program that asks a question is stopped, and the report has a remedy")
{
    hand_over();
    program().print(
        R"({"type":"control_request","request":{"subtype":"can_use_tool","tool_name":"Bash"}})"
        "\n");
    run_for(6s);
    CHECK(error().code == "permission_needed");
    CHECK(contains(error().message, "--allowedTools"));
}

TEST_CASE_FIXTURE(OutcomeSource, "a program that cannot succeed is stopped at its second try")
{
    const std::string retry =
        R"({"type":"system","subtype":"api_retry","error_status":401,"error":"authentication_failed"})"
        "\n";
    hand_over();
    program().print(retry);
    run_for(11s);  // until the next heartbeat
    CHECK(program().stops == 0);
    CHECK(spy->seen.back().cause.value().message == "401 authentication_failed");
    program().print(retry);
    run_for(1s);
    CHECK(program().stops > 0);
    CHECK(error().code == "auth");
    CHECK(error().message ==
          "Claude was stopped, because it tried again in vain: 401 authentication_failed");
}

TEST_CASE_FIXTURE(OutcomeSource, "tasks in the background hold a program for some time only")
{
    const std::string task = R"({"type":"system","subtype":"task_started"})"
                             "\n";
    SUBCASE("ten minutes")
    {
        definition().timeout = 1h;
        hand_over();
        program().print(task + std::string(claude_done));
        run_for(599s);
        CHECK(program().stops == 0);
        run_for(2s);
    }
    SUBCASE("but not until the time-out")
    {
        hand_over();
        program().print(task + std::string(claude_done));
        run_for(25s);
        CHECK(program().stops == 0);
        run_for(6s);
    }
    CHECK(program().stops > 0);
    exit(143);
    CHECK(final_status().status == ReportedStatus::completed);
}

TEST_CASE_FIXTURE(OutcomeSource, "a program's events are its progress, and raw JSON is none")
{
    hand_over();
    program().print(R"({"type":"system","subtype":"init"})"
                    "\n");
    run_for(11s);
    CHECK(spy->seen.back().progress.value().message.empty());
    program().print(
        R"({"type":"assistant","message":{"content":[{"type":"text","text":"I look."}]}})"
        "\n");
    run_for(11s);
    CHECK(spy->seen.back().progress.value().message == "I look.");
    program().print(claude_done);
    exit(0);
    CHECK(final_status().progress.value().message == "I look.");
}

TEST_CASE_FIXTURE(OutcomeSource, "a question that comes just before the end is in the last status")
{
    hand_over();
    program().print(
        R"({"type":"assistant","message":{"content":[{"type":"text","text":"In English?"}]}})"
        "\n");
    program().print(claude_done);
    exit(0);
    CHECK(final_status().progress.value().message == "In English?");
}

TEST_CASE_FIXTURE(OutcomeSource,
                  "a program whose output was cut has ended well if its artifacts are there")
{
    auto command = EngineSide::command("build it");
    command.expected_artifacts = {"a.txt", "b.txt"};
    bool is_done = false;
    SUBCASE("all of them")
    {
        is_done = true;
        write_file(tree / "b.txt", "");
    }
    SUBCASE("one of them") {}
    SUBCASE("none was named")
    {
        command.expected_artifacts.clear();
    }
    write_file(tree / "a.txt", "");
    hand_over(std::move(command));
    program().print(R"({"type":"assistant","message":{"content":[{"type":"te)");
    exit(0);
    if (is_done) {
        CHECK(final_status().status == ReportedStatus::completed);
    } else {
        CHECK(error().code == "no_result");
        CHECK(contains(error().message, "in the middle of a line"));
    }
}

TEST_CASE_FIXTURE(OutcomeSource, "a time-out names the last known cause")
{
    hand_over();
    program().print(
        R"({"type":"system","subtype":"api_retry","error_status":529,"error":"overloaded"})"
        "\n");
    run_for(61s);
    CHECK(error().code == "timeout");
    CHECK(final_status().cause.value().code == "overloaded");
}

TEST_CASE_FIXTURE(OutcomeSource, "usage and session are in the last status")
{
    hand_over();
    program().print(R"({"type":"result","is_error":false,"session_id":"s-1",)"
                    R"("total_cost_usd":0.5,"usage":{"input_tokens":7}})"
                    "\n");
    exit(0);
    CHECK(final_status().session == "s-1");
    CHECK(final_status().usage.value().cost_usd == 0.5);
    CHECK(final_status().usage.value().input_tokens == 7);
}

TEST_CASE_FIXTURE(OutcomeSource, "a program's input is the command, however long it is")
{
    definition().commands = {"claude", "make test"};
    definition().input = "{command}\n";
    const std::string text(300'000, 'x');
    hand_over(EngineSide::command(text));
    CHECK(program().spec.input == text + "\n");
    program().print(claude_done);
    exit(0);
    CHECK(program().spec.input.empty());
}

TEST_CASE_FIXTURE(OutcomeSource, "a retry continues the session before it, if the agent is set so")
{
    definition().commands = {"claude {resume} -p {command}"};
    definition().resume = "--resume {session}";
    auto command = EngineSide::command("write it");
    command.attempt = 2;
    command.session = "s-1";
    command.failure = "API Error: 529";
    SUBCASE("in the session")
    {
        definition().retry_in_session = true;
        hand_over(command);
        CHECK(program().spec.argv ==
              std::vector<std::string>{
                  "claude", "--resume", "s-1", "-p",
                  "This failed: API Error: 529\nContinue, so that it is done:\nwrite it"});
    }
    SUBCASE("fresh")
    {
        hand_over(command);
        CHECK(program().spec.argv == std::vector<std::string>{"claude", "-p", "write it"});
    }
    SUBCASE("without a session")
    {
        definition().retry_in_session = true;
        command.session.clear();
        hand_over(command);
        CHECK(program().spec.argv == std::vector<std::string>{"claude", "-p", "write it"});
    }
    exit(0);
}

TEST_CASE_FIXTURE(OutcomeSource,
                  "only a program that continues the session gets the failure as its prompt")
{
    definition().commands = {"claude {resume} -p", "check {command}"};
    definition().input = "{command}";
    definition().resume = "--resume {session}";
    definition().retry_in_session = true;
    auto command = EngineSide::command("write it");
    command.attempt = 2;
    command.session = "s-1";
    command.failure = "busy";
    hand_over(command);
    CHECK(program().spec.input == "This failed: busy\nContinue, so that it is done:\nwrite it");
    program().print(claude_done);
    exit(0);
    CHECK(program().spec.argv == std::vector<std::string>{"check", "write it"});
    program().print(claude_done);
    exit(0);
}

TEST_CASE_FIXTURE(OutcomeSource, "a failure that makes the prompt too long is left out")
{
    definition().commands = {"claude {resume} -p {command}"};
    definition().resume = "--resume {session}";
    definition().retry_in_session = true;
    auto command = EngineSide::command(std::string(130'000, 'x'));
    command.attempt = 2;
    command.session = "s-1";
    command.failure = std::string(10'000, 'y');
    hand_over(command);
    CHECK(program().spec.argv.at(4) == command.command);
    program().print(claude_done);
    exit(0);
}

TEST_CASE_FIXTURE(OutcomeSource, "the id of a session is chosen where the program takes one")
{
    definition().commands = {"claude {resume} -p {command}"};
    definition().resume = "--resume {session}";
    definition().new_session = "--session-id {attempt_id}";
    definition().retry_in_session = true;
    auto command = EngineSide::command("write it");
    command.attempt_id = "0199a3f2-7c1e-7000-8000-000000000001";
    SUBCASE("and known from the first event on")
    {
        hand_over(command);
        CHECK(program().spec.argv == std::vector<std::string>{"claude", "--session-id",
                                                              command.attempt_id, "-p",
                                                              "write it"});
        CHECK_FALSE(spy->seen.back().session);
        program().print(claude_works);
        run_for(11s);
        CHECK(spy->seen.back().session.value_or("") == command.attempt_id);
        program().die(9);
        run_for(1s);
        CHECK(final_status().session == command.attempt_id);
    }
    SUBCASE("and not if it has not")
    {
        hand_over(command);
        program().print("Invalid --session-id\n");
        exit(1);
        CHECK_FALSE(final_status().session);
    }
    SUBCASE("and not in a session that it continues")
    {
        command.attempt = 2;
        command.session = "s-1";
        hand_over(command);
        CHECK(program().spec.argv.at(1) == "--resume");
        program().print(
            R"({"type":"result","is_error":true,"session_id":"s-1","errors":["No conversation found with session ID: s-1"]})");
        exit(1);
        CHECK(error().code == "no_session");
        CHECK(error().retryable == true);
        CHECK_FALSE(final_status().session);
    }
}

TEST_CASE_FIXTURE(OutcomeSource, "a program with a limit of its own gets what is left")
{
    definition().commands = {"claude {budget} -p {command}"};
    definition().budget = "--max-budget-usd {max_cost}";
    auto command = EngineSide::command("write it");
    std::vector<std::string> argv{"claude", "-p", "write it"};
    SUBCASE("with a limit")
    {
        command.max_cost = 0.25;
        argv = {"claude", "--max-budget-usd", "0.250000", "-p", "write it"};
    }
    SUBCASE("without") {}
    SUBCASE("with another")
    {
        command.max_tokens = 1000;
    }
    hand_over(command);
    CHECK(program().spec.argv == argv);
    program().print(claude_done);
    exit(0);
}

TEST_CASE_FIXTURE(OutcomeSource,
                  "a program that reports its usage while it runs is stopped in time")
{
    constexpr std::string_view step = R"({"type":"step_finish","part":{"reason":"tool-calls",)"
                                      R"("tokens":{"input":400,"output":100},"cost":0.25}})"
                                      "\n";
    definition().outcome = output_rules("opencode");
    auto command = EngineSide::command("write it");
    std::string limit;
    SUBCASE("by its cost")
    {
        command.max_cost = 0.5;
        limit = "$0.50 for this command is reached, $0.50 used.";
    }
    SUBCASE("by its tokens")
    {
        command.max_tokens = 800;
        limit = "800 tokens for this command is reached, 1.0k used.";
    }
    hand_over(command);
    program().print(step);
    run_for(1s);
    CHECK(program().stops == 0);
    program().print(step);
    run_for(1s);
    CHECK(program().stops > 0);
    CHECK(error().code == "budget");
    CHECK(error().retryable == false);
    CHECK(error().message ==
          "The command was stopped, because its budget is used up. The limit of " + limit);
    CHECK(final_status().outcome == "failed");
    CHECK(final_status().usage.value().input_tokens == 800);
}

TEST_CASE_FIXTURE(OutcomeSource, "a program that ends with its budget is not stopped")
{
    definition().outcome = output_rules("opencode");
    auto command = EngineSide::command("write it");
    command.max_cost = 0.25;
    hand_over(command);
    program().print(R"({"type":"step_finish","part":{"reason":"stop","cost":0.25}})"
                    "\n");
    run_for(1s);
    CHECK(program().stops == 0);
    exit(0);
    CHECK(final_status().status == ReportedStatus::completed);
}

TEST_CASE_FIXTURE(OutcomeSource, "usage is that of all programs of a command")
{
    definition().commands = {"claude {command}", "claude --again {command}"};
    constexpr std::string_view done =
        R"({"type":"result","is_error":false,"total_cost_usd":0.25,"usage":{"input_tokens":10}})"
        "\n";
    hand_over();
    program().print(done);
    exit(0);
    program().print(done);
    exit(0);
    CHECK(final_status().usage.value().input_tokens == 20);
    CHECK(final_status().usage->cost_usd == 0.5);
    CHECK(final_status().agent == "claude");
}

TEST_CASE_FIXTURE(OutcomeSource, "an agent's report of its end is redacted")
{
    const std::string secret = std::string("gh") + "p_" + std::string(36, 'Q');
    hand_over();
    program().print(R"({"type":"result","is_error":true,"result":")" + std::string(960, 'x') + " " +
                    secret + R"("})");
    exit(0);
    CHECK(error().code == "agent_error");
    CHECK_FALSE(contains(error().message, "QQQ"));
    CHECK(error().message.size() < 1100);
    CHECK_FALSE(contains(log(), secret));
}

TEST_CASE_FIXTURE(OutcomeSource,
                  "a secret in a model's or session's name is redacted before it is cut")
{
    const auto name = std::string(180, 'x') + " " + "gh" + "p_" + std::string(36, 'Q');
    hand_over();
    program().print(R"({"type":"system","subtype":"init","session_id":")" + name +
                    R"(","model":")" + name + "\"}\n" + std::string(claude_done));
    exit(0);
    CHECK_FALSE(contains(final_status().usage.value().model, "QQQ"));
    CHECK_FALSE(final_status().session);
}

TEST_CASE_FIXTURE(OutcomeSource, "programs beside the agent's own are judged by their exit codes")
{
    options.agents = agents_from(R"(
agents:
  - {name: claude, type: background, outcome: claude,
     commands: ['git fetch', 'claude {command}', 'make test']}
)");
    hand_over();
    exit(0);
    program().print(claude_done);
    exit(0);
    CHECK(spawner->programs.size() == 3);
    exit(2);
    CHECK(error().code == "exit_2");
}

TEST_CASE_FIXTURE(OutcomeSource, "a command's own program is judged by its exit code")
{
    definition().accept_argv = true;
    auto command = EngineSide::command("make");
    command.argv = {"make"};
    hand_over(command);
    exit(0);
    CHECK(final_status().status == ReportedStatus::completed);
}

namespace {

// What the fakes have in common: they read the prompt from standard input, to its end, and keep it.
constexpr std::string_view fake_head = R"(#!/bin/sh
prompt=$(cat; echo .)
prompt=${prompt%.}
printf %s "$prompt" >prompt
echo "a line that is no event"
echo '{"torn": '
)";

constexpr std::string_view fake_claude = R"(
say() { printf '%s\n' "$1"; }
say '{"type":"system","subtype":"init"}'
case "$prompt" in
    error) say '{"type":"result","subtype":"success","is_error":true,"result":"Credit is used up"}';;
    silent) ;;
    asks)
        say '{"type":"control_request","request":{"subtype":"can_use_tool","tool_name":"Bash"}}'
        exec sleep 1000;;
    refused)
        say '{"type":"result","is_error":false,"permission_denials":[{"tool_name":"Bash"}]}';;
    lingers)
        say '{"type":"result","is_error":false,"terminal_reason":"completed"}'
        exec sleep 1000;;
    *) say '{"type":"result","is_error":false,"terminal_reason":"completed"}';;
esac
)";

constexpr std::string_view fake_codex = R"(
say() { printf '%s\n' "$1"; }
say '{"type":"turn.started"}'
case "$prompt" in
    error) say '{"type":"turn.failed","error":{"message":"Credit is used up"}}';;
    silent) ;;
    asks) say '{"type":"exec_approval_request"}'; exec sleep 1000;;
    refused)
        say '{"type":"item.completed","item":{"status":"declined","command":"git push"}}'
        say '{"type":"turn.completed"}';;
    lingers) say '{"type":"turn.completed"}'; exec sleep 1000;;
    *) say '{"type":"turn.completed","usage":{}}';;
esac
)";

// A bundled agent with a preset, over real processes.
class RealAgent {
public:
    explicit RealAgent(std::string_view preset)
    {
        const auto* const known = programs::find_program(preset);
        options_.agents = agents_from(agent::agents_file_text({&known, 1}, agent::Comments::none));
        auto& definition = options_.agents.agents.front();
        definition.linger = 1h;  // else a slow exit would count as none
        definition.environment.emplace_back("PATH", (project_ / "bin").string() + ":/usr/bin:/bin");
        options_.project_root = project_.path();
        options_.worktrees = {engine_.tree()};
        options_.find_worktrees = false;
        options_.notifier = spy_;
        options_.spawner = supervised_spawner(AUTOEXEC_BINARY_DIR "/autoexec-supervise");
    }

    void install(std::string_view name, std::string_view behaviour)
    {
        const auto file = project_ / ("bin/" + std::string(name));
        write_file(file, std::string(fake_head).append(behaviour));
        fs::permissions(file, fs::perms::owner_all);
    }

    /// Runs one command to its end, which is bounded.
    AgentStatus run(const std::string& command)
    {
        if (command == "lingers" || command == "asks")
            options_.agents.agents.front().linger = 0s;  // these never exit
        BackgroundAgent worker(ctx_.get_executor(), options_);
        asio::co_spawn(ctx_, worker.run(), asio::detached);
        engine_.publish(command);
        const auto deadline = std::chrono::steady_clock::now() + 120s;
        const auto is_over = [&] { return !spy_->seen.empty() && spy_->seen.back().is_final(); };
        while (!is_over() && std::chrono::steady_clock::now() < deadline) ctx_.run_one_for(1s);
        CHECK(is_over());
        asio::co_spawn(ctx_, worker.stop(), asio::detached);
        ctx_.run();
        REQUIRE_FALSE(spy_->seen.empty());
        return spy_->seen.back();
    }

    [[nodiscard]] std::string prompt() const { return read_file(engine_.tree() / "prompt"); }

private:
    TemporaryFolder project_;
    EngineSide engine_{project_ / "tree"};
    std::shared_ptr<StatusSpy> spy_ = std::make_shared<StatusSpy>();
    AgentOptions options_;
    asio::io_context ctx_;
};

std::pair<std::string, AgentStatus> play(std::string_view program, const std::string& prompt)
{
    RealAgent agent(program);
    if (program == "claude") agent.install(program, fake_claude);
    if (program == "codex") agent.install(program, fake_codex);
    auto status = agent.run(prompt);
    if (program != "shell") CHECK(agent.prompt() == prompt);
    return {status.error ? status.error->code : to_string(status.status).data(), status};
}

}  // namespace

TEST_CASE("Claude and Codex, played by scripts, are judged by what they say")
{
    for (const auto* program : {"claude", "codex"}) {
        CAPTURE(program);
        CHECK(play(program, "success").first == "completed");
        const auto [code, status] = play(program, "error");
        CHECK(code == "agent_error");
        CHECK(status.exit_code == 0);
        CHECK(contains(status.error->message, "Credit is used up"));
        CHECK(play(program, "silent").first == "no_result");
        const auto [end, refused] = play(program, "refused");
        CHECK(end == "completed");
        CHECK(contains(refused.permission_denied.value(), "needed permission for "));
    }
}

TEST_CASE("a script that does not exit after its report is stopped, and its report counts")
{
    for (const auto* program : {"claude", "codex"}) {
        CAPTURE(program);
        const auto [code, status] = play(program, "lingers");
        CHECK(code == "completed");
        CHECK(status.signal == 15);
        CHECK(play(program, "asks").first == "permission_needed");
    }
}

TEST_CASE("a prompt that looks like an option is a prompt to a real program")
{
    for (const auto* program : {"claude", "codex"})
        for (const auto* prompt : {"--help", "-v", "--", "--cd\n$(exit 1) 'x'"}) {
            CAPTURE(prompt);
            CHECK(play(program, prompt).first == "completed");
        }
}

TEST_CASE("a shell is judged by its exit code, whatever it prints")
{
    CHECK(play("shell", "echo hi").first == "completed");
    CHECK(play("shell", "echo '{\"type\":\"result\",\"is_error\":true}'").first == "completed");
    CHECK(play("shell", "exit 7").first == "exit_7");
    CHECK(play("shell", "kill -9 $$").first == "signal_9");
    CHECK(play("shell", "--help").first == "exit_127");  // a program of that name

    const auto [code, status] = play("shell", "printf 'Continue? [y/N] '; read answer");
    CHECK(code == "exit_1");  // there is nobody to answer
    CHECK(status.output == "Continue? [y/N] ");
    // What it printed is not why it failed.
    CHECK_FALSE(contains(status.error->message, "Continue?"));
}

TEST_CASE("a missing agent program is reported, with the folders that were searched")
{
    RealAgent agent("claude");
    const auto status = agent.run("x");
    REQUIRE(status.error);
    CHECK(status.error->code == "spawn_failed");
    CHECK(contains(status.error->message, "'claude' was not found; looked in "));
    CHECK(contains(status.error->message, "/bin, /usr/bin, /bin. Install it"));
}
