#include "autoexec/agent.hpp"
#include "autoexec/executor.hpp"
#include "autoexec/testing/mock_background_agent.hpp"
#include "process/run_program.hpp"
#include "support/agent_fixture.hpp"
#include "support/executor_fixture.hpp"
#include "support/temporary_folder.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/json/parse.hpp>

#include <doctest/doctest.h>

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

// An independent implementation of the protocol plays the other side, so that a mistake of ours
// cannot hide in both.

using namespace autoexec;
using namespace autoexec::test;
using namespace std::chrono_literals;
using process::ProgramOutput;

namespace {

constexpr const char* peer_script = AUTOEXEC_SOURCE_DIR "/test/support/peer.py";

void rethrow(std::exception_ptr e)
{
    if (e) std::rethrow_exception(e);
}

struct PeerFixture {
    TemporaryFolder project;
    ExecutorOptions options;
    std::shared_ptr<Spawner> spawner =
        supervised_spawner(AUTOEXEC_BINARY_DIR "/autoexec-supervise");
    std::shared_ptr<RecordingSink> sink = std::make_shared<RecordingSink>();
    asio::io_context ctx;

    PeerFixture()
    {
        options.project_root = project.path();
        options.polling_interval = 50ms;
        options.adaptive_polling = false;
        options.timeout = 60s;
        options.start_timeout = 0s;  // the legacy dialect knows no claims
        options.retry.max_attempts = 1;
        options.enable_audit = false;
        options.enable_metrics = false;
    }

    std::filesystem::path make_tree(const std::string& name)
    {
        std::filesystem::create_directory(project / name);
        return project / name;
    }

    asio::awaitable<ProgramOutput> peer(std::vector<std::string> arguments)
    {
        arguments.insert(arguments.begin(), {"python3", peer_script});
        return process::run_program(spawner, std::move(arguments), project.path());
    }
    ProgramOutput run_peer(std::vector<std::string> arguments)
    {
        ProgramOutput output;
        asio::co_spawn(ctx, peer(std::move(arguments)), [&](std::exception_ptr e, ProgramOutput o) {
            rethrow(e);
            output = std::move(o);
        });
        run();
        return output;
    }

    void run()
    {
        ctx.restart();
        ctx.run_for(100s);
        REQUIRE(ctx.stopped());
    }

    /// Without Python there is no peer.
    bool can_run()
    {
        const bool there = run_peer({"--help"}).ok();
        if (!there) MESSAGE("python3 is not there: skipped");
        return there;
    }
};

struct Exchange {
    std::string dialect;
    std::string outcome;
    std::filesystem::path tree;
    std::optional<ExecutionResult> result;
    std::optional<ProgramOutput> peer;
};

std::vector<Exchange> all_exchanges(PeerFixture& f)
{
    std::vector<Exchange> all;
    for (const std::string kind : {"legacy", "structured"})
        for (const std::string way : {"renamed", "inplace", "torn"})
            for (const std::string outcome : {"completed", "failed", "cancelled"}) {
                Exchange x;
                x.dialect = kind + "-" + way;
                x.outcome = outcome;
                x.tree = f.make_tree(x.dialect + "-" + outcome);
                all.push_back(std::move(x));
            }
    return all;
}

}  // namespace

TEST_SUITE_BEGIN("peer");

TEST_CASE_FIXTURE(PeerFixture, "the executor understands each dialect of agents")
{
    if (!can_run()) return;
    auto all = all_exchanges(*this);
    BackgroundAgentAutoExecutor executor(ctx.get_executor(), options);
    executor.subscribe(sink);
    std::size_t left = all.size();
    for (auto& x : all) {
        CommandRequest request("build it", x.tree);
        request.workflow_id = "w";
        request.expected_artifacts = {"out/made.txt"};
        executor.async_execute_command(std::move(request), [&](error_code ec, ExecutionResult r) {
            CHECK_FALSE(ec);
            x.result = std::move(r);
            if (--left == 0) asio::co_spawn(ctx, executor.stop(), asio::detached);
        });
        asio::co_spawn(ctx,
                       peer({"agent", x.tree.string(), "--dialect", x.dialect, "--outcome",
                             x.outcome, "--once", "--tear", "0.1", "--artifact", "out/made.txt"}),
                       [&](std::exception_ptr e, ProgramOutput o) {
                           rethrow(e);
                           x.peer = std::move(o);
                       });
    }
    run();
    for (const auto& x : all) {
        CAPTURE(x.dialect);
        CAPTURE(x.outcome);
        REQUIRE(x.peer);
        CHECK_MESSAGE(x.peer->ok(), x.peer->errors);
        REQUIRE(x.result);
        CHECK(x.result->completion_method == CompletionMethod::status_file);
        CHECK(x.result->artifacts == std::vector<std::string>{"out/made.txt"});
        CHECK(x.result->verified == Verification::all);
        CHECK((x.result->status == ExecutionStatus::completed) == (x.outcome == "completed"));
        if (x.outcome == "cancelled") CHECK(x.result->error->code == "cancelled");
        if (x.outcome == "failed") CHECK(x.result->error->message == "as asked");
    }
    CHECK(sink->count(EventType::status_rejected) == 0);
}

