#include "support/agent_fixture.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>

#include <doctest/doctest.h>

#include <stdexcept>
#include <utility>

namespace autoexec::test {

Notifier::Subscription StatusSpy::watch(const std::filesystem::path& worktree,
                                        std::function<void()> changed)
{
    const auto where = watchers.emplace(worktree, std::move(changed));
    return {this, [where](StatusSpy* spy) { spy->watchers.erase(where); }};
}

void StatusSpy::notify(const std::filesystem::path& worktree)
{
    if (auto status = EngineSide::status_in(worktree)) seen.push_back(*std::move(status));
}

void StatusSpy::changed(const std::filesystem::path& worktree)
{
    const auto [first, last] = watchers.equal_range(worktree);
    for (auto it = first; it != last; ++it) it->second();
}

AgentsFile agents_from(std::string_view yaml)
{
    auto reading = parse_agents(yaml, "agents.yaml");
    for (const auto& error : reading.errors) FAIL(error.message);
    return std::move(reading.file);
}

AgentFixture::AgentFixture() = default;

AgentFixture::~AgentFixture()
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

AgentOptions AgentFixture::plain_options()
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

BackgroundAgent& AgentFixture::start()
{
    agents.push_back(std::make_unique<BackgroundAgent>(ctx.get_executor(), options));
    asio::co_spawn(ctx, agents.back()->run(), asio::detached);
    return *agents.back();
}

void AgentFixture::run_for(std::chrono::nanoseconds t)
{
    clock->run_until(ctx, clock->elapsed() + t);
}

const protocol::CommandFile& AgentFixture::hand_over(protocol::CommandFile command)
{
    if (agents.empty()) start();
    const auto& published = engine.publish(std::move(command));
    run_for(options.scan_interval);
    return published;
}

const protocol::CommandFile& AgentFixture::hand_over(std::string text)
{
    return hand_over(EngineSide::command(std::move(text)));
}

ScriptedProgram& AgentFixture::program()
{
    REQUIRE_FALSE(spawner->programs.empty());
    return spawner->last();
}

void AgentFixture::exit(int code)
{
    program().exit(code);
    run_for(std::chrono::milliseconds{1});
}

AgentStatus AgentFixture::final_status()
{
    REQUIRE_FALSE(spy->seen.empty());
    REQUIRE(spy->seen.back().is_final());
    return spy->seen.back();
}

CommandError AgentFixture::error()
{
    const auto status = final_status();
    REQUIRE(status.status == ReportedStatus::failed);
    REQUIRE(status.error);
    return *status.error;
}

std::string AgentFixture::log()
{
    return read_file(project / (".tapps-agents/output/" + engine.published().attempt_id + ".log"));
}

void AgentFixture::stop()
{
    for (const auto& agent : agents) asio::co_spawn(ctx, agent->stop(), asio::detached);
    clock->run(ctx);
    agents.clear();
}

}  // namespace autoexec::test
