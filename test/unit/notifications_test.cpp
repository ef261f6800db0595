#include "notify/notifications.hpp"
#include "support/scripted_spawner.hpp"
#include "support/virtual_clock.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/json/parse.hpp>

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <memory>
#include <string>
#include <vector>

using namespace autoexec;
using namespace autoexec::notify;
using namespace autoexec::test;
using namespace std::chrono_literals;

namespace {

struct NotificationsFixture {
    NotificationsFixture()
    {
        options.project_root = "/home/me/shop";
        options.clock = clock;
        options.spawner = spawner;
        options.config.completed = options.config.failed = options.config.needs_input = true;
        options.program = {"tell-me"};
        options.ring = [this](std::string_view text) { rung.emplace_back(text); };
        options.report = [this](const std::string& problem) { problems.push_back(problem); };
    }

    Notifications& notifications()
    {
        if (!made) made = std::make_shared<Notifications>(ctx.get_executor(), options);
        return *made;
    }
    void end(ExecutionStatus status, std::string id = {})
    {
        ExecutionResult result;
        result.status = status;
        result.execution_id = id.empty() ? std::to_string(++ended) : std::move(id);
        result.command = "make test";
        result.worktree = "/trees/a";
        if (status != ExecutionStatus::completed)
            result.error = CommandError{"exit code 2", "exit_2", false, 0};
        notifications().add_result(result);
    }
    void ask(const std::string& attempt, const std::string& id)
    {
        Event event;
        event.type = EventType::input_needed;
        event.execution_id = "e";
        event.attempt_id = attempt;
        event.command = "make test";
        event.worktree = "/trees/a";
        event.question = Question{QuestionKind::question, id, "Which port?", {}, {}};
        event.details["waiting_for"] = {{"text", "Which port?"}};
        notifications().publish(event);
    }
    void drain()
    {
        asio::co_spawn(ctx, notifications().drain(),
                       [this](std::exception_ptr) { drained_at = clock->elapsed(); });
    }
    void poll()
    {
        ctx.restart();
        ctx.poll();
    }
    [[nodiscard]] boost::json::object message(std::size_t i) const
    {
        return boost::json::parse(spawner->programs.at(i)->spec.input).as_object();
    }

    asio::io_context ctx;
    std::shared_ptr<VirtualClock> clock = std::make_shared<VirtualClock>();
    std::shared_ptr<ScriptedSpawner> spawner = std::make_shared<ScriptedSpawner>();
    NotificationsOptions options;
    std::shared_ptr<Notifications> made;
    std::vector<std::string> rung;
    std::vector<std::string> problems;
    std::chrono::nanoseconds drained_at{-1};
    int ended = 0;
};

}  // namespace

TEST_SUITE_BEGIN("notify");

TEST_CASE_FIXTURE(NotificationsFixture, "a program gets a notification as JSON, in the project")
{
    spawner->on_wait = [](ScriptedProgram& program) { program.exit(0); };
    end(ExecutionStatus::failed, "e1");
    clock->run(ctx);
    REQUIRE(spawner->programs.size() == 1);
    CHECK(spawner->last().spec.argv == std::vector<std::string>{"tell-me"});
    CHECK(spawner->last().spec.directory == "/home/me/shop");
    const auto told = message(0);
    CHECK(told.at("kind") == "failed");
    CHECK(told.at("text") == "failed in a: make test: exit code 2");
    CHECK(told.at("project") == "/home/me/shop");
    CHECK(told.at("execution_id") == "e1");
    CHECK(told.at("error_code") == "exit_2");
    CHECK(problems.empty());
}

TEST_CASE_FIXTURE(NotificationsFixture, "what follows within ten seconds becomes one notification")
{
    spawner->on_wait = [](ScriptedProgram& program) { program.exit(0); };
    for (int i = 0; i < 50; ++i) end(ExecutionStatus::completed);
    end(ExecutionStatus::cancelled);
    end(ExecutionStatus::timeout);
    clock->run_until(ctx, 9s);
    CHECK(spawner->programs.size() == 1);
    clock->run_until(ctx, 11s);
    REQUIRE(spawner->programs.size() == 2);
    CHECK(message(1).at("text") == "50 more ended: 49 completed, 1 failed");
    clock->run(ctx);
    CHECK(spawner->programs.size() == 2);
}

TEST_CASE_FIXTURE(NotificationsFixture, "a question is sent once, and only ten of an attempt")
{
    spawner->on_wait = [](ScriptedProgram& program) { program.exit(0); };
    notifications().send_every_result_to({"every"});
    ask("a", "1");
    ask("a", "1");
    for (int i = 2; i < 20; ++i) ask("a", std::to_string(i));
    clock->run(ctx);
    std::size_t every = 0;
    std::string digest;
    for (std::size_t i = 0; i < spawner->programs.size(); ++i) {
        const bool is_every = spawner->programs[i]->spec.argv.front() == "every";
        every += is_every ? 1U : 0U;
        CHECK(message(i).contains("kind") != is_every);
        if (!is_every) digest = message(i).at("text").as_string().c_str();
    }
    CHECK(every == 10);
    CHECK(digest == "8 more wait for an answer");
}

