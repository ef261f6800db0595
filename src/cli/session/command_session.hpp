#pragma once

#include "async/short_names.hpp"
#include "autoexec/agent.hpp"
#include "autoexec/executor.hpp"
#include "cli/cli.hpp"
#include "cli/session/configuration.hpp"
#include "cli/session/killing_spawner.hpp"
#include "cli/session/output.hpp"
#include "notify/notifications.hpp"

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

/// Runs commands for a subcommand: owns an executor and its embedded agent, and handles signals and
/// configuration changes. One thread.
class CommandSession {
public:
    /// Cancels the work: `partial` at the first signal, `terminal` at the second.
    using Cancel = std::function<void(asio::cancellation_type)>;

    /// `agents` are those of the embedded agent; absent: other processes or people run the
    /// commands. At most `commands` run at once. The session keeps references to all arguments.
    /// The budget is checked before each attempt from `checked_attempt` on.
    CommandSession(const SessionFlags& flags, AutoExecutionConfigManager& manager, Screen& screen,
                   std::optional<AgentsFile> agents, std::size_t commands, int checked_attempt = 1);

    asio::io_context& context() noexcept { return ctx_; }
    BackgroundAgentAutoExecutor& executor() noexcept { return executor_; }
    [[nodiscard]] const ExecutorOptions& options() const noexcept { return options_; }
    /// How many commands may run at once now; zero: no limit.
    [[nodiscard]] std::size_t max_parallel() const noexcept { return max_parallel_; }
    [[nodiscard]] const std::shared_ptr<Spawner>& spawner() const noexcept { return spawner_; }
    [[nodiscard]] const std::filesystem::path& root() const noexcept { return root_; }

    records::Budget& budget() noexcept { return budget_; }
    /// Of questions and a spent budget it notifies by itself; results and the end of the run are
    /// for the work to add.
    notify::Notifications& notifications() noexcept { return *notifications_; }
    /// Why no command may start now; empty: one may.
    [[nodiscard]] std::string budget_refusal();

    /// The embedded agent watches this worktree from now on.
    void add_worktree(const std::filesystem::path& worktree);

    /// Ends the session as a first signal does.
    void interrupt();

    /// How many signals asked the session to end.
    [[nodiscard]] int interrupts() const noexcept { return interrupts_; }

    /// Records of this run could not be written; a message names them.
    [[nodiscard]] bool records_lost() const noexcept { return records_lost_; }

    /// A warning if the log that the embedded agent wrote for this command is gone; else empty.
    /// Such output counts as lost records.
    [[nodiscard]] std::string lost_output(const ExecutionResult& result);

    /// When to recover from executors that have died, whose agents are asked to stop. With `after`,
    /// the work can adopt their attempts first.
    enum class Recovery { before, after };

    /// Runs the work, then stops everything, and waits for the programs of notifications until a
    /// signal. Rethrows what the work throws.
    void run(asio::awaitable<void> work, Cancel cancel, Recovery recovery = Recovery::before);

private:
    ExecutorOptions make_executor_options(const std::optional<AgentsFile>& agents,
                                          int checked_attempt);
    AgentOptions embedded_agent(AgentsFile agents) const;
    void apply(const AutoExecutionConfig& config, const std::vector<std::string>& changed);
    void reject(const std::vector<Diagnostic>& problems);
    asio::awaitable<void> run_all(asio::awaitable<void> work, Recovery recovery);
    asio::awaitable<void> recover();
    asio::awaitable<void> stop_records();
    asio::awaitable<void> watch_signals();
    asio::awaitable<void> kill_programs();
    asio::awaitable<void> redraw_periodically();

    const SessionFlags& flags_;
    std::size_t commands_;
    AutoExecutionConfigManager& manager_;
    Screen& screen_;
    std::filesystem::path root_;
    records::Budget budget_;

    asio::io_context ctx_{1};
    asio::signal_set signals_;
    RecordWriters records_;
    std::uint64_t max_open_files_;  ///< At the start: that of programs.
    ExecutorOptions options_;
    std::size_t max_parallel_;
    BackgroundAgentAutoExecutor executor_;
    std::shared_ptr<Spawner> spawner_;
    std::shared_ptr<notify::Notifications> notifications_;
    std::shared_ptr<KillingSpawner> agent_spawner_;
    std::optional<BackgroundAgent> agent_;
    config::Reloader reloader_;
    Cancel cancel_;
    int interrupts_ = 0;
    bool records_lost_ = false;
};

}  // namespace autoexec::cli
