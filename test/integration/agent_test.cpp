#include "protocol/control_files.hpp"
#include "protocol/trace_context.hpp"
#include "support/agent_fixture.hpp"
#include "support/descriptor_limit.hpp"
#include "support/executor_fixture.hpp"
#include "text/text.hpp"

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/this_coro.hpp>

#include <doctest/doctest.h>

#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <new>
#include <optional>
#include <set>

using namespace autoexec;
using namespace autoexec::test;
using namespace std::chrono_literals;
namespace fs = std::filesystem;

namespace {

/// An environment variable for as long as the test runs.
struct Variable {
    Variable(const char* n, const char* value) : name(n) { ::setenv(n, value, 1); }
    ~Variable() { ::unsetenv(name); }
    Variable(const Variable&) = delete;
    Variable& operator=(const Variable&) = delete;
    const char* name;
};

std::optional<std::string> value_in(const ProcessSpec& spec, std::string_view name)
{
    std::optional<std::string> found;
    for (const auto& variable : spec.environment) {
        const auto equals = variable.find('=');
        if (variable.substr(0, equals) != name) continue;
        CHECK_FALSE(found);  // twice: which one counts depends on the program
        found = variable.substr(equals + 1);
    }
    return found;
}

AgentsFile agents_with(std::string_view fields)
{
    return agents_from("agents:\n  - {name: dev, type: background, commands: ['run {command}'], " +
                       std::string(fields) + "}\n");
}

}  // namespace

TEST_SUITE_BEGIN("agent");

// --- What is run at all

TEST_CASE_FIXTURE(AgentFixture,
                  "a command is run and reported while its executor holds the worktree")
{
    auto command = EngineSide::command();
    command.workflow_id = "w";
    command.step_id = "s";
    command.expected_artifacts = {"made.txt", "missing.txt"};
    hand_over(command);
    CHECK(engine.claim() == ClaimState::live);
    CHECK(program().spec.argv == std::vector<std::string>{"run", "build it"});
    CHECK(program().spec.directory == tree);

    write_file(tree / "made.txt", "x");
    program().print("compiled\n");
    exit(0);
    REQUIRE(spy->seen.size() == 2);
    CHECK(spy->seen[0].status == ReportedStatus::running);
    CHECK(spy->seen[0].progress->current_step == "1/1");
    const auto last = final_status();
    CHECK(last.structured);
    CHECK(last.status == ReportedStatus::completed);
    CHECK(last.outcome == "completed");
    CHECK(last.exit_code == 0);
    CHECK(last.artifacts == std::vector<std::string>{"made.txt"});
    CHECK(last.output == "compiled\n");
    CHECK_FALSE(last.output_truncated);
    CHECK_FALSE(last.error);
    CHECK(last.attempt_id == command.attempt_id);
    CHECK(last.execution_id == command.execution_id);
    CHECK(last.attempt == 1);
    CHECK(last.workflow_id == "w");
    CHECK(last.step_id == "s");
    CHECK(last.pid == 4711);
    CHECK_FALSE(last.agent_id->empty());
    CHECK(last.started_at == spy->seen[0].started_at);
    CHECK(last.completed_at);
    CHECK(spy->seen[0].sequence == 1);
    CHECK(last.sequence == 2);
    CHECK_FALSE(engine.has(control_files::command));
    CHECK(engine.claim() == ClaimState::free);
}

TEST_CASE_FIXTURE(AgentFixture, "a command file is left alone when no executor holds the worktree")
{
    SUBCASE("its executor died")
    {
        engine.publish();
        engine.die();
    }
    SUBCASE("somebody committed it")
    {
        engine.publish_unlocked(EngineSide::command());
    }
    SUBCASE("it names no attempt")
    {
        auto command = EngineSide::command();
        command.attempt_id = command.execution_id = "";
        engine.publish_unlocked(command);
    }
    SUBCASE("it names no attempt, and an executor holds the worktree")
    {
        auto command = EngineSide::command();
        command.attempt_id = command.execution_id = "";
        engine.publish(command);
    }
    SUBCASE("it is no command file")
    {
        engine.publish();
        write_file(tree / control_files::command, "rm -rf /");
    }
    start();
    run_for(62s);
    CHECK(spawner->programs.empty());
    CHECK(spy->seen.empty());
    CHECK(engine.has(control_files::command));
    CHECK_FALSE(engine.has(control_files::status));
}

TEST_CASE_FIXTURE(AgentFixture, "a command is found by the scan, and at once where an event tells")
{
    start();
    run_for(10ms);
    engine.publish();
    SUBCASE("scan")
    {
        run_for(options.scan_interval - 20ms);
        CHECK(spawner->programs.empty());
        run_for(10ms);
    }
    SUBCASE("event")
    {
        spy->changed(tree);
        run_for(0ms);
    }
    CHECK(spawner->programs.size() == 1);
}

