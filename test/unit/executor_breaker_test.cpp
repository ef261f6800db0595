#include "protocol/agent_health.hpp"
#include "protocol/layout.hpp"
#include "records/health_file.hpp"
#include "support/executor_fixture.hpp"
#include "support/text.hpp"
#include "text/text.hpp"

#include <boost/asio/bind_cancellation_slot.hpp>

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

using namespace autoexec;
using namespace autoexec::test;
using namespace std::chrono_literals;
namespace fs = std::filesystem;
using protocol::AgentHealth;

namespace {

/// Commands for agents that fail in a way which says something about the agent.
struct Breaker : ExecutorFixture {
    struct End {
        bool done = false;
        ExecutionResult result;
        std::chrono::nanoseconds at{};
    };
    std::vector<std::unique_ptr<End>> ends;
    std::vector<std::string> ran;  ///< The agent of each attempt.
    asio::cancellation_slot slot;  ///< Of the next command.

    /// What an agent does with each command; by default it completes it, before the poll after 1 s.
    using Agent = std::function<void(MemoryTree&)>;
    std::map<std::string, Agent> agents;

    Breaker() { options.polling_interval = 1s; }

    /// A time of the first day, as people see it.
    static std::string shown(const std::string& time)
    {
        return text::shown_time(text::parse_iso("2026-01-20T" + time + "Z"));
    }

    static void fails(MemoryTree& its, std::string code,
                      std::optional<std::chrono::milliseconds> retry_after = {},
                      std::optional<bool> retryable = {})
    {
        auto status = its.status(ReportedStatus::failed);
        status.error = CommandError{"It said " + code + ".", code, retryable, 0, retry_after};
        its.report(status);
    }

    End& begin(const std::string& path, const std::string& agent = "claude",
               std::function<void(CommandRequest&)> change = {})
    {
        auto& its = handoff->at(path);
        its.on_publish = [this, &its] {
            its.take();
            const auto name = its.command->agent;
            ran.push_back(name);
            clock->at(clock->elapsed() + 990ms, [this, &its, name] {
                if (const auto found = agents.find(name); found != agents.end())
                    found->second(its);
                else
                    its.complete();
            });
        };
        CommandRequest r("build", path);
        r.agent = agent;
        if (change) change(r);
        auto& end = *ends.emplace_back(std::make_unique<End>());
        make().async_execute_command(
            std::move(r),
            asio::bind_cancellation_slot(slot, [&end, this](error_code, ExecutionResult x) {
                end = {true, std::move(x), clock->elapsed()};
            }));
        return end;
    }

    /// One command after the other.
    const End& run(const std::string& agent = "claude",
                   std::function<void(CommandRequest&)> change = {})
    {
        auto& end = begin("/tree", agent, std::move(change));
        clock->run(ctx);
        REQUIRE(end.done);
        return end;
    }

    [[nodiscard]] AgentHealth health(const std::string& agent = "claude") const
    {
        const auto reading = records::read_agent_health(project.path(), clock->system_now());
        CHECK(reading.problem.empty());
        const auto found = reading.agents.find(agent);
        return found == reading.agents.end() ? AgentHealth{} : found->second;
    }
    [[nodiscard]] fs::path health_file() const
    {
        return project.path() / layout::agent_health / "agents.json";
    }
    [[nodiscard]] const Event* event_of(EventType type) const
    {
        for (const auto& event : sink->events)
            if (event.type == type) return &event;
        return nullptr;
    }
    [[nodiscard]] std::string detail(EventType type, const char* key) const
    {
        const auto* const event = event_of(type);
        return event ? std::string(event->details.at(key).as_string()) : "(no event)";
    }
};

}  // namespace

TEST_SUITE_BEGIN("executor breaker");