TEST_CASE_FIXTURE(PeerFixture, "an independent agent finds all that was promised in a git worktree")
{
    if (!can_run()) return;
    const auto tree = make_tree("repository");
    ProgramOutput git;
    asio::co_spawn(ctx, process::run_program(spawner, {"git", "init", "--quiet"}, tree),
                   [&](std::exception_ptr, ProgramOutput o) { git = std::move(o); });
    run();
    REQUIRE_MESSAGE(git.ok(), git.errors);

    options.start_timeout = 60s;
    BackgroundAgentAutoExecutor executor(ctx.get_executor(), options);
    std::optional<ExecutionResult> result;
    CommandRequest request("echo it ran; exit 3", tree);
    request.env_refs = {"PATH"};
    request.agent = "peer";
    executor.async_execute_command(std::move(request), [&](error_code ec, ExecutionResult r) {
        CHECK_FALSE(ec);
        result = std::move(r);
        asio::co_spawn(ctx, executor.stop(), asio::detached);
    });
    ProgramOutput output;
    asio::co_spawn(
        ctx, peer({"agent", tree.string(), "--dialect", "structured-renamed", "--once", "--run"}),
        [&](std::exception_ptr e, ProgramOutput o) {
            rethrow(e);
            output = std::move(o);
        });
    run();
    CHECK_MESSAGE(output.ok(), output.errors);
    REQUIRE(result);
    CHECK(result->status == ExecutionStatus::failed);
    CHECK(result->exit_code == 3);
    CHECK(result->output == "it ran\n");
    CHECK(std::filesystem::is_empty(tree / ".git/autoexec/claims"));
}

TEST_CASE_FIXTURE(PeerFixture, "an independent agent hears a cancel")
{
    if (!can_run()) return;
    const auto tree = make_tree("tree");
    BackgroundAgentAutoExecutor executor(ctx.get_executor(), options);
    struct CancelAtWork final : EventSink {
        explicit CancelAtWork(BackgroundAgentAutoExecutor& e) : executor(e) {}
        void publish(const Event& event) override
        {
            if (event.type == EventType::status_updated) executor.cancel(event.execution_id);
        }
        BackgroundAgentAutoExecutor& executor;
    };
    executor.subscribe(std::make_shared<CancelAtWork>(executor));
    std::optional<ExecutionResult> result;
    executor.async_execute_command({"build it", tree}, [&](error_code ec, ExecutionResult r) {
        CHECK_FALSE(ec);
        result = std::move(r);
        asio::co_spawn(ctx, executor.stop(), asio::detached);
    });
    ProgramOutput output;
    asio::co_spawn(ctx,
                   peer({"agent", tree.string(), "--dialect", "structured-renamed", "--once",
                         "--delay", "1000"}),
                   [&](std::exception_ptr e, ProgramOutput o) {
                       rethrow(e);
                       output = std::move(o);
                   });
    run();
    CHECK_MESSAGE(output.ok(), output.errors);
    CHECK(output.output.find("\"outcome\": \"cancelled\"") != std::string::npos);
    REQUIRE(result);
    CHECK(result->status == ExecutionStatus::cancelled);
    CHECK(result->warnings.empty());
}

TEST_CASE_FIXTURE(PeerFixture, "an agent of version 1.1 ends a command when it releases its claim")
{
    if (!can_run()) return;
    const auto tree = make_tree("tree");
    BackgroundAgentAutoExecutor executor(ctx.get_executor(), options);
    std::optional<ExecutionResult> result;
    executor.async_execute_command({"build it", tree}, [&](error_code ec, ExecutionResult r) {
        CHECK_FALSE(ec);
        CHECK(std::filesystem::exists(tree / "released"));
        result = std::move(r);
        asio::co_spawn(ctx, executor.stop(), asio::detached);
    });
    ProgramOutput output;
    asio::co_spawn(ctx,
                   peer({"agent", tree.string(), "--dialect", "structured-renamed", "--once",
                         "--hold", "0.5"}),
                   [&](std::exception_ptr e, ProgramOutput o) {
                       rethrow(e);
                       output = std::move(o);
                   });
    run();
    CHECK_MESSAGE(output.ok(), output.errors);
    REQUIRE(result);
    CHECK(result->status == ExecutionStatus::completed);
    CHECK_FALSE(result->status_during_stop);
    CHECK_FALSE(result->unreleased_status);
}

