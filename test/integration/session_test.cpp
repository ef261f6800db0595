#include "autoexec/session.hpp"
#include "support/executor_fixture.hpp"
#include "support/scripted_spawner.hpp"
#include "support/sweep.hpp"
#include "support/temporary_folder.hpp"
#include "support/virtual_clock.hpp"

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/thread_pool.hpp>
#include <boost/asio/use_future.hpp>

#include <doctest/doctest.h>

#include <chrono>
#include <filesystem>
#include <future>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

using namespace autoexec;
using namespace autoexec::test;
using namespace std::chrono_literals;
namespace fs = std::filesystem;

namespace {

/// A session over real files, in virtual time, whose programs are scripted.
struct SessionFixture {
    TemporaryFolder project;
    std::shared_ptr<VirtualClock> clock = std::make_shared<VirtualClock>();
    std::shared_ptr<ScriptedSpawner> spawner = std::make_shared<ScriptedSpawner>();
    SessionOptions options = plain_options();
    std::vector<ExecutionResult> results;
    std::vector<error_code> errors;

    asio::io_context ctx;
    asio::cancellation_signal cancel;
    std::unique_ptr<Session> session;

    SessionOptions plain_options() const
    {
        SessionOptions o;
        o.executor.project_root = project.path();
        o.executor.clock = clock;
        o.executor.enable_audit = false;
        o.executor.enable_metrics = false;
        o.executor.retry.max_attempts = 1;
        o.agent.spawner = spawner;
        return o;
    }

    Session& make()
    {
        if (!session) session = std::make_unique<Session>(ctx, options);
        return *session;
    }
    fs::path tree(const std::string& name) const
    {
        fs::create_directory(project / name);
        return project / name;
    }
    void start(CommandRequest request)
    {
        make().async_run(
            std::move(request),
            asio::bind_cancellation_slot(cancel.slot(), [this](error_code ec, ExecutionResult r) {
                errors.push_back(ec);
                results.push_back(std::move(r));
            }));
    }
    void start(const std::string& name) { start(CommandRequest("build", tree(name))); }

    /// Every program ends at once, as it would by itself.
    void programs_exit(int code)
    {
        spawner->on_wait = [code](ScriptedProgram& program) { program.exit(code); };
    }

    /// Returns when the session has nothing to do.
    void run() { clock->run(ctx); }
};

std::string what_of_construction(asio::io_context& ctx, const SessionOptions& options,
                                 error_code expected)
{
    try {
        const Session session(ctx, options);
    } catch (const system_error& e) {
        CHECK(e.code() == expected);
        return e.what();
    }
    FAIL("nothing was thrown");
    return {};
}

}  // namespace

TEST_SUITE_BEGIN("session");

TEST_CASE_FIXTURE(SessionFixture, "a command runs, and then the context has no work left")
{
    programs_exit(0);
    start("tree");
    run();
    REQUIRE(results.size() == 1);
    CHECK_FALSE(errors.front());
    CHECK(results.front().status == ExecutionStatus::completed);
    const std::vector<std::string> shell{"/bin/sh", "-c", "--", "build"};
    CHECK(spawner->last().spec.argv == shell);
    CHECK(spawner->last().spec.directory == project / "tree");
    CHECK(clock->elapsed() < 1s);  // nothing was polled for

    start(CommandRequest({"make", "all"}, "tree"));  // counts from the project root
    run();
    REQUIRE(results.size() == 2);
    CHECK(results.back().status == ExecutionStatus::completed);
    const std::vector<std::string> words{"make", "all"};
    CHECK(spawner->last().spec.argv == words);
}