TEST_CASE_FIXTURE(Breaker, "an expired key costs three failures, and not one for each command")
{
    agents["claude"] = [](MemoryTree& its) { fails(its, "auth"); };
    for (int i = 0; i < 10; ++i) {
        const auto& end = run();
        CHECK(end.result.status == ExecutionStatus::failed);
        CHECK(end.result.attempts == (i < 3 ? 1 : 0));
        CHECK(end.result.error->code == (i < 3 ? "auth" : "agent_unavailable"));
    }
    CHECK(ran.size() == 3);
    CHECK(contains(ends.back()->result.error->message,
                   "agent claude is not signed in: no commands until " + shown("00:01:03")));
    CHECK(contains(ends.back()->result.error->message, "It said auth."));
    CHECK(contains(ends.back()->result.error->message, "autoexec agents reset claude"));
    CHECK(sink->count(EventType::breaker_opened) == 1);
    CHECK(detail(EventType::breaker_opened, "agent") == "claude");
    CHECK(detail(EventType::breaker_opened, "code") == "auth");
    REQUIRE(ends[2]->result.warnings.size() == 1);
    CHECK(contains(ends[2]->result.warnings.front(), "From now on, agent claude is not signed in"));
}

TEST_CASE_FIXTURE(Breaker, "commands in flight when the breaker opens cost no more")
{
    options.max_parallel = 5;
    agents["claude"] = [](MemoryTree& its) { fails(its, "auth"); };
    for (int i = 0; i < 300; ++i) begin("/tree" + std::to_string(i));
    clock->run(ctx);
    CHECK(ran.size() == 5);
    CHECK(std::ranges::all_of(ends, [](const auto& end) { return end->done; }));
}

TEST_CASE_FIXTURE(Breaker, "a success closes the breaker, and the waiting commands run")
{
    int failures = 3;
    agents["claude"] = [&](MemoryTree& its) {
        if (failures-- > 0)
            fails(its, "overloaded");
        else
            its.complete();
    };
    for (int i = 0; i < 3; ++i) run();
    for (int i = 0; i < 4; ++i) begin("/tree" + std::to_string(i));
    clock->at(62s, [&] { CHECK(ran.size() == 3); });
    clock->at(63500ms, [&] { CHECK(ran.size() == 4); });
    clock->run(ctx);
    CHECK(ran.size() == 7);
    CHECK(ends[3]->at == 64s);
    for (std::size_t i = 4; i < 7; ++i) CHECK(ends[i]->at == 65s);
    for (std::size_t i = 3; i < 7; ++i) CHECK(ends[i]->result.status == ExecutionStatus::completed);
    CHECK(sink->count(EventType::waiting_for_agent) >= 4);
    CHECK(detail(EventType::waiting_for_agent, "reason") ==
          "agent claude is overloaded: no commands until " + shown("00:01:03"));
    CHECK(sink->count(EventType::breaker_closed) == 1);
    CHECK(health() == AgentHealth{});
}

TEST_CASE_FIXTURE(Breaker, "one command at a time tests an agent that stays down")
{
    agents["claude"] = [](MemoryTree& its) { fails(its, "network"); };
    for (int i = 0; i < 3; ++i) run();
    for (int i = 0; i < 50; ++i) begin("/tree" + std::to_string(i));
    clock->run(ctx);
    // Within the time-out of an hour: after 60, 120, 240, 480 and 960 s, and then every 960 s.
    CHECK(ran.size() == 3 + 6);
    const auto waited = std::ranges::count_if(ends, [](const auto& end) {
        return end->result.status == ExecutionStatus::timeout && end->result.attempts == 0 &&
               end->result.error->code == "agent_unavailable";
    });
    CHECK(waited == 44);
}

TEST_CASE_FIXTURE(Breaker, "the time-out of a command limits its wait")
{
    agents["claude"] = [](MemoryTree& its) { fails(its, "network"); };
    for (int i = 0; i < 3; ++i) run();
    SUBCASE("its own")
    {
        run("claude", [](CommandRequest& r) { r.timeout = 20s; });
    }
    SUBCASE("that of all its attempts")
    {
        auto changed = static_cast<ExecutionOptions>(options);
        changed.total_timeout = 20s;
        make().set_options(changed);
        run();
    }
    CHECK(ends.back()->at == 23s);
    CHECK(ends.back()->result.status == ExecutionStatus::timeout);
    CHECK(contains(ends.back()->result.error->message, "Not started: agent claude has no network"));
    CHECK(ran.size() == 3);
}