TEST_CASE_FIXTURE(AgentFixture, "a worktree that events cover is scanned only in case one is lost")
{
    spy->covers = Coverage::all;
    start();
    run_for(10ms);
    engine.publish();
    SUBCASE("event")
    {
        spy->changed(tree);
        run_for(0ms);
    }
    SUBCASE("lost")
    {
        run_for(options.watch_paths_interval - 20ms);
        CHECK(spawner->programs.empty());
        run_for(options.scan_interval);
    }
    SUBCASE("no longer covered")
    {
        spy->covers = Coverage::own_process;
        run_for(options.scan_interval);
    }
    CHECK(spawner->programs.size() == 1);
}

TEST_CASE_FIXTURE(AgentFixture, "events show a folder that a glob matches")
{
    options.find_worktrees = true;
    options.worktrees.clear();
    options.watch_paths_interval = 1h;
    options.agents = agents_with("watch_paths: ['new/**/.cursor-skill-command.txt']");
    spy->covers = Coverage::all;
    fs::create_directory(project / "other");
    start();
    run_for(10ms);
    CHECK(spy->watchers.contains(project.path()));
    CHECK_FALSE(spy->watchers.contains(project / "other"));

    EngineSide late(project / "new/a/b");
    SUBCASE("its parent is new")
    {
        late.publish();
        spy->changed(project.path());
        run_for(1ms);
    }
    SUBCASE("its command comes later")
    {
        spy->changed(project.path());
        run_for(1ms);
        CHECK(spy->watchers.contains(project / "new/a/b"));
        late.publish();
        spy->changed(project / "new/a/b");
        run_for(200ms);
    }
    SUBCASE("it replaces another one that events covered")
    {
        spy->changed(project.path());
        run_for(1s);
        fs::remove_all(project / "new/a");
        spy->changed(project / "new");
        run_for(1s);
        EngineSide again(project / "new/a/b");
        again.publish();
        spy->changed(project / "new/a/b");
        run_for(1ms);
    }
    CHECK(spawner->programs.size() == 1);
}

TEST_CASE_FIXTURE(AgentFixture, "without events, folders of globs are not watched")
{
    options.find_worktrees = true;
    options.agents = agents_with("watch_paths: ['**/.cursor-skill-command.txt']");
    spy->covers = Coverage::own_process;
    fs::create_directories(project / "a/b");
    start();
    run_for(10ms);
    CHECK_FALSE(spy->watchers.contains(project / "a"));
}

TEST_CASE_FIXTURE(AgentFixture, "of the folders of globs, at most 1000 are watched")
{
    options.find_worktrees = true;
    options.agents = agents_with("watch_paths: ['**/.cursor-skill-command.txt']");
    spy->covers = Coverage::all;
    for (int n = 0; n < 1100; ++n) fs::create_directory(project / ("folder" + std::to_string(n)));
    start();
    run_for(10ms);
    CHECK(spy->watchers.size() <= 1002);  // and the project, and its worktree
    CHECK(spy->watchers.size() >= 1000);
}

TEST_CASE_FIXTURE(AgentFixture, "a command that nobody ran at its event is looked at again")
{
    spy->covers = Coverage::all;
    start();
    run_for(10ms);
    const auto command = EngineSide::command();
    engine.publish_unlocked(command);  // not ours yet
    spy->changed(tree);
    run_for(options.scan_interval);
    CHECK(spawner->programs.empty());
    engine.publish(command);
    run_for(options.scan_interval);
    CHECK(spawner->programs.size() == 1);
}

TEST_CASE_FIXTURE(AgentFixture, "of several agents exactly one runs a command")
{
    spawner->on_wait = [](ScriptedProgram& p) { p.exit(0); };
    for (int i = 0; i < 4; ++i) start();
    for (std::size_t i = 1; i <= 20; ++i) {
        hand_over();
        CHECK(spawner->programs.size() == i);
        CHECK(engine.status()->status == ReportedStatus::completed);
        engine.clean();
    }
}

TEST_CASE_FIXTURE(AgentFixture,
                  "an attempt is never run twice, even if its command file comes back")
{
    const auto command = hand_over();
    exit(0);
    engine.publish_unlocked(command);
    run_for(62s);
    CHECK(spawner->programs.size() == 1);
}

TEST_CASE_FIXTURE(AgentFixture, "at most so many commands run at once")
{
    EngineSide second(project / "second");
    EngineSide third(project / "third");
    options.max_parallel = 2;
    SUBCASE("by the options") {}
    SUBCASE("where events cover")
    {
        spy->covers = Coverage::all;
    }
    SUBCASE("by the agents file")
    {
        options.max_parallel = 0;
        options.agents.max_parallel_agents = 2;
    }
    auto& agent = start();
    agent.add_worktree(second.tree() / "");
    agent.add_worktree("third");
    for (auto* each : {&engine, &second, &third}) each->publish();
    run_for(62s);
    CHECK(spawner->programs.size() == 2);
    exit(0);  // its slot is taken at once
    CHECK(spawner->programs.size() == 3);
    CHECK(spawner->running() == 2);
    for (const auto& p : spawner->programs) p->exit(0);
    run_for(1ms);
    for (auto* each : {&engine, &second, &third}) {
        CHECK(each->status()->status == ReportedStatus::completed);
        CHECK(each->claim() == ClaimState::free);
    }
}

