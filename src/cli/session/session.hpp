#pragma once

#include "autoexec/agent.hpp"
#include "autoexec/config.hpp"
#include "autoexec/executor.hpp"
#include "cli/cli.hpp"
#include "cli/session/killing_spawner.hpp"
#include "cli/session/screen.hpp"
#include "config/reloader.hpp"

#include <boost/asio/awaitable.hpp>
#include <boost/asio/cancellation_type.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>

#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace autoexec::cli {

/// What runs commands for a verb: an executor and the agent within it, and what reaches them from
/// outside meanwhile: signals, and changes of the configuration. One thread.
class Engine {
public:
    /// Asks the work to end: `partial` first, `terminal` if that takes too long for somebody.
    using Cancel = std::function<void(asio::cancellation_type)>;

    /// `agents` are those of the agent within; absent: agents of other processes take the commands,
    /// or people. At most `commands` ever run at once. All that is referred to must outlive it.
    Engine(const EngineFlags& flags, AutoExecutionConfigManager& manager, Screen& screen,
           std::optional<AgentsFile> agents, std::size_t commands);

    asio::io_context& context() noexcept { return ctx_; }
    BackgroundAgentAutoExecutor& executor() noexcept { return executor_; }
    [[nodiscard]] const ExecutorOptions& options() const noexcept { return options_; }
    [[nodiscard]] const std::shared_ptr<Spawner>& spawner() const noexcept { return spawner_; }
    [[nodiscard]] const std::filesystem::path& root() const noexcept { return root_; }

    /// The agent within looks there for commands from now on.
    void add_worktree(const std::filesystem::path& worktree);

    /// How often a signal asked for the end.
    [[nodiscard]] int interrupts() const noexcept { return interrupts_; }

    /// Records of this run could not be written; the user has been told which.
    [[nodiscard]] bool records_lost() const noexcept { return records_lost_; }

    /// Says so where the agent within has kept output of that command, and it is gone; else empty.
    /// Such output counts as lost records.
    [[nodiscard]] std::string lost_output(const ExecutionResult& result);

    /// When to tidy up after engines that have died: their agents are told to stop. `after` leaves
    /// to the work what it wants to go on with.
    enum class Recovery { before, after };

    /// Does the work, stops all, and returns. What the work throws is thrown.
    void run(asio::awaitable<void> work, Cancel cancel, Recovery recovery = Recovery::before);

private:
    ExecutorOptions engine_options(bool embeds_agent);
    AgentOptions embedded_agent(AgentsFile agents) const;
    void take(const AutoExecutionConfig& config, const std::vector<std::string>& changed);
    void refuse(const std::vector<Diagnostic>& problems);
    asio::awaitable<void> all(asio::awaitable<void> work, Recovery recovery);
    asio::awaitable<void> recover();
    asio::awaitable<void> stop_records();
    void report_lost(const EventSink* sink);
    asio::awaitable<void> watch_signals();
    asio::awaitable<void> kill_programs();
    asio::awaitable<void> redraw_often();

    const EngineFlags& flags_;
    std::size_t commands_;
    AutoExecutionConfigManager& manager_;
    Screen& screen_;
    std::filesystem::path root_;

    asio::io_context ctx_{1};
    asio::signal_set signals_;
    ExecutorOptions options_;
    BackgroundAgentAutoExecutor executor_;
    std::shared_ptr<Spawner> spawner_;
    std::shared_ptr<KillingSpawner> agent_spawner_;
    std::optional<BackgroundAgent> agent_;
    config::Reloader reloader_;
    Cancel cancel_;
    int interrupts_ = 0;
    bool records_lost_ = false;
};

}  // namespace autoexec::cli