TEST_CASE_FIXTURE(Breaker, "a command is cancelled while it waits for its agent")
{
    agents["claude"] = [](MemoryTree& its) { fails(its, "network"); };
    for (int i = 0; i < 3; ++i) run();
    slot = cancel.slot();
    begin("/tree");
    clock->at(10s, [&] { cancel.emit(asio::cancellation_type::partial); });
    clock->run(ctx);
    CHECK(ends.back()->at == 10s);
    CHECK(ends.back()->result.status == ExecutionStatus::cancelled);
    CHECK(ran.size() == 3);
}

TEST_CASE_FIXTURE(Breaker, "a command that waits for its agent has no slot")
{
    options.max_parallel = 1;
    agents["claude"] = [](MemoryTree& its) { fails(its, "network"); };
    for (int i = 0; i < 3; ++i) run();
    const auto& waiting = begin("/tree");
    const auto& other = begin("/other", "codex");
    clock->run_until(ctx, 10s);
    CHECK(other.done);
    CHECK_FALSE(waiting.done);
    clock->run(ctx);
}

TEST_CASE_FIXTURE(Breaker, "an agent is paused until the time that it names")
{
    agents["claude"] = [&](MemoryTree& its) {
        if (ran.size() == 1)
            fails(its, "rate_limited", 100s);
        else
            its.complete();
    };
    run();
    CHECK(detail(EventType::agent_paused, "until") == "2026-01-20T00:01:41+00:00");
    const auto& waiting = begin("/tree");
    const auto& other = begin("/other", "codex");
    clock->run(ctx);
    CHECK(other.at == 2s);
    CHECK(waiting.at == 102s);
    CHECK(waiting.result.status == ExecutionStatus::completed);
    CHECK(detail(EventType::waiting_for_agent, "reason") ==
          "agent claude is rate limited: no commands until " + shown("00:01:41"));
}

TEST_CASE_FIXTURE(Breaker, "a class of errors makes no attempt retryable")
{
    options.retry.max_attempts = 3;
    for (const auto* code : {"rate_limited", "overloaded", "network", "auth", "quota"}) {
        CAPTURE(code);
        const auto agent = std::string("agent of ") + code;
        agents[agent] = [code](MemoryTree& its) { fails(its, code, 1s); };
        CHECK(run(agent).result.attempts == 1);
    }
}

TEST_CASE_FIXTURE(Breaker, "a retry waits until the pause of its agent ends")
{
    options.retry.max_attempts = 2;
    agents["claude"] = [&](MemoryTree& its) {
        if (ran.size() == 1)
            fails(its, "rate_limited", 100s);
        else
            its.complete();
    };
    const auto& end = run("claude", [](CommandRequest& r) { r.idempotent = true; });
    CHECK(end.result.status == ExecutionStatus::completed);
    CHECK(end.result.attempts == 2);
    CHECK(end.at == 102s);
}

TEST_CASE_FIXTURE(Breaker, "there is no retry with an agent to which waiting does not help")
{
    options.retry.max_attempts = 10;
    options.retry.initial_delay = 1s;
    agents["claude"] = [](MemoryTree& its) { fails(its, "quota"); };
    const auto& end = run("claude", [](CommandRequest& r) { r.idempotent = true; });
    CHECK(end.result.attempts == 3);
    CHECK(end.result.error->code == "quota");
    CHECK(contains(end.result.error->message,
                   "It said quota. Not tried again: agent claude has used up its quota"));
}

TEST_CASE_FIXTURE(Breaker, "failures of commands do not open the breaker")
{
    agents["claude"] = [](MemoryTree& its) { fails(its, "exit_1"); };
    for (int i = 0; i < 10; ++i) run();
    CHECK(ran.size() == 10);
    CHECK_FALSE(fs::exists(health_file()));
}

TEST_CASE_FIXTURE(Breaker, "the trouble of a program that was stopped by its time-out counts")
{
    agents["claude"] = [](MemoryTree& its) {
        auto status = its.status(ReportedStatus::failed);
        status.error = CommandError{"Too late.", "timeout", {}, 0, {}};
        status.cause = CommandError{"No route to host", "network", {}, 0, {}};
        its.report(status);
    };
    for (int i = 0; i < 3; ++i) CHECK(run().result.status == ExecutionStatus::timeout);
    CHECK(health().state == AgentHealth::State::open);
    CHECK(health().code == "network");
}

