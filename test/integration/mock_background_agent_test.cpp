#include "autoexec/testing/mock_background_agent.hpp"

#include "autoexec/config.hpp"
#include "autoexec/executor.hpp"
#include "protocol/control_files.hpp"
#include "support/engine_side.hpp"
#include "support/temporary_folder.hpp"
#include "support/text.hpp"
#include "support/virtual_clock.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>

#include <doctest/doctest.h>

#include <functional>
#include <stdexcept>
#include <string>
#include <vector>

using namespace autoexec;
using namespace autoexec::test;
using namespace autoexec::testing;
using namespace std::chrono_literals;

namespace {

/// An application's test: its executor and a mock agent, real files, virtual time.
struct Application {
    TemporaryFolder project;
    std::filesystem::path tree = project / "tree";
    std::shared_ptr<VirtualClock> clock = std::make_shared<VirtualClock>();
    MockAgentOptions mock_options;
    ExecutorOptions options;
    asio::io_context ctx;

    Application()
    {
        std::filesystem::create_directory(tree);
        mock_options.worktrees = {tree};
        mock_options.clock = clock;
        options.project_root = project.path();
        options.clock = clock;
        options.random = [] { return 0.5; };
        options.tree_state = [](std::filesystem::path) -> asio::awaitable<std::string> {
            co_return std::string();
        };
    }

    /// Runs the commands one after the other, then stops both sides.
    std::vector<ExecutionResult> run(std::vector<CommandRequest> requests)
    {
        std::vector<ExecutionResult> results;
        BackgroundAgentAutoExecutor executor(ctx.get_executor(), options);
        if (on_executor) on_executor(executor);
        mock = std::make_unique<MockBackgroundAgent>(ctx.get_executor(), mock_options);
        const auto main = [&]() -> asio::awaitable<void> {
            for (auto& request : requests) {
                auto result = co_await executor.execute_command(std::move(request));
                results.push_back(std::move(result));
            }
            co_await mock->stop();
            co_await executor.stop();
        };
        asio::co_spawn(ctx, mock->run(), asio::detached);
        asio::co_spawn(ctx, main(), [](std::exception_ptr e) {
            if (e) std::rethrow_exception(e);
        });
        clock->run(ctx);
        for (const auto* name : {control_files::command, control_files::status,
                                 control_files::cancel, control_files::claims_folder})
            CHECK_FALSE(std::filesystem::exists(tree / name));
        return results;
    }
    ExecutionResult run(CommandRequest request)
    {
        std::vector<CommandRequest> all;
        all.push_back(std::move(request));
        return run(std::move(all)).at(0);
    }

    std::unique_ptr<MockBackgroundAgent> mock;
    std::function<void(BackgroundAgentAutoExecutor&)> on_executor;
};

}  // namespace

TEST_SUITE_BEGIN("mock_background_agent");

TEST_CASE_FIXTURE(Application, "a mock completes its commands by default")
{
    CommandRequest request("review src", tree);
    request.workflow_id = "w";
    request.step_id = "s";
    request.agent = "reviewer";
    const auto result = run(std::move(request));
    CHECK(result.status == ExecutionStatus::completed);
    REQUIRE(mock->commands().size() == 1);
    const auto command = mock->commands().front();
    CHECK(command.command == "review src");
    CHECK(command.worktree == tree);
    CHECK(command.workflow_id == "w");
    CHECK(command.step_id == "s");
    CHECK(command.agent == "reviewer");
    CHECK(command.attempt_id == result.attempt_id);
    CHECK(command.attempt == 1);
    CHECK(mock->completed() == 1);
    CHECK(mock->failed() == 0);
}

TEST_CASE_FIXTURE(Application, "an hour's work takes no time, and shows progress")
{
    mock_options.reply.delay = 50min;
    mock_options.reply.progress = {{25, "plan", "thinking"}, {75, "code", "typing"}};
    mock_options.reply.artifacts = {"out/report.md"};
    mock_options.reply.output = "all good\n";
    mock_options.reply.exit_code = 0;
    CommandRequest request("build", tree);
    request.expected_artifacts = {"out/report.md"};
    request.require_artifacts = true;
    const auto result = run(std::move(request));
    CHECK(result.status == ExecutionStatus::completed);
    CHECK(result.duration >= 50min);
    CHECK(result.verified == Verification::all);
    CHECK(result.artifacts == std::vector<std::string>{"out/report.md"});
    CHECK(result.output == "all good\n");
    CHECK(result.exit_code == 0);
    REQUIRE(result.last_progress);
    CHECK(result.last_progress->current_step == "code");
}