TEST_CASE_FIXTURE(PeerFixture, "executors of earlier versions understand our agent")
{
    if (!can_run()) return;
    const auto tree = make_tree("tree");
    std::string version = "1.0";
    std::string legacy = "true";
    std::string script = "echo made > out.txt; echo said";
    std::string expected = "completed";
    SUBCASE("completed") {}
    SUBCASE("failed")
    {
        script += "; exit 3";
        expected = "failed";
    }
    SUBCASE("version 1.1")
    {
        version = "1.1";
        legacy = "false";
    }
    AgentOptions agent_options;
    agent_options.project_root = project.path();
    agent_options.worktrees = {tree};
    agent_options.scan_interval = 50ms;
    agent_options.spawner = spawner;
    agent_options.sinks = {sink};
    agent_options.agents = agents_from(R"(
agents:
  - {name: dev, type: background, commands: ['sh -c {command}']}
global: {accept_legacy: )" + legacy + "}\n");
    BackgroundAgent agent(ctx.get_executor(), agent_options);
    asio::co_spawn(ctx, agent.run(), rethrow);
    ProgramOutput output;
    asio::co_spawn(ctx,
                   peer({"engine", tree.string(), script, "--timeout", "60", "--workflow", "w",
                         "--step", "s", "--expect", "out.txt", "--protocol", version}),
                   [&](std::exception_ptr e, ProgramOutput o) {
                       rethrow(e);
                       output = std::move(o);
                       asio::co_spawn(ctx, agent.stop(), asio::detached);
                   });
    run();
    CHECK(output.exit.exit_code == (expected == "completed" ? 0 : 1));
    error_code ec;
    const auto json = boost::json::parse(output.output, ec);
    REQUIRE_MESSAGE(!ec, output.errors);
    const auto& said = json.as_object();
    CHECK(said.at("status").as_string() == expected);
    CAPTURE(output.output);
    CHECK(said.at("violations").as_array().empty());
    CHECK(said.at("torn_reads").as_int64() == 0);
    CHECK(said.at("output").as_string() == "said\n");
    CHECK(said.at("artifacts").as_array().size() == 1);
    if (version == "1.1") {
        CHECK(said.at("released").as_bool());
        CHECK(sink->metrics().empty());  // its executor writes them
        return;
    }
    REQUIRE(sink->metrics().size() == 1);
    CHECK(to_string(sink->metrics()[0].status) == expected);
    CHECK(sink->metrics()[0].step_id == "s");
}

TEST_CASE_FIXTURE(PeerFixture, "an independent reader accepts each line of the records")
{
    if (!can_run()) return;
    const auto tree = make_tree("tree");
    const auto clock = std::make_shared<VirtualClock>();
    testing::MockAgentOptions mock_options;
    mock_options.worktrees = {tree};
    mock_options.clock = clock;
    mock_options.on_command = [](const testing::MockCommand& command) {
        testing::MockReply reply;
        reply.progress = {{50, "half", "w\xc3\xb6rking\n\"quoted\""}};
        reply.delay = 7s;
        reply.error.retryable = command.attempt < 3;
        if (command.command == "hang") reply.outcome = testing::MockOutcome::never;
        if (command.command == "fail") reply.outcome = testing::MockOutcome::fail;
        return reply;
    };
    options.clock = clock;
    options.timeout = 62s;
    options.retry.max_attempts = 3;
    options.enable_audit = true;
    options.enable_metrics = true;
    options.tree_state = [](std::filesystem::path) -> asio::awaitable<std::string> {
        co_return std::string(" M file");
    };
    BackgroundAgentAutoExecutor executor(ctx.get_executor(), options);
    testing::MockBackgroundAgent mock(ctx.get_executor(), mock_options);
    const auto main = [&]() -> asio::awaitable<void> {
        for (const std::string text :
             {"work", "fail", "hang", "caf\xc3\xa9 \"x\"\n\ttab", "login --password hunter2222"}) {
            CommandRequest request(text, tree);
            if (text != "work") request.workflow_id = "w";
            if (text == "fail") request.step_id = "s";
            (void)co_await executor.execute_command(std::move(request));
        }
        co_await mock.stop();
        co_await executor.stop();
    };
    asio::co_spawn(ctx, mock.run(), asio::detached);
    asio::co_spawn(ctx, main(), rethrow);
    clock->run(ctx);

    const auto records = project / ".tapps-agents";
    const auto metrics =
        run_peer({"read-metrics", (records / "metrics/executions_2026-01-20.jsonl").string()});
    CHECK_MESSAGE(metrics.ok(), metrics.errors);
    CHECK(metrics.output == "{\"count\": 7, \"bad\": 0, \"repeats\": 0}\n");
    const auto audit = run_peer({"read-audit", (records / "audit/execution_audit.log").string()});
    CHECK_MESSAGE(audit.ok(), audit.errors);
    CHECK(audit.output.find("\"bad\": 0") != std::string::npos);
}

TEST_SUITE_END();