TEST_CASE_FIXTURE(Breaker, "without a limit of failures no breaker opens")
{
    options.breaker.max_failures = 0;
    agents["claude"] = [](MemoryTree& its) { fails(its, "auth"); };
    for (int i = 0; i < 10; ++i) run();
    CHECK(ran.size() == 10);
    CHECK_FALSE(fs::exists(health_file()));
}

TEST_CASE_FIXTURE(Breaker, "a failure is forgotten after a day without another one")
{
    agents["claude"] = [](MemoryTree& its) { fails(its, "auth"); };
    run();
    run();
    clock->suspend(25h);
    run();
    CHECK(health().state == AgentHealth::State::closed);
    CHECK(health().failures == 1);
}

TEST_CASE_FIXTURE(Breaker, "the oldest agent that gets commands makes room for another one")
{
    CHECK_FALSE(records::change_agent_health(
        project.path(), clock->system_now(), [&](protocol::AgentHealthMap& all) {
            for (std::size_t i = 0; i < protocol::max_tracked_agents; ++i) {
                auto& health = all["agent " + std::to_string(i)];
                health.failures = 1;
                health.since = clock->system_now() - std::chrono::seconds(i);
            }
            auto& oldest = all["agent 99"];
            oldest.state = AgentHealth::State::open;
            oldest.until = clock->system_now() + 1h;
        }));
    agents["claude"] = [](MemoryTree& its) { fails(its, "auth"); };
    run();
    CHECK(health().failures == 1);
    CHECK(health("agent 98") == AgentHealth{});
    CHECK(health("agent 97").failures == 1);
    CHECK(health("agent 99").state == AgentHealth::State::open);
}

TEST_CASE_FIXTURE(Breaker, "names that only statuses contain take half of the places")
{
    CHECK_FALSE(records::change_agent_health(
        project.path(), clock->system_now(), [&](protocol::AgentHealthMap& all) {
            for (std::size_t i = 0; i < protocol::max_tracked_agents / 2; ++i) {
                auto& health = all["agent " + std::to_string(i)];
                health.failures = 1;
                health.since = clock->system_now();
            }
        }));
    agents[""] = [](MemoryTree& its) {
        auto status = its.status(ReportedStatus::failed);
        status.error = CommandError{"No key.", "auth", {}, 0, {}};
        status.agent = "codex";
        its.report(status);
    };
    run("");
    CHECK(health("codex") == AgentHealth{});
    agents["codex"] = [](MemoryTree& its) { fails(its, "auth"); };
    run("codex");
    CHECK(health("codex").failures == 1);
}

TEST_CASE_FIXTURE(Breaker, "a state with a second name is not written, with one warning")
{
    CHECK_FALSE(records::change_agent_health(project.path(), clock->system_now(), [](auto&) {}));
    const auto other = project.path() / "other";
    fs::create_hard_link(health_file(), other);
    const auto text = read_file(other);
    agents["claude"] = [](MemoryTree& its) { fails(its, "auth"); };
    for (int i = 0; i < 5; ++i) run();
    CHECK(ran.size() == 3);
    CHECK(read_file(other) == text);
    std::size_t warnings = 0;
    for (const auto& end : ends)
        for (const auto& warning : end->result.warnings)
            if (contains(warning, "is not shared with other processes")) ++warnings;
    CHECK(warnings == 1);
}

TEST_CASE_FIXTURE(Breaker, "a command without an agent waits for the one that would take it")
{
    agents[""] = [](MemoryTree& its) { fails(its, "auth"); };
    SUBCASE("which is known")
    {
        options.default_agent = "claude";
        for (int i = 0; i < 4; ++i) run("");
        CHECK(ran.size() == 3);
        CHECK(health("claude").state == AgentHealth::State::open);
    }
    SUBCASE("which is not known")
    {
        for (int i = 0; i < 4; ++i) run("");
        CHECK(ran.size() == 4);
        CHECK_FALSE(fs::exists(health_file()));
    }
    SUBCASE("which is known from its status, for the retries")
    {
        options.retry.max_attempts = 10;
        options.retry.initial_delay = 1s;
        agents[""] = [](MemoryTree& its) {
            auto status = its.status(ReportedStatus::failed);
            status.error = CommandError{"No key.", "auth", {}, 0, {}};
            status.agent = "codex";
            its.report(status);
        };
        run("", [](CommandRequest& r) { r.idempotent = true; });
        CHECK(ran.size() == 3);
        CHECK(health("codex").state == AgentHealth::State::open);
    }
}