// --- Which agent of the file takes it

TEST_CASE_FIXTURE(AgentFixture, "a command that several could take is refused by their names")
{
    options.agents = agents_from(R"(
agents:
  - {name: dev, type: background, commands: ['run {command}']}
  - {name: qa, type: background, commands: ['check {command_file_path}']}
  - {name: people, type: background, commands: ['make']}
)");
    SUBCASE("without a name")
    {
        hand_over();
        CHECK(error().code == "no_agent");
        CHECK(error().retryable == false);
        CHECK(error().message.find("'dev', 'qa'") != std::string::npos);
        CHECK(spawner->programs.empty());
        CHECK(engine.claim() == ClaimState::free);
    }
    SUBCASE("with one")
    {
        auto command = EngineSide::command();
        command.agent = "qa";
        hand_over(command);
        CHECK(program().spec.argv ==
              std::vector<std::string>{"check", (tree / control_files::command).string()});
    }
}

TEST_CASE_FIXTURE(AgentFixture, "a name that is not ours is left to others, unless there are none")
{
    auto command = EngineSide::command();
    command.agent = "deb";
    SUBCASE("others")
    {
        hand_over(command);
        run_for(62s);
        CHECK(spy->seen.empty());
        CHECK(engine.claim() == ClaimState::none);
        CHECK(engine.has(control_files::command));
    }
    SUBCASE("alone")
    {
        options.alone = true;
        hand_over(command);
        CHECK(error().code == "no_agent");
        CHECK(error().message.find("'dev'") != std::string::npos);
    }
}

TEST_CASE_FIXTURE(AgentFixture, "a program and its arguments are run only where that is accepted")
{
    auto command = EngineSide::command("ls '-l' 'a b'");
    command.argv = {"ls", "-l", "a b"};
    SUBCASE("accepted")
    {
        options.agents = agents_with("accept_argv: true");
        hand_over(command);
        CHECK(program().spec.argv == command.argv);
    }
    SUBCASE("not accepted")
    {
        hand_over(command);
        CHECK(error().code == "argv_not_accepted");
        CHECK(spawner->programs.empty());
    }
}

// --- What is run

TEST_CASE_FIXTURE(AgentFixture, "a value is one word, whatever is in it")
{
    for (const std::string text : {"--help", "-rf /", "it's \"quoted\"", "two\nlines",
                                   "$(id); `id`", "{worktree} {command}", "\xc3\xa4 \\ *"}) {
        CAPTURE(text);
        hand_over(text);
        CHECK(program().spec.argv == std::vector<std::string>{"run", text});
        exit(0);
        engine.clean();
    }
}