TEST_CASE_FIXTURE(Application,
                  "a failure that may be tried again is, and each try is answered anew")
{
    mock_options.on_command = [](const MockCommand& command) {
        MockReply reply;
        if (command.attempt < 3) reply.outcome = MockOutcome::fail;
        reply.error.retryable = true;
        return reply;
    };
    const auto result = run({"build", tree});
    CHECK(result.status == ExecutionStatus::completed);
    CHECK(result.attempts == 3);
    CHECK(mock->commands().size() == 3);
    CHECK(mock->failed() == 2);
    CHECK(mock->completed() == 1);
}

TEST_CASE_FIXTURE(Application, "commands are answered one by one, each in its own way")
{
    mock_options.on_command = [](const MockCommand& command) -> MockReply {
        MockReply reply;
        if (command.command == "fail") reply.outcome = MockOutcome::fail;
        if (command.command == "throw") throw std::runtime_error("out of ideas");
        if (command.command == "escape") reply.artifacts = {"../outside"};
        if (command.command == "hang") reply.outcome = MockOutcome::never;
        return reply;
    };
    std::vector<CommandRequest> requests;
    for (const char* text : {"fail", "throw", "escape", "hang", "work"})
        requests.emplace_back(text, tree);
    const auto results = run(std::move(requests));
    REQUIRE(results.size() == 5);
    CHECK(results[0].error->code == "mock");
    CHECK(results[1].error->message == "out of ideas");
    CHECK(results[2].error->code == "mock_artifact");
    CHECK_FALSE(std::filesystem::exists(project / "outside"));
    CHECK(results[3].status == ExecutionStatus::timeout);
    CHECK(results[4].status == ExecutionStatus::completed);
    CHECK(mock->failed() == 4);
}

TEST_CASE_FIXTURE(Application, "a stopped mock gives back what it has in hand")
{
    mock_options.reply.outcome = MockOutcome::never;
    clock->at(62s, [&] { asio::co_spawn(ctx, mock->stop(), asio::detached); });
    const auto result = run({"build", tree});
    CHECK(result.status == ExecutionStatus::failed);
    CHECK(result.error->code == "agent_stopped");
    CHECK(result.duration < 100s);
}

TEST_CASE_FIXTURE(Application, "with a notifier nothing waits for a poll")
{
    options.notifier = mock_options.notifier = local_notifier();
    mock_options.polling_interval = 10min;
    const auto result = run({"build", tree});
    CHECK(result.status == ExecutionStatus::completed);
    CHECK(result.duration == 0ms);
}

TEST_CASE_FIXTURE(Application, "a command of an original executor is answered where that is wanted")
{
    EngineSide engine(tree);
    auto command = EngineSide::command();
    command.attempt_id = command.execution_id = "";
    engine.publish_unlocked(command);
    SUBCASE("wanted")
    {
        mock_options.accept_legacy = true;
    }
    SUBCASE("not wanted") {}
    MockBackgroundAgent agent(ctx.get_executor(), mock_options);
    asio::co_spawn(ctx, agent.run(), asio::detached);
    clock->run_until(ctx, 1s);
    CHECK(agent.completed() == (mock_options.accept_legacy ? 1 : 0));
    CHECK(engine.status().has_value() == mock_options.accept_legacy);
    asio::co_spawn(ctx, agent.stop(), asio::detached);
    clock->run(ctx);
}

