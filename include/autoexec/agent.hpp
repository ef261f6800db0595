#pragma once

#include <autoexec/agents_file.hpp>
#include <autoexec/event_sink.hpp>
#include <autoexec/ports.hpp>
#include <autoexec/redaction.hpp>
#include <autoexec/work_options.hpp>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

namespace autoexec {

/// How a `BackgroundAgent` works.
struct AgentOptions : WorkOptions {
    std::filesystem::path project_root;  ///< Empty: the current directory.
    AgentsFile agents;                   ///< Who runs what: see `load_agents`.
    std::string status_file_name = ".cursor-skill-status.json";

    // Where to look for work.
    std::vector<std::filesystem::path> worktrees;  ///< Besides those added later.
    bool find_worktrees = true;  ///< Also in `git worktree list` and the agents' watch paths.
    /// No other agent looks after these worktrees: a command that none of `agents` takes fails at
    /// once, instead of being left for others. Otherwise the agent shows in `autoexec status` and
    /// `health` while it runs: `.tapps-agents/running/agents/`.
    bool alone = false;

    // Null ones: the real thing.
    std::shared_ptr<Clock> clock;
    std::shared_ptr<Notifier> notifier;  ///< Null: polling only.
    std::shared_ptr<Offers> offers;      ///< Shared with the executors of this process, if any.
    std::shared_ptr<Spawner> spawner;
    std::shared_ptr<const Redactor> redactor;
    /// Told about commands without an attempt id, whose engines write no records of ours.
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

    /// Looks for work and runs it until `async_stop`. Called once. Cancellation is as `async_stop`;
    /// note that `co_spawn` passes only the terminal type on.
    asio::awaitable<void> run();

    /// Looks after one more worktree from now on.
    void add_worktree(std::filesystem::path worktree);

    /// What holds for commands that are taken from now on.
    void set_options(WorkOptions options);

    /// Stops the commands that run (TERM, `stop_grace`, KILL), reports them as failed
    /// (`agent_stopped`), and completes when all has ended. Idempotent.
    asio::awaitable<void> async_stop();

private:
    struct Impl;
    std::shared_ptr<Impl> impl_;
};

}  // namespace autoexec
