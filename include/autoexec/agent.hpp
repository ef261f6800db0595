#pragma once

#include <autoexec/agents_file.hpp>
#include <autoexec/detail/initiation.hpp>
#include <autoexec/event_sink.hpp>
#include <autoexec/ports.hpp>
#include <autoexec/redaction.hpp>
#include <autoexec/work_options.hpp>

#include <boost/asio/any_completion_handler.hpp>
#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/deferred.hpp>
#include <boost/asio/execution_context.hpp>

#include <concepts>
#include <filesystem>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace autoexec::inline v1 {

/// How a `BackgroundAgent` works.
struct AgentOptions : WorkOptions {
    std::filesystem::path project_root;  ///< Empty: the current directory.
    AgentsFile agents;                   ///< From `load_agents` or `parse_agents`, or made by hand.
    std::string status_file_name = ".cursor-skill-status.json";

    // Where to look for commands.
    std::vector<std::filesystem::path> worktrees;  ///< Besides those added later.
    bool find_worktrees = true;  ///< Also in `git worktree list` and the agents' watch paths.
    /// No other agent serves these worktrees: a command that none of `agents` accepts fails at
    /// once, instead of being left for others. If false, `autoexec status` and `health` list the
    /// agent while it runs: `.tapps-agents/running/agents/`.
    bool alone = false;
    /// Run commands for any agent, by the only one of `agents` that accepts commands.
    bool accept_any_name = false;

    // Null: the real ones.
    std::shared_ptr<Clock> clock;
    std::shared_ptr<Notifier> notifier;  ///< Null: polling only.
    std::shared_ptr<Offers> offers;      ///< Shared with the executors of this process, if any.
    std::shared_ptr<Spawner> spawner;
    std::shared_ptr<const Redactor> redactor;
    /// Get each decision about a program's request for permission, and the events of commands
    /// without an attempt id, because executors of version 1.0 do not record them.
    std::vector<std::shared_ptr<EventSink>> sinks;
};

/// Claims published commands, runs them, and reports by status files: `doc/file-protocol.md`.
/// Runs beside an executor in the same process, or alone.
///
/// Executor: all state is touched from one strand of the given executor.
///
/// Thread safety: all functions may be called from any thread, except the destructor.
///
/// Lifetime: `async_stop`, then destroy. What was started keeps what it needs. Commands that still
/// run when the `io_context` is destroyed are killed.
class BackgroundAgent {
public:
    /// Of the handlers that have none of their own.
    using executor_type = boost::asio::any_io_executor;

    /// Throws `system_error` (`errc::invalid_agents_file`) that names an agent and its
    /// problem.
    explicit BackgroundAgent(executor_type ex, AgentOptions options);
    template <class ExecutionContext>
    requires std::convertible_to<ExecutionContext&, boost::asio::execution_context&>
    explicit BackgroundAgent(ExecutionContext& context, AgentOptions options)
        : BackgroundAgent(executor_type(context.get_executor()), std::move(options))
    {}
    ~BackgroundAgent();
    BackgroundAgent(const BackgroundAgent&) = delete;
    BackgroundAgent& operator=(const BackgroundAgent&) = delete;

    /// Finds commands and runs them until the agent is stopped. Call it once.
    ///
    /// Signature: `void(error_code)`.
    ///
    /// Errors: `errc::no_resources` if memory has run out.
    ///
    /// Executor: the handler is posted to its associated executor, by default the agent's.
    ///
    /// Thread safety: may be started on any thread.
    ///
    /// Cancellation: any type stops the agent as `async_stop` does, and completes without an error
    /// when all commands have ended. An agent that was stopped cannot be run again.
    ///
    /// Lifetime: the agent may be destroyed meanwhile; the operation continues.
    template <boost::asio::completion_token_for<void(error_code)> Token = boost::asio::deferred_t>
    auto async_run(Token&& token = {})
    {
        return boost::asio::async_initiate<Token, void(error_code)>(
            detail::Initiation(get_executor(), impl_, &start_run), token);
    }

    /// `async_run` as an awaitable. `co_spawn` passes only *terminal* cancellation to it.
    boost::asio::awaitable<void> run();

    /// Serves one more worktree from now on. Relative paths count from the project root.
    void add_worktree(std::filesystem::path worktree);

    /// Replaces the options for commands taken after this call. Running ones are not affected.
    void set_options(WorkOptions options);

    /// Stops the commands that run (TERM, after `stop_grace` KILL), reports them as failed
    /// (`agent_stopped`), and completes when all have ended. Idempotent.
    ///
    /// Signature: `void(error_code)`.
    ///
    /// Errors: `errc::no_resources` if memory has run out.
    ///
    /// Executor: the handler is posted to its associated executor, by default the agent's.
    ///
    /// Thread safety: may be started on any thread.
    ///
    /// Cancellation: ignored.
    ///
    /// Lifetime: the agent may be destroyed meanwhile; the operation continues.
    template <boost::asio::completion_token_for<void(error_code)> Token = boost::asio::deferred_t>
    auto async_stop(Token&& token = {})
    {
        return boost::asio::async_initiate<Token, void(error_code)>(
            detail::Initiation(get_executor(), impl_, &start_stop), token);
    }

    /// `async_stop` as an awaitable.
    boost::asio::awaitable<void> stop();

    /// The executor that it was constructed with.
    [[nodiscard]] executor_type get_executor() const noexcept;

private:
    struct Impl;
    using Handler = boost::asio::any_completion_handler<void(error_code)>;
    static void start_run(std::shared_ptr<Impl> impl, Handler handler);
    static void start_stop(std::shared_ptr<Impl> impl, Handler handler);

    std::shared_ptr<Impl> impl_;
};

}  // namespace autoexec::inline v1