TEST_CASE_FIXTURE(AgentFixture, "a text too long for an argument is refused with the way out")
{
    hand_over(std::string(131'072, 'x'));
    CHECK(spawner->programs.empty());
    CHECK(error().message.find("{command_file_path}") != std::string::npos);
    CHECK(engine.claim() == ClaimState::free);
}

TEST_CASE_FIXTURE(AgentFixture, "the commands of an agent run in order, up to the first that fails")
{
    options.agents = agents_from(R"(
agents:
  - {name: dev, type: background, commands: ['one {command}', 'two', 'three']}
)");
    hand_over();
    CHECK(program().spec.argv.front() == "one");
    exit(0);
    CHECK(program().spec.argv.front() == "two");
    CHECK(spy->seen.back().status == ReportedStatus::running);
    CHECK(spy->seen.back().progress->current_step == "2/3");
    SUBCASE("all succeed")
    {
        exit(0);
        exit(0);
        CHECK(final_status().status == ReportedStatus::completed);
        CHECK(spawner->programs.size() == 3);
    }
    SUBCASE("the second fails")
    {
        exit(3);
        CHECK(error().code == "exit_3");
        CHECK(error().message == "two exited with code 3");
        CHECK(spawner->programs.size() == 2);
    }
    SUBCASE("a stop between two")
    {
        program().exit(0);
        engine.ask_to_stop();
        run_for(300ms);
        CHECK(error().code == "cancelled");
        CHECK(spawner->programs.size() == 3);
        CHECK(program().stops > 0);
    }
}

TEST_CASE_FIXTURE(AgentFixture, "the environment is ours, without what would lead git astray")
{
    const Variable dir("GIT_DIR", "/elsewhere");
    const Variable index("GIT_INDEX_FILE", "/elsewhere/index");
    const Variable author("GIT_AUTHOR_NAME", "me");
    const Variable token("TEST_AGENT_SECRET", "s3cr3t");
    const Variable outer("AUTOEXEC_ATTEMPT_ID", "of another command");
    auto command = EngineSide::command();
    bool clean = false;
    SUBCASE("inherited") {}
    SUBCASE("clean")
    {
        clean = true;
        options.agents = agents_with("clean_environment: true");
    }
    SUBCASE("clean, with a reference")
    {
        clean = true;
        options.agents = agents_with("clean_environment: true");
        command.env_refs = {"TEST_AGENT_SECRET"};
    }
    hand_over(command);
    const auto& spec = program().spec;
    CHECK_FALSE(value_in(spec, "GIT_DIR"));
    CHECK_FALSE(value_in(spec, "GIT_INDEX_FILE"));
    CHECK(value_in(spec, "GIT_AUTHOR_NAME").has_value() == !clean);
    CHECK(value_in(spec, "TEST_AGENT_SECRET").has_value() == (!clean || !command.env_refs.empty()));
    CHECK(value_in(spec, "PATH") == std::getenv("PATH"));
    CHECK(value_in(spec, "AUTOEXEC_ATTEMPT_ID") == command.attempt_id);
    CHECK(value_in(spec, "AUTOEXEC_EXECUTION_ID") == command.execution_id);
    CHECK(value_in(spec, "AUTOEXEC_WORKTREE") == tree.string());
}

TEST_CASE_FIXTURE(AgentFixture,
                  "the program gets the trace of its attempt, unless the user sets one")
{
    const Variable parent("TRACEPARENT", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");
    const Variable state("TRACESTATE", "vendor=1");
    auto command = EngineSide::command();
    std::optional<std::string> expected = protocol::traceparent_of(command);
    std::optional<std::string> expected_state;
    SUBCASE("that of the caller is replaced") {}
    SUBCASE("also with a clean environment")
    {
        options.agents = agents_with("clean_environment: true");
    }
    SUBCASE("a reference passes that of the caller on")
    {
        command.env_refs = {"TRACEPARENT", "TRACESTATE"};
        expected = std::getenv("TRACEPARENT");
        expected_state = "vendor=1";
    }
    SUBCASE("the agents file sets another one")
    {
        options.agents = agents_with("environment: {TRACEPARENT: ''}");
        expected = "";
    }
    hand_over(command);
    CHECK(value_in(program().spec, "TRACEPARENT") == expected);
    CHECK(value_in(program().spec, "TRACESTATE") == expected_state);
}

TEST_CASE_FIXTURE(AgentFixture, "the agents file adds to the environment")
{
    options.agents = agents_with("environment: {PATH: /only, GREETING: 'hello = world'}");
    hand_over();
    CHECK(value_in(program().spec, "PATH") == "/only");
    CHECK(value_in(program().spec, "GREETING") == "hello = world");
}

TEST_CASE_FIXTURE(AgentFixture, "the program gets the variables and the folder of its command")
{
    const Variable outer("AUTOEXEC_ROUND", "9");
    options.agents = agents_with("environment: {MINE: agent}");
    std::filesystem::create_directories(tree / "sub");
    auto command = EngineSide::command();
    command.env = {{"MINE", "command"}, {"TASK", "a; rm -rf ~\nb"}, {"TERM", "xterm"}};
    command.working_directory = "sub";
    hand_over(command);
    const auto& spec = program().spec;
    CHECK(value_in(spec, "MINE") == "agent");
    CHECK(value_in(spec, "TASK") == "a; rm -rf ~\nb");
    CHECK(value_in(spec, "TERM") == "xterm");
    CHECK_FALSE(value_in(spec, "AUTOEXEC_ROUND"));
    CHECK(spec.directory == tree / "sub");
}

TEST_CASE_FIXTURE(AgentFixture, "the folder of a command does not lead out of its worktree")
{
    std::filesystem::create_symlink("/", tree / "out");
    auto command = EngineSide::command();
    command.working_directory = "out";
    hand_over(command);
    CHECK(spawner->programs.empty());
    CHECK(error().code == "invalid_working_directory");
}

TEST_CASE_FIXTURE(AgentFixture, "a reference to a variable that is not set fails by its name")
{
    auto command = EngineSide::command();
    command.env_refs = {"PATH", "TEST_AGENT_NOT_SET"};
    hand_over(command);
    CHECK(spawner->programs.empty());
    CHECK(error().code == "env_ref_missing");
    CHECK(error().message.find("TEST_AGENT_NOT_SET") != std::string::npos);
}

TEST_CASE_FIXTURE(AgentFixture, "a working directory counts from the worktree")
{
    std::filesystem::path expected = tree;
    std::filesystem::create_directories(tree / "src/app");
    SUBCASE("relative")
    {
        options.agents = agents_with("working_directory: src/app");
        expected /= "src/app";
    }
    SUBCASE("the variable of other readers")
    {
        options.agents = agents_with("working_directory: '${PROJECT_ROOT}/src'");
        expected /= "src";
    }
    SUBCASE("absolute")
    {
        options.agents = agents_with("working_directory: /");
        expected = "/";
    }
    hand_over();
    CHECK(program().spec.directory == expected);
}

// --- How it ends

TEST_CASE_FIXTURE(AgentFixture, "an exit code is reported, and only 75 allows a retry")
{
    hand_over();
    program().print("warning\n");
    program().print("no such target\n", OutputStream::standard_error);
    std::optional<bool> retryable;
    int code = 3;
    SUBCASE("plain") {}
    SUBCASE("temporary")
    {
        code = 75;
        retryable = true;
    }
    exit(code);
    CHECK(final_status().exit_code == code);
    CHECK(final_status().outcome == "failed");
    CHECK(error().code == "exit_" + std::to_string(code));
    CHECK(error().message == "run exited with code " + std::to_string(code) + ": no such target");
    CHECK(error().retryable == retryable);
}

TEST_CASE_FIXTURE(AgentFixture, "a signal is reported")
{
    hand_over();
    program().die(9);
    run_for(1ms);
    CHECK(final_status().signal == 9);
    CHECK_FALSE(final_status().exit_code);
    CHECK(error().code == "signal_9");
    CHECK(error().message.find("Killed") != std::string::npos);
    CHECK_FALSE(error().retryable);
}

TEST_CASE_FIXTURE(AgentFixture,
                  "a program that cannot be started is worth another try if it may work later")
{
    const auto system_error_of = [](int reason) {
        return error_code(reason, boost::system::system_category());
    };
    std::optional<bool> retryable;
    std::string code = "spawn_failed";
    SUBCASE("no such program")
    {
        spawner->refusal = system_error_of(ENOENT);
    }
    SUBCASE("a program that is being written")
    {
        spawner->refusal = system_error_of(ETXTBSY);
        retryable = true;
    }
    SUBCASE("no process left")
    {
        spawner->refusal = system_error_of(EAGAIN);
        retryable = true;
        code = "no_resources";
    }
    SUBCASE("no descriptor left")
    {
        spawner->refusal = system_error_of(EMFILE);
        retryable = true;
        code = "no_resources";
    }
    hand_over();
    CHECK(error().code == code);
    CHECK(error().message == "It cannot be started.");
    CHECK(error().retryable == retryable);
}

TEST_CASE_FIXTURE(AgentFixture,
                  "what the supervisor could not start for want of processes may be "
                  "tried again")
{
    hand_over();
    ProcessExit exit;
    exit.error = "Cannot start \"run\": Resource temporarily unavailable.";
    exit.reason = error_code(EAGAIN, boost::system::system_category());
    program().finish(exit);
    run_for(1ms);
    CHECK(error().code == "no_resources");
    CHECK(error().retryable == true);
}

TEST_CASE_FIXTURE(AgentFixture,
                  "a result that cannot be written for want of descriptors is written "
                  "later, and the claim is kept until then")
{
    hand_over();
    {
        const NoDescriptorsLeft limit;
        program().exit(0);
        run_for(2s);
        CHECK(engine.claim() == ClaimState::live);
    }
    run_for(1s);
    CHECK(final_status().status == ReportedStatus::completed);
    CHECK(engine.claim() != ClaimState::live);
}

TEST_CASE_FIXTURE(AgentFixture, "a running command shows that it is alive")
{
    SUBCASE("by a heartbeat")
    {
        hand_over();
        for (std::size_t beats = 1; beats <= 4; ++beats) {
            CHECK(spy->seen.size() == beats);
            CHECK(spy->seen.back().sequence == static_cast<std::int64_t>(beats));
            run_for(options.heartbeat_interval);
        }
    }
    SUBCASE("without one, only when there is something new")
    {
        options.heartbeat_interval = 0s;
        hand_over();
        run_for(62s);
        CHECK(spy->seen.size() == 1);
        program().print("half way\n");
        run_for(62s);
        REQUIRE(spy->seen.size() == 2);
        CHECK(spy->seen.back().progress->message == "half way");
        CHECK(spy->seen.back().output == "half way\n");
    }
}

TEST_CASE_FIXTURE(AgentFixture, "a cancel is noticed by the next poll, and at once by an event")
{
    hand_over();
    run_for(12'345ms);
    engine.ask_to_stop();
    SUBCASE("poll")
    {
        run_for(250ms);
    }
    SUBCASE("event")
    {
        spy->changed(tree);
        run_for(0ms);
    }
    CHECK(program().stops > 0);
    CHECK(final_status().status == ReportedStatus::failed);
    CHECK(final_status().outcome == "cancelled");
    CHECK(error().code == "cancelled");
    CHECK(error().retryable == false);
    CHECK(engine.claim() == ClaimState::free);
}

TEST_CASE_FIXTURE(AgentFixture, "a cancel file has one of the known reasons")
{
    std::string reason;
    std::string code = "cancelled";
    SUBCASE("time-out")
    {
        code = reason = "timeout";
    }
    SUBCASE("another word")
    {
        reason = "\"because\"";
    }
    SUBCASE("none") {}
    hand_over();
    engine.ask_to_stop(reason);
    run_for(250ms);
    CHECK(error().code == code);
    CHECK(final_status().outcome == code);
}

TEST_CASE_FIXTURE(AgentFixture, "a cancel for another attempt stops nothing")
{
    hand_over();
    protocol::CancelFile cancel;
    cancel.attempt_id = text::new_uuid();
    write_file(tree / control_files::cancel, protocol::format_cancel(cancel));
    run_for(62s);
    CHECK(program().stops == 0);
}

TEST_CASE_FIXTURE(AgentFixture, "the claim is held until a program that ignores its stop has ended")
{
    hand_over();
    program().deaf = true;
    engine.ask_to_stop();
    run_for(62s);
    CHECK_FALSE(spy->seen.back().is_final());
    CHECK(engine.claim() == ClaimState::live);
    program().exit(0);
    run_for(1ms);
    CHECK(error().code == "cancelled");
}

TEST_CASE_FIXTURE(AgentFixture,
                  "a program that has ended when the cancel comes has ended by itself")
{
    hand_over();
    program().exit(0);
    engine.ask_to_stop();
    run_for(1ms);
    CHECK(final_status().status == ReportedStatus::completed);
}

TEST_CASE_FIXTURE(AgentFixture, "time-outs end a command that its executor does not end")
{
    std::chrono::seconds limit{0};
    auto command = EngineSide::command();
    SUBCASE("the agents file's")
    {
        options.agents = agents_with("timeout_seconds: 62");
        limit = 62s;
    }
    SUBCASE("the agents file's, for all commands together")
    {
        options.agents = agents_from(R"(
agents:
  - {name: dev, type: background, commands: ['one {command}', 'two'], timeout_seconds: 62}
)");
        spawner->on_wait = [&](ScriptedProgram& p) {
            if (p.spec.argv.front() == "one") clock->at(clock->elapsed() + 40s, [&] { p.exit(0); });
        };
        limit = 62s;
    }
    SUBCASE("the executor's, with a margin for its own stop")
    {
        command.deadline_seconds = 20;
        limit = 35s;
    }
    SUBCASE("the shorter one")
    {
        options.agents = agents_with("timeout_seconds: 62");
        command.deadline_seconds = 20;
        limit = 35s;
    }
    hand_over(command);
    run_for(limit - options.scan_interval - 1ms);
    CHECK(spawner->running() == 1);
    run_for(options.scan_interval + 1ms);
    CHECK(error().code == "timeout");
    CHECK(final_status().outcome == "timeout");
    CHECK_FALSE(error().retryable);
}

TEST_CASE_FIXTURE(AgentFixture, "a stopped agent stops its commands and reports it")
{
    hand_over();
    SUBCASE("async_stop")
    {
        stop();
    }
    SUBCASE("while another stop waits")
    {
        program().deaf = true;
        for (int i = 0; i < 2; ++i) asio::co_spawn(ctx, agents.front()->stop(), asio::detached);
        run_for(62s);
        CHECK(program().stops > 0);
        program().die(9);
        stop();
    }
    CHECK(error().code == "agent_stopped");
    CHECK(final_status().outcome == "cancelled");
    CHECK(engine.claim() == ClaimState::free);
    engine.publish();
    run_for(62s);
    CHECK(spawner->programs.size() == 1);
}

TEST_CASE_FIXTURE(AgentFixture, "cancelling run is as stopping the agent")
{
    asio::cancellation_signal signal;
    bool done = false;
    agents.push_back(std::make_unique<BackgroundAgent>(ctx.get_executor(), options));
    const auto run = [&]() -> asio::awaitable<void> {
        co_await asio::this_coro::reset_cancellation_state(asio::enable_total_cancellation());
        co_await agents.back()->run();
    };
    asio::co_spawn(ctx, run(), asio::bind_cancellation_slot(signal.slot(), [&](std::exception_ptr) {
                       done = true;
                   }));
    hand_over();
    auto type = asio::cancellation_type::none;
    SUBCASE("total")
    {
        type = asio::cancellation_type::total;
    }
    SUBCASE("partial")
    {
        type = asio::cancellation_type::partial;
    }
    SUBCASE("terminal")
    {
        type = asio::cancellation_type::terminal;
    }
    signal.emit(type);
    run_for(1ms);
    CHECK(done);
    CHECK(error().code == "agent_stopped");
}

TEST_CASE_FIXTURE(AgentFixture, "a command that runs when the context ends leaves nothing behind")
{
    {
        asio::io_context inner;
        BackgroundAgent agent(inner.get_executor(), options);
        asio::co_spawn(inner, agent.run(), asio::detached);
        engine.publish();
        clock->run_until(inner, 2s);
        CHECK(engine.claim() == ClaimState::live);
    }
    CHECK(program().ended);
    CHECK(engine.claim() == ClaimState::free);
}

TEST_CASE_FIXTURE(AgentFixture, "a command whose worktree is deleted is stopped")
{
    hand_over();
    std::filesystem::remove_all(tree);
    SUBCASE("gone") {}
    SUBCASE("and made anew")
    {
        std::filesystem::create_directory(tree);
    }
    run_for(250ms);
    CHECK(program().stops > 0);
    CHECK(program().ended);
    CHECK_FALSE(engine.has(control_files::status));
    std::filesystem::create_directory(tree);
    engine.die();
    hand_over();
    CHECK(spawner->programs.size() == 2);
}

// --- What is kept of its output

TEST_CASE_FIXTURE(AgentFixture, "with a limit of zero there is no log, and the status has the tail")
{
    options.max_output_bytes = 0;
    hand_over();
    program().print("made\n");
    exit(0);
    CHECK(final_status().output == "made\n");
    CHECK_FALSE(std::filesystem::exists(project / ".tapps-agents/output"));
}

TEST_CASE_FIXTURE(AgentFixture, "an agent that accepts any name runs what is for another")
{
    options.alone = true;
    SUBCASE("accepted")
    {
        options.accept_any_name = true;
    }
    SUBCASE("not accepted") {}
    auto command = EngineSide::command();
    command.agent = "nobody";
    hand_over(command);
    CHECK(spawner->programs.size() == (options.accept_any_name ? 1 : 0));
    if (options.accept_any_name)
        exit(0);
    else
        CHECK(error().message == "The agent 'nobody' does not exist. Available: 'dev'.");
}

TEST_CASE_FIXTURE(AgentFixture, "the log holds the output up to its limit, the status the tail")
{
    options.max_output_bytes = 1000;
    options.max_output_tail_bytes = 100;
    hand_over();
    std::string all;
    SUBCASE("more than both")
    {
        for (int i = 0; i < 300; ++i) all += "line " + std::to_string(i) + "\n";
    }
    SUBCASE("exactly the log's limit")
    {
        all = std::string(999, 'x') + "\n";
    }
    program().print(all);
    exit(0);
    const auto last = final_status();
    CHECK(last.output_truncated);
    CHECK(last.output->size() <= 100);
    CHECK(all.ends_with(*last.output));
    const auto kept = log();
    CHECK(kept.starts_with(all.substr(0, 1000)));
    CHECK((kept.find("not kept") != kept.npos) == (all.size() > 1000));
}

TEST_CASE_FIXTURE(AgentFixture, "a short output is whole in both")
{
    hand_over();
    program().print("one\n");
    program().print("two\n", OutputStream::standard_error);
    program().print("no newline");
    exit(0);
    CHECK(final_status().output == "one\ntwo\nno newline");
    CHECK(log() == "one\ntwo\nno newline");
    CHECK_FALSE(final_status().output_truncated);
}

TEST_CASE_FIXTURE(AgentFixture, "secrets are taken out of the log and the status")
{
    const std::string secret = "hunter2-and-more";
    const std::pair<std::string, std::string> variable("MY_TOKEN", secret);
    options.redactor = std::make_shared<const Redactor>(std::span(&variable, 1));
    hand_over("deploy " + secret);
    CHECK(program().spec.argv.back() == "deploy " + secret);  // what is run is never changed
    program().print("using hunter2-");                        // cut in the middle
    program().print("and-more\n");
    program().print("bad token " + secret + "\n", OutputStream::standard_error);
    exit(1);
    const auto text = read_file(tree / control_files::status);
    CHECK(text.find(secret) == text.npos);
    CHECK(text.find("***REDACTED***") != text.npos);
    CHECK(error().message.find("bad token") != std::string::npos);
    CHECK(log().find(secret) == std::string::npos);
    CHECK(log().find("using ***REDACTED***") != std::string::npos);
}

TEST_CASE_FIXTURE(AgentFixture, "a command continues when its log cannot be written")
{
    write_file(project / ".tapps-agents", "in the way");
    hand_over();
    program().print("fine\n");
    exit(0);
    CHECK(final_status().output == "fine\n");
}

// --- Executors of the original's

TEST_CASE_FIXTURE(AgentFixture, "a command of an original executor is run where that is accepted")
{
    const auto sink = std::make_shared<RecordingSink>();
    options.sinks = {sink};
    options.agents.accept_legacy = true;
    start();
    auto command = EngineSide::command();
    command.attempt_id = command.execution_id = "";
    command.attempt = 0;
    command.workflow_id = "w";
    for (int i = 0; i < 2; ++i) {
        engine.publish_unlocked(command);
        run_for(options.scan_interval);
        exit(i);
        CHECK(spawner->programs.size() == static_cast<std::size_t>(i + 1));
        CHECK(final_status().attempt_id.empty());
        CHECK(final_status().workflow_id == "w");
        CHECK_FALSE(value_in(program().spec, "AUTOEXEC_ATTEMPT_ID"));
        CHECK_FALSE(engine.has(control_files::command));
        const auto claims = tree / control_files::claims_folder;
        CHECK((!std::filesystem::exists(claims) || std::filesystem::is_empty(claims)));
    }
    REQUIRE(sink->metrics().size() == 2);
    CHECK(sink->metrics()[0].status == ExecutionStatus::completed);
    CHECK(sink->metrics()[0].workflow_id == "w");
    CHECK(sink->metrics()[1].status == ExecutionStatus::failed);
    CHECK(sink->metrics()[1].error_message == "run exited with code 1");
    CHECK(sink->count(EventType::execution_completed) == 1);
    CHECK(sink->count(EventType::execution_failed) == 1);
}

TEST_CASE_FIXTURE(AgentFixture, "a command with an attempt id is recorded by its executor alone")
{
    const auto sink = std::make_shared<RecordingSink>();
    options.sinks = {sink};
    options.agents.accept_legacy = true;
    hand_over();
    exit(0);
    CHECK(sink->events.empty());
}

TEST_CASE_FIXTURE(AgentFixture, "accepting original executors accepts no left-over of ours")
{
    options.agents.accept_legacy = true;
    engine.publish();
    engine.die();
    start();
    run_for(62s);
    CHECK(spawner->programs.empty());
}

TEST_SUITE_END();

namespace {

/// Runs out of memory when a command has ended.
struct FailingNotifier final : Notifier {
    std::shared_ptr<Notifier> real;
    int failures = 0;

    Subscription watch(const std::filesystem::path& worktree,
                       std::function<void()> changed) override
    {
        return real->watch(worktree, std::move(changed));
    }
    void notify(const std::filesystem::path& worktree) override
    {
        const auto status = EngineSide::status_in(worktree);
        if (status && status->is_final() && ++failures == 1) throw std::bad_alloc();
        real->notify(worktree);
    }
};

/// An executor with an agent in its process, in virtual time.
struct OwnAgent : ExecutorFixture {
    TemporaryFolder trees;
    std::shared_ptr<ScriptedSpawner> spawner = std::make_shared<ScriptedSpawner>();
    std::unique_ptr<BackgroundAgent> agent;

    OwnAgent()
    {
        options.handoff.reset();
        options.agent_in_process = true;
        options.offers = local_offers();
        options.notifier = local_notifier();
        options.max_parallel = 0;
        options.start_timeout = 9s;
        options.timeout = 33s;
        spawner->on_wait = [this](ScriptedProgram& program) {
            clock->at(clock->elapsed() + 4s, [&program] { program.exit(0); });
        };
        AgentOptions o;
        o.project_root = project.path();
        o.find_worktrees = false;
        o.alone = true;
        o.clock = clock;
        o.notifier = options.notifier;
        o.offers = options.offers;
        o.spawner = spawner;
        o.agents = agents_from(R"(
agents:
  - {name: dev, type: background, commands: ['run {command}']}
)");
        agent = std::make_unique<BackgroundAgent>(ctx.get_executor(), std::move(o));
        asio::co_spawn(ctx, agent->run(), asio::detached);
        clock->run_until(ctx, 1ms);
    }

    void hand_over(const std::string& name)
    {
        const auto where = trees / name;
        std::filesystem::create_directory(where);
        agent->add_worktree(where);
        make().async_execute_command({"build", where}, [this](error_code e, ExecutionResult r) {
            codes.insert(e ? e.message() : r.error ? r.error->code : "completed");
            ++results;
        });
    }

    void stop()
    {
        asio::co_spawn(ctx, agent->stop(), asio::detached);
        clock->run(ctx);
    }

    std::set<std::string> codes;
};

}  // namespace

TEST_CASE_FIXTURE(AgentFixture, "a reported result counts, even if memory then runs out")
{
    const auto failing = std::make_shared<FailingNotifier>();
    failing->real = spy;
    options.notifier = failing;
    hand_over();
    exit(0);
    REQUIRE(failing->failures > 0);
    REQUIRE(engine.status());
    CHECK(engine.status()->status == ReportedStatus::completed);
}

TEST_CASE(
    "with few free descriptors an agent in the process runs a command or reports the shortage")
{
    bool went_well = false;
    int free = 0;
    for (; !went_well && free < 40; ++free) {
        CAPTURE(free);
        OwnAgent f;
        (void)f.make();
        {
            const FewDescriptorsLeft few(free);
            f.hand_over("one");
            f.hand_over("two");
            bool runs = true;
            while (f.results < 2 && runs) runs = f.clock->step(f.ctx);
            CHECK(f.clock->elapsed() < 33s);
        }
        f.stop();
        CHECK(f.results == 2);
        went_well = f.codes == std::set<std::string>{"completed"};
        for (const auto& code : f.codes)
            CHECK((code == "completed" || code == "no_resources" ||
                   code == make_error_code(errc::no_resources).message()));
    }
    CHECK(went_well);
    CHECK(free > 5);
}
