#include "autoexec/agent.hpp"
#include "autoexec/executor.hpp"
#include "files/safe_files.hpp"
#include "protocol/control_files.hpp"
#include "support/agent_fixture.hpp"
#include "support/executor_fixture.hpp"
#include "support/temporary_folder.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>

#include <doctest/doctest.h>

#include <sys/inotify.h>
#include <sys/types.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <csignal>
#include <cstdlib>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

using namespace autoexec;
using namespace autoexec::test;
using namespace std::chrono_literals;

namespace {

/// Executor and agent in one process, as `autoexec run` has them; programs are real.
struct ProcessFixture {
    TemporaryFolder project;
    std::filesystem::path tree = project / "tree";
    AgentOptions agent_options;
    ExecutorOptions options;
    std::shared_ptr<RecordingSink> sink = std::make_shared<RecordingSink>();
    asio::io_context ctx;
    std::unique_ptr<BackgroundAgent> agent;
    std::unique_ptr<BackgroundAgentAutoExecutor> executor;

    ProcessFixture()
    {
        std::filesystem::create_directory(tree);
        const auto notifier = local_notifier();
        agent_options.project_root = project.path();
        agent_options.worktrees = {tree};
        agent_options.find_worktrees = false;
        agent_options.alone = true;
        agent_options.notifier = notifier;
        agent_options.stop_grace = 300ms;
        agent_options.spawner = supervised_spawner(AUTOEXEC_BINARY_DIR "/autoexec-supervise");
        agents("sh -c {command}");
        options.project_root = project.path();
        options.notifier = notifier;
        options.polling_interval = 50ms;
        options.timeout = 60s;
        options.enable_audit = false;
        options.enable_metrics = false;
        options.retry.max_attempts = 1;
        options.stop_grace = 300ms;
    }

    void agents(const std::string& command, const std::string& fields = {})
    {
        agent_options.agents =
            agents_from("agents:\n  - name: dev\n    type: background\n    commands: ['" + command +
                        "']\n" + fields);
    }

    /// Runs one command to its end. `meanwhile` is looked at every few milliseconds.
    ExecutionResult run(CommandRequest request, const std::function<void()>& meanwhile = {})
    {
        agent = std::make_unique<BackgroundAgent>(ctx.get_executor(), agent_options);
        executor = std::make_unique<BackgroundAgentAutoExecutor>(ctx.get_executor(), options);
        executor->subscribe(sink);
        std::optional<ExecutionResult> result;
        const auto main = [&]() -> asio::awaitable<void> {
            auto ended = co_await executor->execute_command(std::move(request));
            co_await agent->stop();
            co_await executor->stop();
            result = std::move(ended);
        };
        asio::co_spawn(ctx, agent->run(), asio::detached);
        asio::co_spawn(ctx, main(), [](std::exception_ptr e) {
            if (e) std::rethrow_exception(e);
        });
        const auto limit = std::chrono::steady_clock::now() + 120s;
        while (ctx.run_one_for(10ms), !ctx.stopped()) {
            if (meanwhile) meanwhile();
            REQUIRE(std::chrono::steady_clock::now() < limit);
        }
        REQUIRE(result);
        for (const auto* name : {control_files::command, control_files::status,
                                 control_files::cancel, control_files::claims_folder})
            CHECK_FALSE(std::filesystem::exists(tree / name));
        return *std::move(result);
    }
    ExecutionResult run(std::string script, const std::function<void()>& meanwhile = {})
    {
        return run(CommandRequest(std::move(script), tree), meanwhile);
    }

    std::string log(const ExecutionResult& result)
    {
        return read_file(project / (".tapps-agents/output/" + result.attempt_id + ".log"));
    }
    bool is_there(std::string_view name) const { return std::filesystem::exists(tree / name); }

    /// The process whose id a script has written to a file.
    pid_t process_in(std::string_view name) const
    {
        return static_cast<pid_t>(std::atol(read_file(tree / name).c_str()));
    }
};

bool lives(pid_t pid)
{
    return pid > 0 && ::kill(pid, 0) == 0;
}

}  // namespace

TEST_SUITE_BEGIN("agent_process");

TEST_CASE_FIXTURE(ProcessFixture, "a command runs in its worktree and its files are artifacts")
{
    CommandRequest request("pwd; echo made > out.txt; echo warning >&2", tree);
    request.expected_artifacts = {"out.txt"};
    const auto result = run(std::move(request));
    CHECK(result.status == ExecutionStatus::completed);
    CHECK(result.exit_code == 0);
    CHECK(result.verified == Verification::all);
    CHECK(result.output.find(tree.string() + "\n") != std::string::npos);
    CHECK(result.output.find("warning\n") != std::string::npos);
    CHECK(log(result) == result.output);
}