TEST_CASE_FIXTURE(Breaker, "a fallback takes over while the agent is down")
{
    agents["claude"] = [](MemoryTree& its) { fails(its, "auth"); };
    const auto with_fallback = [](CommandRequest& r) { r.fallback = {"codex", "gemini"}; };
    for (int i = 0; i < 3; ++i) run("claude", with_fallback);
    const auto& end = run("claude", with_fallback);
    CHECK(ran == std::vector<std::string>{"claude", "claude", "claude", "codex"});
    CHECK(end.result.status == ExecutionStatus::completed);
    REQUIRE(end.result.warnings.size() == 1);
    CHECK(contains(end.result.warnings.front(),
                   "Agent codex runs it instead, because agent claude is not signed in"));
    CHECK(detail(EventType::fallback_chosen, "agent") == "claude");
    CHECK(detail(EventType::fallback_chosen, "fallback") == "codex");
    CHECK(sink->metrics().back().agent == "codex");
    SUBCASE("the next one, if that is down, too")
    {
        agents["codex"] = agents["claude"];
        for (int i = 0; i < 4; ++i) run("claude", with_fallback);
        CHECK(ran.back() == "gemini");
    }
    SUBCASE("the agent gets commands again when it works")
    {
        agents.erase("claude");
        agents["slow"] = [this](MemoryTree& its) {
            clock->at(clock->elapsed() + 100s, [&its] { its.complete(); });
        };
        run("slow");
        run("claude", with_fallback);
        CHECK(ran.back() == "claude");
    }
}

TEST_CASE_FIXTURE(Breaker, "another agent retries a started command only if it is idempotent")
{
    options.retry.max_attempts = 2;
    options.retry.initial_delay = 1s;
    bool idempotent = false;
    SUBCASE("idempotent")
    {
        idempotent = true;
    }
    SUBCASE("not idempotent") {}
    agents["claude"] = [&](MemoryTree& its) {
        if (ran.size() == 1)
            fails(its, "rate_limited", 100s, true);
        else
            its.complete();
    };
    const auto& end = run("claude", [&](CommandRequest& r) {
        r.fallback = {"codex"};
        r.idempotent = idempotent;
    });
    CHECK(end.result.attempts == 2);
    CHECK(ran.back() == (idempotent ? "codex" : "claude"));
    CHECK(end.at == (idempotent ? 2500ms : 102s));
}

TEST_CASE_FIXTURE(Breaker, "a fallback does not continue the session of another program")
{
    options.retry.max_attempts = 2;
    agents["claude"] = [](MemoryTree& its) {
        auto status = its.status(ReportedStatus::failed);
        status.error = CommandError{"Wait.", "rate_limited", {}, 0, 100s};
        status.session = "session-1";
        its.report(status);
    };
    run("claude", [](CommandRequest& r) {
        r.fallback = {"codex"};
        r.idempotent = true;
    });
    REQUIRE(handoff->at("/tree").published.size() == 2);
    CHECK(handoff->at("/tree").published.back().session.empty());
}

TEST_CASE_FIXTURE(Breaker, "the state survives a restart of the executor")
{
    agents["claude"] = [](MemoryTree& its) { fails(its, "auth"); };
    for (int i = 0; i < 3; ++i) run();
    executor.reset();
    run();
    CHECK(ran.size() == 3);
    CHECK(ends.back()->result.error->code == "agent_unavailable");
}

TEST_CASE_FIXTURE(Breaker, "what another process shares is seen by commands that wait")
{
    agents["claude"] = [](MemoryTree& its) { fails(its, "network"); };
    for (int i = 0; i < 3; ++i) run();
    agents.erase("claude");
    begin("/tree");
    clock->at(10s, [&] {
        CHECK_FALSE(records::change_agent_health(project.path(), clock->system_now(),
                                                 [](auto& all) { all.erase("claude"); }));
    });
    clock->run(ctx);
    CHECK(ends.back()->at >= 11s);
    CHECK(ends.back()->at <= 12s);
    CHECK(ends.back()->result.status == ExecutionStatus::completed);
}

