#pragma once

#include <autoexec/agent.hpp>
#include <autoexec/detail/initiation.hpp>
#include <autoexec/executor.hpp>

#include <boost/asio/any_completion_handler.hpp>
#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/deferred.hpp>
#include <boost/asio/execution_context.hpp>

#include <concepts>
#include <filesystem>
#include <memory>
#include <optional>
#include <utility>

namespace autoexec::inline v1 {

/// Options of a session. The session itself sets those that executor and agent must share: the
/// project root, the status file's name, clock, notifier, offers and redactor are those of
/// `executor`; `ExecutorOptions::agent_in_process` and `AgentOptions::alone` are true, and the
/// agent serves only the worktrees of the session's commands.
struct SessionOptions {
    /// The agents that run commands. Absent: those of the project's agents file, or
    /// `shell_agents()` if the project has none. Replaces `agent.agents`.
    std::optional<AgentsFile> agents;
    ExecutorOptions executor;
    AgentOptions agent;
};

/// Runs commands in worktrees: an executor, and an agent in this process. The shortest way to use
/// the library, and enough for most applications.
///
///     autoexec::Session session(context);
///     session.async_run({{"make", "test"}, "tree"}, [](auto ec, const auto& result) { … });
///
/// Between commands a session keeps nothing running: `io_context::run` returns when the last one
/// has ended. It does not call `async_recover`, which would stop workflow steps that can still be
/// adopted; call `executor().async_recover` to clean up after processes that died.
///
/// Executor: all state is touched from one strand of the given executor.
///
/// Thread safety: all functions may be called from any thread, except the destructor.
///
/// Lifetime: what was started keeps what it needs; destroying the session does not end it. Commands
/// that still run when the `io_context` is destroyed are killed.
class Session {
public:
    /// Of the handlers that have none of their own.
    using executor_type = boost::asio::any_io_executor;

    /// Reads the project's agents file, if `options` has no agents; blocks meanwhile. Throws
    /// `system_error`: `errc::invalid_agents_file` with every problem, and `errc::invalid_options`.
    Session(executor_type ex, SessionOptions options);
    template <class ExecutionContext>
    requires std::convertible_to<ExecutionContext&, boost::asio::execution_context&> Session(
        ExecutionContext& context, SessionOptions options)
        : Session(executor_type(context.get_executor()), std::move(options))
    {}
    /// With the default options. Not a default argument: with optimization, GCC 12 warns of its
    /// destruction in the caller (`-Wmaybe-uninitialized`).
    explicit Session(executor_type ex);
    template <class ExecutionContext>
    requires std::convertible_to<ExecutionContext&, boost::asio::execution_context&>
    explicit Session(ExecutionContext& context) : Session(executor_type(context.get_executor())) {}
    ~Session();
    Session(const Session&) = delete;
    Session& operator=(const Session&) = delete;

    /// Runs one command in its worktree. Commands of different worktrees run at the same time, at
    /// most `ExecutorOptions::max_parallel`; those of one worktree run one after the other.
    ///
    /// Signature: `void(error_code, ExecutionResult)`.
    ///
    /// Errors: as `BackgroundAgentAutoExecutor::async_execute_command`. How the command ended is
    /// not an error: failures, time-outs and cancellation are results.
    ///
    /// Executor: the handler is posted to its associated executor, by default `get_executor()`.
    ///
    /// Thread safety: may be started on any thread.
    ///
    /// Cancellation: *partial* and *total* stop the program and wait for its end; *terminal*
    /// completes at once, and the program is stopped meanwhile. Either way the result is
    /// `cancelled`, and the session can run further commands.
    ///
    /// Lifetime: the session may be destroyed meanwhile; the operation continues.
    template <boost::asio::completion_token_for<void(error_code, ExecutionResult)> Token =
                  boost::asio::deferred_t>
    auto async_run(CommandRequest request, Token&& token = {})
    {
        return boost::asio::async_initiate<Token, void(error_code, ExecutionResult)>(
            detail::Initiation(get_executor(), impl_, &start_run), token, std::move(request));
    }

    /// `async_run` as an awaitable that throws `system_error`. `co_spawn` passes only *terminal*
    /// cancellation to it.
    boost::asio::awaitable<ExecutionResult> run(CommandRequest request);

    /// Cancels the running commands (*partial*), and completes when they have ended and their
    /// records are written. New commands end with `errc::stopped`. Idempotent. Not needed before
    /// destruction.
    ///
    /// Signature: `void(error_code)`.
    ///
    /// Errors: `errc::no_resources` if memory has run out.
    ///
    /// Executor, thread safety, lifetime: as `async_run`.
    ///
    /// Cancellation: ignored.
    template <boost::asio::completion_token_for<void(error_code)> Token = boost::asio::deferred_t>
    auto async_stop(Token&& token = {})
    {
        return boost::asio::async_initiate<Token, void(error_code)>(
            detail::Initiation(get_executor(), impl_, &start_stop), token);
    }

    /// `async_stop` as an awaitable.
    boost::asio::awaitable<void> stop();

    /// For event sinks, recovery and other functions that the session does not have. Commands
    /// that are given to the executor itself have no agent while the session runs none.
    [[nodiscard]] BackgroundAgentAutoExecutor& executor() noexcept;

    /// The agents that run commands.
    [[nodiscard]] const AgentsFile& agents() const noexcept;

    /// The executor that it was constructed with.
    [[nodiscard]] executor_type get_executor() const noexcept;

private:
    struct Impl;
    static void start_run(std::shared_ptr<Impl> impl, CommandRequest request,
                          boost::asio::any_completion_handler<void(error_code, ExecutionResult)>);
    static void start_stop(std::shared_ptr<Impl> impl,
                           boost::asio::any_completion_handler<void(error_code)>);

    std::shared_ptr<Impl> impl_;
};

}  // namespace autoexec::inline v1
