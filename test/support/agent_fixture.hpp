#pragma once

#include "agent/agents_file_reader.hpp"
#include "autoexec/agent.hpp"
#include "support/engine_side.hpp"
#include "support/scripted_spawner.hpp"
#include "support/virtual_clock.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>

#include <doctest/doctest.h>

#include <functional>
#include <map>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace autoexec::test {

/// Calls its watchers when the test says so, and collects each status that an agent announces.
struct StatusSpy final : Notifier {
    std::vector<AgentStatus> seen;
    std::multimap<std::filesystem::path, std::function<void()>> watchers;

    Subscription watch(const std::filesystem::path& worktree,
                       std::function<void()> changed) override
    {
        const auto where = watchers.emplace(worktree, std::move(changed));
        return {this, [where](StatusSpy* spy) { spy->watchers.erase(where); }};
    }
    void notify(const std::filesystem::path& worktree) override
    {
        if (auto status = EngineSide::status_in(worktree)) seen.push_back(*std::move(status));
    }
    void changed(const std::filesystem::path& worktree)
    {
        const auto [first, last] = watchers.equal_range(worktree);
        for (auto it = first; it != last; ++it) it->second();
    }
};

inline AgentsFile agents_from(std::string_view yaml)
{
    auto reading = agent::parse_agents_file(yaml, "agents.yaml");
    for (const auto& error : reading.errors) FAIL(error.message);
    return *std::move(reading.file);
}

/// An agent over real files, in virtual time, whose programs are scripted. At its end it is
/// stopped, and nothing may be left of it.
struct AgentFixture {
    TemporaryFolder project;
    EngineSide engine{project / "tree"};
    const std::filesystem::path& tree = engine.tree();
    std::shared_ptr<VirtualClock> clock = std::make_shared<VirtualClock>();
    std::shared_ptr<ScriptedSpawner> spawner = std::make_shared<ScriptedSpawner>();
    std::shared_ptr<StatusSpy> spy = std::make_shared<StatusSpy>();
    AgentOptions options = plain_options();

    asio::io_context ctx;
    std::vector<std::unique_ptr<BackgroundAgent>> agents;

    ~AgentFixture()
    {
        try {
            stop();
        } catch (const std::logic_error& deadlock) {
            FAIL_CHECK(deadlock.what());
        }
        CHECK(spawner->running() == 0);
        CHECK(spy->watchers.empty());
        CHECK(engine.claim() != ClaimState::live);
    }

    AgentOptions plain_options()
    {
        AgentOptions o;
        o.project_root = project.path();
        o.worktrees = {engine.tree()};
        o.find_worktrees = false;
        o.clock = clock;
        o.notifier = spy;
        o.spawner = spawner;
        o.agents = agents_from(R"(
agents:
  - {name: dev, type: background, commands: ['run {command}']}
)");
        return o;
    }

    BackgroundAgent& start()
    {
        agents.push_back(std::make_unique<BackgroundAgent>(ctx.get_executor(), options));
        asio::co_spawn(ctx, agents.back()->run(), asio::detached);
        return *agents.back();
    }
    void run_for(std::chrono::nanoseconds t) { clock->run_until(ctx, clock->elapsed() + t); }

    /// Publishes a command and lets the agent find it.
    const protocol::CommandFile& hand_over(protocol::CommandFile command)
    {
        if (agents.empty()) start();
        const auto& published = engine.publish(std::move(command));
        run_for(options.scan_interval);
        return published;
    }
    const protocol::CommandFile& hand_over(std::string text = "build it")
    {
        return hand_over(EngineSide::command(std::move(text)));
    }

    ScriptedProgram& program()
    {
        REQUIRE_FALSE(spawner->programs.empty());
        return spawner->last();
    }
    /// The program ends, and the agent reports.
    void exit(int code)
    {
        program().exit(code);
        run_for(std::chrono::milliseconds{1});
    }
    AgentStatus final_status()
    {
        REQUIRE_FALSE(spy->seen.empty());
        REQUIRE(spy->seen.back().is_final());
        return spy->seen.back();
    }
    CommandError error()
    {
        const auto status = final_status();
        REQUIRE(status.status == ReportedStatus::failed);
        REQUIRE(status.error);
        return *status.error;
    }
    std::string log()
    {
        return read_file(project /
                         (".tapps-agents/output/" + engine.published().attempt_id + ".log"));
    }

    void stop()
    {
        for (const auto& agent : agents) asio::co_spawn(ctx, agent->async_stop(), asio::detached);
        clock->run(ctx);
        agents.clear();
    }
};

}  // namespace autoexec::test