TEST_CASE_FIXTURE(Application,
                  "a command longer than an argument, and one with a program, reach a mock")
{
    std::vector<CommandRequest> requests;
    requests.emplace_back(std::string(200'000, 'x'), tree);
    requests.emplace_back(std::vector<std::string>{"make", "all"}, tree);
    for (const auto& result : run(std::move(requests)))
        CHECK(result.status == ExecutionStatus::completed);
    CHECK(mock->commands().at(0).command.size() == 200'000);
    CHECK(mock->commands().at(1).argv == std::vector<std::string>{"make", "all"});
}

TEST_CASE_FIXTURE(Application, "a mock writes nothing outside its worktrees")
{
    mock_options.reply.output = "much to say\n";
    mock_options.reply.artifacts = {"report.md"};
    const auto before = std::filesystem::exists(".tapps-agents/output");
    (void)run({"build", tree});
    CHECK(read_file(tree / "report.md").starts_with("made by a mock agent: build"));
    CHECK_FALSE(std::filesystem::exists(project / ".tapps-agents/output"));
    CHECK(std::filesystem::exists(".tapps-agents/output") == before);
}

TEST_CASE("fixtures write the files of a project")
{
    const testing::TemporaryProject project;
    project.write_config("auto_execution:\n  polling: {timeout_seconds: 7}\n");
    project.write_agents("agents:\n  - {name: dev, type: background, commands: [x]}\n");
    AutoExecutionConfigManager manager({}, project.path());
    CHECK(manager.load().executor.timeout == 7s);
    CHECK(load_agents(project.path()).file.agents.at(0).name == "dev");
    CHECK_THROWS_AS(write_file(project.path(), "../outside", ""), system_error);
}

TEST_CASE("fixtures write command and status files, and read them")
{
    const testing::TemporaryProject project;
    testing::MockCommand command;
    command.worktree = project.make_worktree("tree");
    CHECK_FALSE(testing::read_command_file(command.worktree));
    command.command = "build";
    command.agent = "dev";
    command.attempt_id = "a";
    command.attempt = 2;
    command.step_id = "s";
    testing::write_command_file(command);
    const auto read = testing::read_command_file(command.worktree);
    REQUIRE(read);
    CHECK(read->command == "build");
    CHECK(read->agent == "dev");
    CHECK(read->attempt_id == "a");
    CHECK(read->attempt == 2);
    CHECK(read->step_id == "s");
    CHECK_FALSE(read->workflow_id);

    AgentStatus status;
    status.status = ReportedStatus::failed;
    status.error = CommandError{"no disk", "disk", true, 0};
    CHECK_FALSE(testing::read_status_file(command.worktree));
    testing::write_status_file(command.worktree, status);
    const auto reported = testing::read_status_file(command.worktree);
    REQUIRE(reported);
    CHECK(reported->status == ReportedStatus::failed);
    CHECK(reported->error == status.error);
}

TEST_CASE_FIXTURE(Application, "a mock agent asks, and the application answers")
{
    struct Answering final : EventSink {
        void publish(const Event& event) override
        {
            if (event.type == EventType::input_needed)
                executor->answer(event.attempt_id, {event.question->id, "", text});
        }
        BackgroundAgentAutoExecutor* executor = nullptr;
        std::string text;
    };
    Question question{QuestionKind::question, "q", "Which port?", {}, {}};
    std::vector<Answer> answers;
    const auto sink = std::make_shared<Answering>();
    std::string code;
    SUBCASE("with a text")
    {
        sink->text = "8080";
    }
    SUBCASE("with none") {}
    SUBCASE("by denying a permission")
    {
        question.kind = QuestionKind::permission;
        code = "permission_needed";
    }
    options.offers = local_offers();
    options.agent_in_process = true;
    options.retry.max_attempts = 1;
    mock_options.offers = options.offers;
    mock_options.reply.question = question;
    mock_options.reply.on_answer = [&](const Answer& answer) { answers.push_back(answer); };
    on_executor = [&](BackgroundAgentAutoExecutor& executor) {
        sink->executor = &executor;
        executor.subscribe(sink);
    };
    const auto result = run({"build", tree});
    CHECK(answers == std::vector{Answer{"q", "", sink->text}});
    CHECK((result.error ? result.error->code : "") == code);
}

TEST_CASE_FIXTURE(Application, "the options of a question show no secret in the status file")
{
    struct Reading final : EventSink {
        void publish(const Event& event) override
        {
            if (event.type != EventType::input_needed) return;
            status = testing::read_status_file(event.worktree);
            executor->answer(event.attempt_id, {event.question->id, "a", ""});
        }
        BackgroundAgentAutoExecutor* executor = nullptr;
        std::optional<AgentStatus> status;
    };
    const std::string secret = "ghp_0123456789abcdefghijABCDEFGHIJ012345";
    Question question{QuestionKind::question, "q", "Which?", {}, {}};
    question.options = {{"a", ""}, {"b", "token=" + secret}, {secret, "c"}};
    std::vector<Answer> answers;
    const auto sink = std::make_shared<Reading>();
    options.offers = local_offers();
    options.agent_in_process = true;
    mock_options.offers = options.offers;
    mock_options.reply.question = question;
    mock_options.reply.on_answer = [&](const Answer& answer) { answers.push_back(answer); };
    on_executor = [&](BackgroundAgentAutoExecutor& executor) {
        sink->executor = &executor;
        executor.subscribe(sink);
    };
    CHECK(run({"build", tree}).status == ExecutionStatus::completed);
    REQUIRE(sink->status);
    REQUIRE(sink->status->waiting_for);
    const auto& shown = sink->status->waiting_for->options;
    REQUIRE(shown.size() == 2);
    CHECK(shown[0] == QuestionOption{"a", "a"});
    CHECK(shown[1].id == "b");
    CHECK_FALSE(contains(shown[1].label, secret));
    CHECK(answers == std::vector{Answer{"q", "a", ""}});
}

TEST_SUITE_END();