TEST_CASE_FIXTURE(NotificationsFixture, "a program that hangs is stopped after a minute")
{
    end(ExecutionStatus::completed);
    drain();
    clock->run(ctx);
    CHECK(spawner->last().stops == 1);
    CHECK(drained_at == 60s);
    CHECK(problems ==
          std::vector<std::string>{"notify.program: tell-me: it did not end within a minute"});
}

TEST_CASE_FIXTURE(NotificationsFixture, "at most four programs run at the same time")
{
    notifications().send_every_result_to({"every"});
    for (int i = 0; i < 9; ++i) end(ExecutionStatus::cancelled);
    poll();
    CHECK(spawner->running() == 4);
    spawner->programs[1]->exit(0);
    poll();
    CHECK(spawner->programs.size() == 5);
    CHECK(spawner->running() == 4);
    drain();
    clock->run(ctx);
    CHECK(spawner->programs.size() == 9);
    CHECK(drained_at == 120s);
}

TEST_CASE_FIXTURE(NotificationsFixture, "a setting with a program that fails is reported once")
{
    options.config.desktop = true;
    options.program.clear();
    spawner->on_wait = [](ScriptedProgram& program) {
        program.print("no display\n", OutputStream::standard_error);
        program.exit(1);
    };
    for (int i = 0; i < 3; ++i) {
        end(ExecutionStatus::completed);
        clock->run_until(ctx, clock->elapsed() + 11s);
    }
    CHECK(spawner->programs.size() == 3);
    CHECK(problems == std::vector<std::string>{
                          "notify.desktop: notify-send: it exited with code 1: no display"});
    spawner->refusal = errc::no_resources;
    end(ExecutionStatus::completed);
    clock->run(ctx);
    CHECK(problems.back() == "notify.desktop: notify-send: It cannot be started.");
}

TEST_CASE_FIXTURE(NotificationsFixture, "the end of a run sends what waits, and waits for programs")
{
    end(ExecutionStatus::completed);
    end(ExecutionStatus::failed);
    end(ExecutionStatus::failed);
    drain();
    poll();
    REQUIRE(spawner->programs.size() == 2);
    CHECK(message(1).at("text") == "2 more failed");
    CHECK(drained_at < 0s);
    for (const auto& program : spawner->programs) program->exit(0);
    poll();
    CHECK(drained_at == 0s);
}

TEST_CASE_FIXTURE(NotificationsFixture, "the wait for programs can be abandoned")
{
    end(ExecutionStatus::completed);
    drain();
    poll();
    notifications().abandon();
    poll();
    CHECK(drained_at == 0s);
    CHECK(spawner->running() == 1);  // until the context is destroyed
}

TEST_CASE_FIXTURE(NotificationsFixture, "running programs outlive neither the context nor its use")
{
    for (int i = 0; i < 9; ++i) end(ExecutionStatus::completed);
    auto destroyed = std::make_unique<asio::io_context>();
    auto other =
        std::make_shared<Notifications>(destroyed->get_executor(), NotificationsOptions(options));
    other->send_every_result_to({"every"});
    ExecutionResult result;
    result.worktree = "/trees/a";
    for (int i = 0; i < 9; ++i) other->add_result(result);
    destroyed->poll();
    other.reset();
    destroyed.reset();
    CHECK(spawner->running() == 0);
}

TEST_CASE_FIXTURE(NotificationsFixture, "the bell rings if it is configured, also after a reload")
{
    options.program.clear();
    end(ExecutionStatus::completed);
    CHECK(rung.empty());
    auto config = options.config;
    config.bell = true;
    notifications().set_config(config);
    clock->run_until(ctx, 20s);
    end(ExecutionStatus::completed);
    CHECK(rung == std::vector<std::string>{"completed in a: make test"});
    CHECK(spawner->programs.empty());
}

TEST_CASE("a desktop takes no part of a text for markup or an escape sequence")
{
    CHECK(desktop_call(R"(a <b>&amp; \033 \n)", "/home/me/shop") ==
          std::vector<std::string>{"notify-send", "--app-name=autoexec", "--", "autoexec: shop",
                                   R"(a &lt;b&gt;&amp;amp; \\033 \\n)"});
    CHECK(desktop_call("-h", "/home/me/--help").at(2) == "--");
}

TEST_CASE("a terminal that knows no notifications only rings")
{
    CHECK(terminal_bytes("4;done", "xterm") == "\a\x1b]9;autoexec: 4;done\a");
    for (const auto* const term : {"", "dumb", "linux"})
        CHECK(terminal_bytes("done", term) == "\a");
}

TEST_CASE("the text of a notification is one short line without control characters")
{
    ExecutionResult result;
    result.status = ExecutionStatus::failed;
    result.command = "echo \x1b]9;x\x07\nrm " + std::string(1'000'000, 'x');
    result.worktree = "/trees/\x1b[2J";
    result.error = CommandError{"caf\xc3\xa9 \xe2\x80\xae" + std::string(200, 'e'), "", false, 0};
    const auto text = notification_of(result).text;
    CHECK(text.size() <= 300);
    CHECK(text.starts_with(R"(failed in \x1b[2J: echo \x1b]9;x\x07 rm xxx)"));
    CHECK(text.find("…: café \\u202eeee") != std::string::npos);
    for (const char c : text) CHECK(static_cast<unsigned char>(c) >= 0x20);
    CHECK(one_line("ääää", 6) == "ä…");
}

TEST_SUITE_END();