TEST_CASE_FIXTURE(Breaker, "executors share one probe")
{
    agents["claude"] = [](MemoryTree& its) { fails(its, "network"); };
    for (int i = 0; i < 3; ++i) run();
    agents.erase("claude");
    clock->at(60s, [&] {  // another executor's probe, which its death cuts short
        CHECK_FALSE(records::change_agent_health(
            project.path(), clock->system_now(), [&](protocol::AgentHealthMap& all) {
                all["claude"].probe_until = clock->system_now() + protocol::probe_lease;
            }));
    });
    begin("/tree");
    clock->at(80s, [&] { CHECK(ran.size() == 3); });
    clock->run(ctx);
    CHECK(ends.back()->at == 91s);
}

TEST_CASE_FIXTURE(Breaker, "the lease of a long probe is renewed")
{
    agents["claude"] = [](MemoryTree& its) { fails(its, "network"); };
    for (int i = 0; i < 3; ++i) run();
    agents["claude"] = [this](MemoryTree& its) {
        clock->at(clock->elapsed() + 200s, [&its] { its.complete(); });
    };
    begin("/tree");
    begin("/other");
    clock->at(200s, [&] { CHECK(ran.size() == 4); });
    clock->run_until(ctx, 270s);
    CHECK(ran.size() == 5);
    clock->run(ctx);
}

TEST_CASE_FIXTURE(Breaker, "a cancelled probe lets the next command test the agent")
{
    agents["claude"] = [](MemoryTree& its) { fails(its, "network"); };
    for (int i = 0; i < 3; ++i) run();
    agents["claude"] = [](MemoryTree&) {};
    slot = cancel.slot();
    begin("/tree");
    slot = {};
    clock->at(70s, [&] {
        cancel.emit(asio::cancellation_type::partial);
        agents.erase("claude");
        handoff->at("/tree").fail("Stopped.", "cancelled");
    });
    clock->run(ctx);
    begin("/other");
    clock->run(ctx);
    CHECK(ends.back()->result.status == ExecutionStatus::completed);
    CHECK(sink->count(EventType::breaker_closed) == 1);
}

TEST_CASE_FIXTURE(Breaker, "a state that cannot be used counts as none, with a warning")
{
    fs::create_directories(health_file().parent_path());
    SUBCASE("malformed")
    {
        write_file(health_file(), "{\"agents\": {");
    }
    SUBCASE("too large")
    {
        write_file(health_file(), std::string(protocol::agent_health_limit + 1, ' '));
    }
    SUBCASE("a link")
    {
        fs::create_symlink("elsewhere", health_file());
    }
    SUBCASE("a folder")
    {
        fs::create_directories(health_file());
    }
    SUBCASE("a pipe")
    {
        REQUIRE(::mkfifo(health_file().c_str(), 0600) == 0);
    }
    const auto& end = run();
    CHECK(end.result.status == ExecutionStatus::completed);
    REQUIRE_FALSE(end.result.warnings.empty());
    CHECK(contains(end.result.warnings.front(), "The state of the agents in"));
    // It works within this process, whatever is there.
    agents["claude"] = [](MemoryTree& its) { fails(its, "auth"); };
    for (int i = 0; i < 4; ++i) run();
    CHECK(ran.size() == 4);
    CHECK(ends.back()->result.error->code == "agent_unavailable");
}

TEST_CASE_FIXTURE(Breaker, "a locked state blocks nothing, and is shared later")
{
    fs::create_directories(health_file().parent_path());
    const int fd = ::open(health_file().c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    REQUIRE(::flock(fd, LOCK_EX) == 0);
    agents["claude"] = [](MemoryTree& its) { fails(its, "auth"); };
    for (int i = 0; i < 4; ++i) run();
    CHECK(ran.size() == 3);
    CHECK(health() == AgentHealth{});
    ::close(fd);
    run();
    CHECK(health().state == AgentHealth::State::open);
    CHECK(health().failures == 3);
}

TEST_SUITE_END();