TEST_CASE_FIXTURE(SessionFixture, "an agent that is down gets no commands, and its fallback does")
{
    AgentDefinition main;
    main.name = "main";
    main.commands = {"main {command}"};
    auto& success = main.outcome.events.emplace_back();
    success.when = {{"/type", EventCondition::Kind::equals, "end"}};
    success.meaning = EventMeaning::success;
    main.outcome.exit_codes[41] = "auth";
    bool has_fallback = false;
    SUBCASE("without a fallback") {}
    SUBCASE("with one")
    {
        has_fallback = true;
    }
    options.agents.emplace();
    if (has_fallback) {
        AgentDefinition spare;
        spare.name = "spare";
        spare.commands = {"spare {command}"};
        main.fallback = {"spare"};
        options.agents->agents.push_back(spare);
    }
    options.agents->agents.push_back(main);
    spawner->on_wait = [](ScriptedProgram& program) {
        program.exit(program.spec.argv.front() == "main" ? 41 : 0);
    };
    for (int i = 0; i < 5; ++i) {
        CommandRequest request("build", tree("tree" + std::to_string(i)));
        if (has_fallback) request.agent = "main";  // without, it is the only one
        start(std::move(request));
        run();
    }
    REQUIRE(results.size() == 5);
    CHECK(results[2].error->code == "auth");
    CHECK(spawner->programs.size() == (has_fallback ? 5 : 3));
    CHECK(spawner->last().spec.argv.front() == (has_fallback ? "spare" : "main"));
    if (!has_fallback) CHECK(results[4].error->code == "agent_unavailable");
    CHECK((results[4].status == ExecutionStatus::completed) == has_fallback);
}

TEST_CASE_FIXTURE(SessionFixture, "worktrees run at the same time, one worktree in order")
{
    std::size_t max_running = 0;
    spawner->on_wait = [&](ScriptedProgram& program) {
        max_running = std::max(max_running, spawner->running());
        clock->at(clock->elapsed() + 1s, [&program] { program.exit(0); });
    };
    SUBCASE("without a limit")
    {
        for (const auto* name : {"a", "b", "c", "a"}) start(name);
        run();
        CHECK(max_running == 3);
    }
    SUBCASE("with one of the agents file")
    {
        options.agents = shell_agents();
        options.agents->max_parallel_agents = 2;
        for (const auto* name : {"a", "b", "c", "a"}) start(name);
        run();
        CHECK(max_running == 2);
    }
    SUBCASE("with one of the agent")
    {
        options.agents = shell_agents();
        options.agents->agents.front().max_parallel = 1;
        for (const auto* name : {"a", "b", "c", "a"}) start(name);
        run();
        CHECK(max_running == 1);
    }
    REQUIRE(results.size() == 4);
    for (const auto& result : results) CHECK(result.status == ExecutionStatus::completed);
}

TEST_CASE_FIXTURE(SessionFixture, "failures and time-outs are results")
{
    SUBCASE("failed")
    {
        programs_exit(3);
        start("tree");
        run();
        CHECK(results.at(0).status == ExecutionStatus::failed);
        CHECK(results.at(0).exit_code == 3);
    }
    SUBCASE("timed out")
    {
        CommandRequest request("hang", tree("tree"));
        request.timeout = 7s;
        start(std::move(request));
        run();
        CHECK(results.at(0).status == ExecutionStatus::timeout);
        CHECK(results.at(0).duration >= 7s);
        CHECK(results.at(0).duration < 8s);
        CHECK(spawner->last().stops == 1);
    }
    CHECK_FALSE(errors.at(0));
    CHECK(spawner->running() == 0);
}

TEST_CASE_FIXTURE(SessionFixture, "an agent's time-out does not count the time of a suspension")
{
    CommandRequest request("work", tree("tree"));
    request.timeout = 1h;
    start(std::move(request));
    clock->at(20min, [&] { clock->suspend(8h); });
    clock->at(59min, [&] { spawner->last().exit(0); });
    run();
    CHECK(results.at(0).status == ExecutionStatus::completed);
    CHECK(spawner->last().stops == 0);
}

TEST_CASE_FIXTURE(SessionFixture, "a command that cannot be published is an error with a sentence")
{
    programs_exit(0);
    start(CommandRequest("build", project / "nowhere"));
    run();
    CHECK(errors.at(0) == errc::invalid_worktree);
    REQUIRE(results.at(0).error);
    CHECK(spawner->programs.empty());
}

