#pragma once

#include "agent/agents_file_reader.hpp"
#include "async/short_names.hpp"
#include "autoexec/agent.hpp"
#include "support/engine_side.hpp"
#include "support/scripted_spawner.hpp"
#include "support/virtual_clock.hpp"

#include <boost/asio/io_context.hpp>

#include <chrono>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace autoexec::test {

/// Calls its watchers when the test says so, and collects each status that an agent announces.
struct StatusSpy final : Notifier {
    std::vector<AgentStatus> seen;
    std::multimap<std::filesystem::path, std::function<void()>> watchers;

    Subscription watch(const std::filesystem::path& worktree,
                       std::function<void()> changed) override;
    void notify(const std::filesystem::path& worktree) override;
    Coverage covers = Coverage::none;
    Coverage coverage(const std::filesystem::path&) const override { return covers; }
    void changed(const std::filesystem::path& worktree);
};

AgentsFile agents_from(std::string_view yaml);

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

    AgentFixture();
    ~AgentFixture();

    AgentOptions plain_options();

    BackgroundAgent& start();
    void run_for(std::chrono::nanoseconds t);

    /// Publishes a command and lets the agent find it.
    const protocol::CommandFile& hand_over(protocol::CommandFile command);
    const protocol::CommandFile& hand_over(std::string text = "build it");

    ScriptedProgram& program();
    /// The program ends, and the agent reports.
    void exit(int code);
    AgentStatus final_status();
    CommandError error();
    std::string log();

    void stop();
};

}  // namespace autoexec::test