TEST_CASE_FIXTURE(ProcessFixture, "a program is driven by the Agent Client Protocol")
{
    write_file(project / "fake.sh", R"(
read -r initialize; echo '{"jsonrpc":"2.0","id":1,"result":{"protocolVersion":1}}'
read -r new; echo '{"jsonrpc":"2.0","id":2,"result":{"sessionId":"abc"}}'
read -r prompt
echo "$prompt" | wc -c >length
head -c 200000 /dev/zero | tr '\0' x >&2
echo '{"jsonrpc":"2.0","id":9,"method":"session/request_permission","params":{"sessionId":"abc",'\
'"toolCall":{"toolCallId":"t","kind":"edit","title":"Write out.md","locations":[{"path":"out.md"}]},'\
'"options":[{"optionId":"y","kind":"allow_once"},{"optionId":"n","kind":"reject_once"}]}}'
read -r answer
case $answer in *'"y"'*) echo made >out.md ;; esac
echo '{"jsonrpc":"2.0","id":3,"result":{"stopReason":"end_turn"}}'
read -r end || echo closed >closed
)");
    std::string rules;
    SUBCASE("which allows")
    {
        rules = "    permissions: [{path: '*.md', allow: true}]\n";
    }
    SUBCASE("which denies") {}
    agents("sh ../fake.sh", "    driver: acp\n" + rules);
    CommandRequest request(std::string(100'000, 'c'), tree);
    request.expected_artifacts = {"out.md"};
    request.require_artifacts = true;
    const auto result = run(std::move(request));
    CHECK(std::stoi(read_file(tree / "length")) > 100'000);
    CHECK(is_there("closed"));
    CHECK(is_there("out.md") == !rules.empty());
    if (rules.empty())
        CHECK(result.error.value().code == "permission_needed");
    else
        CHECK(result.status == ExecutionStatus::completed);
}

TEST_CASE_FIXTURE(ProcessFixture, "the end of a program raises a file event beside its claim")
{
    const auto claims = tree / control_files::claims_folder;
    std::filesystem::create_directory(claims);
    const files::UniqueFd watcher(::inotify_init1(IN_NONBLOCK | IN_CLOEXEC));
    REQUIRE(::inotify_add_watch(watcher.get(), claims.c_str(), IN_CLOSE_WRITE) >= 0);
    CHECK(run("true").status == ExecutionStatus::completed);
    alignas(inotify_event) std::array<char, 4096> buffer{};
    CHECK(::read(watcher.get(), buffer.data(), buffer.size()) > 0);
}

TEST_CASE_FIXTURE(ProcessFixture, "the end of a program is reported")
{
    SUBCASE("exit code")
    {
        const auto result = run("echo broken >&2; exit 3");
        CHECK(result.error->code == "exit_3");
        CHECK(result.error->message == "sh exited with code 3: broken");
        CHECK(result.exit_code == 3);
        CHECK_FALSE(result.error->retryable);
    }
    SUBCASE("signal")
    {
        const auto result = run("kill -9 $$");
        CHECK(result.error->code == "signal_9");
        CHECK(result.signal == 9);
    }
    SUBCASE("not found")
    {
        agents("no-such-program-anywhere {command}");
        const auto result = run("x");
        CHECK(result.error->code == "spawn_failed");
        CHECK(result.error->message.find("no-such-program-anywhere") != std::string::npos);
    }
    SUBCASE("no such working directory")
    {
        agents("sh -c {command}", "    working_directory: nowhere\n");
        const auto result = run("true");
        CHECK(result.error->code == "invalid_working_directory");
    }
}

TEST_CASE_FIXTURE(ProcessFixture, "exit code 75 is tried again")
{
    options.retry.max_attempts = 3;
    options.retry.initial_delay = 1ms;
    const auto result = run("echo x >> tries; test $AUTOEXEC_ATTEMPT -ge 3 || exit 75");
    CHECK(result.status == ExecutionStatus::completed);
    CHECK(result.attempts == 3);
    CHECK(read_file(tree / "tries") == "x\nx\nx\n");
}

TEST_CASE_FIXTURE(ProcessFixture, "a value arrives as it was sent")
{
    const std::string text = "-n 'it''s' \"$HOME\" `id`\n$(touch touched) \\ *";
    SUBCASE("as an argument")
    {
        agents("printf %s {command}");
    }
    SUBCASE("in a script")
    {
        agents("printf %s {command}", "    shell: true\n");
    }
    const auto result = run(text);
    CHECK(result.status == ExecutionStatus::completed);
    CHECK(log(result) == text);
    CHECK_FALSE(is_there("touched"));
}

TEST_CASE_FIXTURE(ProcessFixture,
                  "git variables of this process lead no program to another repository")
{
    ::setenv("GIT_DIR", "/elsewhere", 1);
    const auto result = run("echo \"dir=$GIT_DIR\"; echo \"in=$(cat)\"");
    ::unsetenv("GIT_DIR");
    CHECK(result.output == "dir=\nin=\n");
}

TEST_CASE_FIXTURE(ProcessFixture, "a cancelled command leaves no process, however it hides")
{
    // One that ignores TERM, and one that left the session and its parent.
    const auto script =
        "setsid sh -c 'echo $$ > far; exec sleep 1000' & "
        "trap '' TERM; echo $$ > near; while :; do sleep 1000; done";
    pid_t near = 0;
    pid_t far = 0;
    const auto result = run(script, [&] {
        if (near > 0 && far > 0) return;
        near = process_in("near");
        far = process_in("far");
        if (near <= 0 || far <= 0) return;
        CHECK(lives(near));
        CHECK(lives(far));
        executor->cancel(sink->events.front().execution_id);
    });
    CHECK(result.status == ExecutionStatus::cancelled);
    CHECK_FALSE(lives(near));
    CHECK_FALSE(lives(far));
}

TEST_CASE_FIXTURE(ProcessFixture, "a time-out stops the program before the result is reported")
{
    options.timeout = 500ms;
    const auto result = run("echo $$ > pid; sleep 1000");
    CHECK(result.status == ExecutionStatus::timeout);
    CHECK(process_in("pid") > 0);
    CHECK_FALSE(lives(process_in("pid")));
    CHECK(result.warnings.empty());
}

TEST_CASE_FIXTURE(ProcessFixture, "a flood of output is capped in the log and in the result")
{
    agent_options.max_output_bytes = 100'000;
    agent_options.max_output_tail_bytes = 1000;
    const auto result = run("head -c 3000000 /dev/zero | tr '\\0' x; echo end");
    CHECK(result.status == ExecutionStatus::completed);
    CHECK(result.output.size() <= 1000);
    CHECK(result.output.ends_with("end\n"));
    CHECK(log(result).size() < 101'000);
    CHECK(log(result).find("not kept") != std::string::npos);
}

TEST_CASE_FIXTURE(ProcessFixture, "what a program cleans away does not cost its result")
{
    SUBCASE("all files of the worktree")
    {
        const auto result = run("find . -mindepth 1 -delete; echo done");
        CHECK(result.status == ExecutionStatus::completed);
        CHECK(result.output == "done\n");
    }
    SUBCASE("the output's folder")
    {
        const auto result = run("rm -rf ../.tapps-agents; echo done");
        CHECK(result.status == ExecutionStatus::completed);
        CHECK(result.output == "done\n");
    }
}

TEST_CASE_FIXTURE(ProcessFixture, "a program that deletes its worktree is stopped")
{
    const auto result = run("echo $$ > ../pid; rm -rf \"$PWD\"; cd /; sleep 1000");
    CHECK(result.status == ExecutionStatus::failed);
    CHECK(result.error->code == "worktree_lost");
    const auto pid = static_cast<pid_t>(std::atol(read_file(project / "pid").c_str()));
    CHECK(pid > 0);
    CHECK_FALSE(lives(pid));
}

TEST_CASE_FIXTURE(ProcessFixture, "planted files harm neither side")
{
    // The status's own name, taken before the agent writes it for the last time.
    const auto result =
        run("rm -f .cursor-skill-status.json; mkfifo .cursor-skill-status.json; "
            "ln -s /etc/passwd .cursor-skill-cancel.json; echo done");
    CHECK(result.status == ExecutionStatus::completed);
    CHECK(result.output == "done\n");
}

TEST_CASE_FIXTURE(ProcessFixture, "both sides work on several threads")
{
    constexpr int trees = 4;
    constexpr int each = 5;
    for (int i = 0; i < trees; ++i) {
        agent_options.worktrees.push_back(project / std::to_string(i));
        std::filesystem::create_directory(agent_options.worktrees.back());
    }
    agent = std::make_unique<BackgroundAgent>(ctx.get_executor(), agent_options);
    executor = std::make_unique<BackgroundAgentAutoExecutor>(ctx.get_executor(), options);
    asio::co_spawn(ctx, agent->run(), asio::detached);
    std::atomic<int> completed = 0;
    std::atomic<int> left = trees * each;
    const auto stop = [&]() -> asio::awaitable<void> {
        co_await agent->stop();
        co_await executor->stop();
    };
    for (int i = 0; i < trees * each; ++i)
        executor->async_execute_command({"echo x >> out", project / std::to_string(i % trees)},
                                        [&](error_code ec, ExecutionResult result) {
                                            if (!ec && result.status == ExecutionStatus::completed)
                                                ++completed;
                                            if (--left == 0)
                                                asio::co_spawn(ctx, stop(), asio::detached);
                                        });
    std::vector<std::thread> threads;
    for (int i = 0; i < 3; ++i) threads.emplace_back([&] { ctx.run_for(60s); });
    for (auto& thread : threads) thread.join();
    REQUIRE(ctx.stopped());
    CHECK(completed == trees * each);
    for (int i = 0; i < trees; ++i)
        CHECK(read_file(project / std::to_string(i) / "out").size() == 2 * each);
}

TEST_CASE_FIXTURE(ProcessFixture,
                  "a program that its stopped agent ran is gone when the stop completes")
{
    pid_t pid = 0;
    bool stopped = false;
    const auto result = run("echo $$ > pid; sleep 1000", [&] {
        pid = process_in("pid");
        if (pid == 0 || stopped) return;
        stopped = true;
        asio::co_spawn(ctx, agent->stop(), [pid](std::exception_ptr) { CHECK_FALSE(lives(pid)); });
    });
    CHECK(result.status == ExecutionStatus::failed);
    CHECK(result.error->code == "agent_stopped");
}

TEST_SUITE_END();
