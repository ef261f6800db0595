#pragma once

#include "autoexec/agents_file.hpp"
#include "autoexec/event.hpp"
#include "autoexec/ports.hpp"
#include "autoexec/redaction.hpp"

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>

#include <chrono>
#include <cstddef>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

namespace autoexec {

struct AgentOptions {
    std::filesystem::path project_root;  ///< Empty: the current directory.
    AgentsFile agents;                   ///< Who runs what: see `load_agents_file`.

    // Where to look for work.
    /// Besides those added later. Relative paths count from the project root.
    std::vector<std::filesystem::path> worktrees;
    bool find_worktrees = true;  ///< Also in `git worktree list` and the agents' watch paths.
    /// No other agent looks after these worktrees: a command that none of `agents` takes fails at
    /// once, instead of being left for others.
    bool alone = false;

    // Behaviour.
    std::string status_file_name = ".cursor-skill-status.json";
    /// Commands at once; more are left to other agents, or for later. Zero: as the agents file
    /// says, else no limit.
    int max_parallel = 0;
    std::chrono::milliseconds stop_grace = std::chrono::seconds{10};     ///< From TERM to KILL.
    std::chrono::milliseconds scan_interval = std::chrono::seconds{1};   ///< Of known worktrees.
    std::chrono::milliseconds glob_interval = std::chrono::seconds{30};  ///< Of the watch paths.
    /// How often a running command's status is written anew: to other hosts it says that the agent
    /// lives. Zero: each second in which something was printed, for those who watch.
    std::chrono::milliseconds heartbeat = std::chrono::seconds{10};

    // Limits, in bytes.
    std::size_t output_limit = 10 * 1024 * 1024;  ///< Of `output/<attempt_id>.log`.
    std::size_t tail_limit = 8 * 1024;            ///< Of the output in the status.

    // Null ones: the real thing.
    std::shared_ptr<Clock> clock;
    std::shared_ptr<Notifier> notifier;  ///< Null: polling only.
    std::shared_ptr<Spawner> spawner;
    std::shared_ptr<const Redactor> redactor;
    /// Told how commands without an attempt id ended: their engines write no records of this form.
    std::vector<std::shared_ptr<EventSink>> sinks;
};

/// What an agents file says, or why it can't be used.
struct LoadedAgents {
    AgentsFile file;
    std::vector<Diagnostic> errors;  ///< If there are any, `file` is empty.
    bool missing = false;            ///< There is no such file; `errors` says so, too.
};

/// Reads `<project_root>/.cursor/background-agents.yaml`. Blocks.
LoadedAgents load_agents(const std::filesystem::path& project_root);

/// Takes command files, runs what they say, and reports by status files: `doc/file-protocol.md`.
/// Runs beside an executor in the same process, or alone.
///
/// Thread safety: all functions may be called from any thread, except the destructor; all state is
/// touched from one internal strand.
///
/// Lifetime: `async_stop`, then destroy. Commands still running when the `io_context` is destroyed
/// are killed.
class BackgroundAgent {
public:
    explicit BackgroundAgent(asio::any_io_executor ex, AgentOptions options);
    ~BackgroundAgent();
    BackgroundAgent(const BackgroundAgent&) = delete;
    BackgroundAgent& operator=(const BackgroundAgent&) = delete;

    /// Looks for work and runs it until `async_stop`. Called once. Cancellation (any type) is as
    /// `async_stop`.
    asio::awaitable<void> run();

    /// Looks after one more worktree from now on.
    void add_worktree(std::filesystem::path worktree);

    /// Stops the commands that run (TERM, `stop_grace`, KILL), reports them as failed
    /// (`agent_stopped`), and completes when all has ended. Idempotent.
    asio::awaitable<void> async_stop();

private:
    struct Impl;
    std::shared_ptr<Impl> impl_;
};

}  // namespace autoexec