TEST_CASE_FIXTURE(SessionFixture, "cancellation stops the program; the session stays usable")
{
    start("tree");
    SUBCASE("partial: the result comes when the program has ended")
    {
        clock->at(5s, [&] {
            spawner->last().deaf = true;
            cancel.emit(asio::cancellation_type::partial);
        });
        clock->at(8s, [&] {
            CHECK(results.empty());
            spawner->last().exit(0);
        });
        run();
    }
    SUBCASE("terminal: it comes at once, and the program is stopped meanwhile")
    {
        clock->at(5s, [&] {
            spawner->last().deaf = true;
            cancel.emit(asio::cancellation_type::terminal);
        });
        clock->at(8s, [&] {
            CHECK(results.size() == 1);
            CHECK(spawner->last().stops > 0);
            spawner->last().exit(0);
        });
        run();
        CHECK(results.at(0).duration == 5s);
    }
    REQUIRE(results.size() == 1);
    CHECK_FALSE(errors.front());
    CHECK(results.front().status == ExecutionStatus::cancelled);
    CHECK(spawner->running() == 0);

    programs_exit(0);
    start("tree");
    run();
    CHECK(results.at(1).status == ExecutionStatus::completed);
}

TEST_CASE_FIXTURE(SessionFixture, "a session that is destroyed meanwhile runs its commands")
{
    start("tree");
    clock->at(3s, [&] { session.reset(); });
    clock->at(5s, [&] { spawner->last().exit(0); });
    run();
    CHECK(results.at(0).status == ExecutionStatus::completed);
}

TEST_CASE("programs end with their context")
{
    std::shared_ptr<ScriptedSpawner> spawner;
    {
        SessionFixture fixture;
        spawner = fixture.spawner;
        fixture.start("tree");
        fixture.start("other");
        fixture.clock->run_until(fixture.ctx, 5s);
        CHECK(spawner->running() == 2);
        fixture.session.reset();
    }
    CHECK(spawner->running() == 0);
}

TEST_CASE("the context may end after any handler of a session" * doctest::test_suite("sweep"))
{
    const int stride = is_long_form() ? 1 : 4;
    bool finished = false;
    int steps = 0;
    for (; !finished; steps += stride) {
        CAPTURE(steps);
        std::shared_ptr<ScriptedSpawner> spawner;
        {
            SessionFixture f;
            spawner = f.spawner;
            spawner->on_wait = [&f](ScriptedProgram& program) {
                f.clock->at(f.clock->elapsed() + 1s, [&program] { program.exit(0); });
            };
            f.options.executor.enable_audit = f.options.executor.enable_metrics = true;
            for (const auto* name : {"a", "b", "a"}) f.start(name);
            for (int i = 0; i < steps && !finished; ++i) finished = !f.clock->step(f.ctx);
            if (finished) CHECK(f.results.size() == 3);
            if (steps % 2 == 0) f.session.reset();
        }
        CHECK(spawner->running() == 0);
    }
    CHECK(steps > 50);
}

TEST_CASE_FIXTURE(SessionFixture, "stopping ends what runs, and completes when it has ended")
{
    start("a");
    start("b");
    int stopped = 0;
    clock->at(5s, [&] {
        for (const auto& program : spawner->programs) program->deaf = true;
        for (int i = 0; i < 2; ++i)
            make().async_stop([&](error_code ec) {
                CHECK_FALSE(ec);
                CHECK(results.size() == 2);
                CHECK(spawner->running() == 0);
                ++stopped;
            });
    });
    clock->at(7s, [&] {
        for (const auto& program : spawner->programs) program->exit(0);
    });
    run();
    CHECK(stopped == 2);
    for (const auto& result : results) CHECK(result.status == ExecutionStatus::cancelled);

    start("a");
    run();
    CHECK(errors.back() == errc::stopped);

    // One that has run nothing.
    Session idle(ctx, options);
    idle.async_stop(asio::detached);
    run();
}

TEST_CASE_FIXTURE(SessionFixture, "the agents are those of the project's file, or the given ones")
{
    constexpr std::string_view yaml =
        "agents:\n"
        "  - {name: dev, type: background, retry_count: 1,\n"
        "     commands: ['run {command}']}\n";
    const fs::path file = project / ".cursor/background-agents.yaml";
    SUBCASE("of the file")
    {
        write_file(file, yaml);
    }
    SUBCASE("parsed from a text")
    {
        auto loaded = parse_agents(yaml);
        CHECK(loaded.errors.empty());
        options.agents = std::move(loaded.file);
    }
    SUBCASE("made by hand")
    {
        write_file(file, "not read");
        AgentDefinition dev;
        dev.name = "dev";
        dev.commands = {"run {command}"};
        dev.retry_count = 1;
        options.agents.emplace().agents = {dev};
    }
    programs_exit(75);  // worth another try
    start("tree");
    run();
    REQUIRE(results.size() == 1);
    CHECK(results.front().attempts == 2);
    const std::vector<std::string> words{"run", "build"};
    CHECK(spawner->last().spec.argv == words);
    CHECK(session->agents().agents.at(0).name == "dev");
}

TEST_CASE_FIXTURE(SessionFixture, "agents that cannot be used are refused before anything runs")
{
    const auto contains = [](std::string_view text, std::string_view part) {
        return text.find(part) != text.npos;
    };
    write_file(project / ".cursor/background-agents.yaml", "agents:\n  - {name: 7}\n");
    const auto of_file = what_of_construction(ctx, options, errc::invalid_agents_file);
    CHECK(contains(of_file, "background-agents.yaml:2:"));

    options.agents = shell_agents();
    options.agents->agents.front().commands = {"run {comand}"};
    const auto by_hand = what_of_construction(ctx, options, errc::invalid_agents_file);
    CHECK(contains(by_hand, "agent 'shell': Unknown placeholder '{comand}'"));

    options.agents = shell_agents();
    options.executor.timeout = 0s;
    CHECK(contains(what_of_construction(ctx, options, errc::invalid_options), "timeout"));

    const auto loaded = parse_agents("agents: 7", "here");
    REQUIRE_FALSE(loaded.errors.empty());
    CHECK(loaded.errors.front().path == "here");
    CHECK(loaded.file.agents.empty());
    CHECK_FALSE(loaded.missing);
}

TEST_CASE_FIXTURE(SessionFixture, "the awaitable forms: results are returned, errors thrown")
{
    programs_exit(0);
    std::string sentence;
    const auto main = [&]() -> asio::awaitable<void> {
        auto result = co_await make().run(CommandRequest("build", tree("tree")));
        CHECK(result.status == ExecutionStatus::completed);
        try {
            (void)co_await make().run(CommandRequest("", tree("tree")));
        } catch (const system_error& e) {
            CHECK(e.code() == errc::invalid_command);
            sentence = e.what();
        }
        co_await make().stop();
    };
    asio::co_spawn(ctx, main(), [](std::exception_ptr e) { CHECK_FALSE(e); });
    run();
    CHECK_FALSE(sentence.empty());
}

TEST_CASE("real programs, started from several threads")
{
    const TemporaryFolder project;
    SessionOptions options;
    options.executor.project_root = project.path();
    options.agent.spawner = supervised_spawner(AUTOEXEC_BINARY_DIR "/autoexec-supervise");
    asio::thread_pool pool(3);
    std::vector<std::future<ExecutionResult>> futures;
    {
        Session session(pool, options);
        for (int i = 0; i < 24; ++i) {
            const auto tree = project / std::to_string(i % 6);
            fs::create_directories(tree);
            asio::post(pool, [] {});
            futures.push_back(
                session.async_run(CommandRequest("echo made >> log", tree), asio::use_future));
        }
    }
    for (auto& future : futures) CHECK(future.get().status == ExecutionStatus::completed);
    pool.join();
    for (int i = 0; i < 6; ++i)
        CHECK(read_file(project / std::to_string(i) / "log") == "made\nmade\nmade\nmade\n");
}

TEST_SUITE_END();
