#pragma once

#include <autoexec/audit_logger.hpp>
#include <autoexec/command_hooks.hpp>
#include <autoexec/detail/initiation.hpp>
#include <autoexec/execution_options.hpp>
#include <autoexec/metrics_collector.hpp>
#include <autoexec/ports.hpp>
#include <autoexec/redaction.hpp>

#include <boost/asio/any_completion_handler.hpp>
#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/deferred.hpp>
#include <boost/asio/execution_context.hpp>

#include <chrono>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace autoexec::inline v1 {

/// How a `BackgroundAgentAutoExecutor` works. Values of a request take precedence.
struct ExecutorOptions : ExecutorSettings {
    std::filesystem::path project_root;  ///< Empty: the current directory.
    /// Set this if a `BackgroundAgent` in this process runs all commands: it always claims an
    /// attempt, and names it in each status. Then a status that does not name the attempt is
    /// rejected in any case, and only a claimed attempt can end by its status.
    bool agent_in_process = false;
    /// The agent that runs commands that name none, so that they wait while it is down. Empty: not
    /// known; then it is known for the retries of a command, if its status names it.
    std::string default_agent;
    std::vector<unsigned> allowed_owners;  ///< User ids whose status files are accepted.

    // Null: the real ones.
    std::shared_ptr<Handoff> handoff;
    std::shared_ptr<Clock> clock;
    std::shared_ptr<Notifier> notifier;  ///< Null: polling only.
    /// Shared with the agents of this process, for the default `handoff`. Null: not shared.
    std::shared_ptr<Offers> offers;
    std::shared_ptr<const Redactor> redactor;
    std::shared_ptr<AuditLogger> audit;  ///< Null and `enable_audit`: one for the project.
    std::shared_ptr<ExecutionMetricsCollector> metrics;  ///< The same, with `enable_metrics`.
    /// The state of a worktree, recorded before a retry. Null: `git status`.
    std::function<boost::asio::awaitable<std::string>(std::filesystem::path)> tree_state;
    /// Commands of one agent in flight at once, by its name: more wait in order, and take no place
    /// of `max_parallel` meanwhile. Other agents, and zero: no limit of its own.
    std::map<std::string, std::size_t, std::less<>> agent_limits;
    LimitScope limit_scope = LimitScope::executor;  ///< Of `max_parallel` and `agent_limits`.
    /// With `LimitScope::project`: the attempt whose program has started this process, from its
    /// `AUTOEXEC_ATTEMPT_ID`. One command of all processes that it has started needs no free slot:
    /// otherwise they could wait for that of the attempt, which waits for them. Empty: none.
    std::string parent_attempt;
    /// Called on the executor's strand before each attempt, with its number. A sentence refuses it:
    /// the command fails with the code `budget`. Null: none is refused.
    std::function<std::string(int attempt)> refuse_attempt;
    /// What the machine has left; called on the executor's strand before commands start, at most
    /// once a second. Null: asks the system.
    std::function<FreeResources()> free_resources;
    /// Uniform in [0, 1), for jitter. Null: a random one.
    std::function<double()> random;
};

/// An attempt that another executor, usually of an earlier process, has published: for `adopt`.
struct AttemptReference {
    AttemptReference(std::string execution, std::string id, int attempt)
        : execution_id(std::move(execution)), attempt_id(std::move(id)), number(attempt)
    {}

    std::string execution_id;
    std::string attempt_id;
    int number = 1;  ///< 1…
    /// The start of its time-outs, which then also count the time for which the machine was
    /// suspended before. Absent: now.
    std::optional<std::chrono::system_clock::time_point> started_at;
};

/// An attempt that was in flight when its executor died: from `recover`.
struct InterruptedAttempt : Correlation {
    std::string command;
    std::filesystem::path worktree;
    std::optional<std::chrono::system_clock::time_point> started_at;  ///< Absent: not known.
    bool agent_alive = false;  ///< It was asked to stop; the worktree is busy until it has.
};

/// Hands commands to agents in worktrees through files, and waits for their results.
///
/// Each execution is: publish → wait → accept → record → clean up. Commands for one
/// worktree run one after the other. There are no threads, signal handlers or global state.
///
/// Each operation has two forms: `async_x` accepts any completion token, and `x` is an awaitable
/// that throws `system_error`. An awaitable gets only *terminal* cancellation, unless its coroutine
/// resets its cancellation state.
///
/// Executor: all state is touched from one strand of the given executor.
///
/// Thread safety: distinct objects are safe. On a shared object all functions may be called from
/// any thread, except the destructor.
///
/// Lifetime: what was started keeps what it needs; destroying the executor does not end it. Call
/// `async_stop` first. What an `io_context` takes with it when it is destroyed is found by the next
/// `async_recover`.
class BackgroundAgentAutoExecutor {
public:
    /// Of the handlers that have none of their own.
    using executor_type = boost::asio::any_io_executor;

    /// Throws `system_error` (`errc::invalid_options`) that names the option.
    explicit BackgroundAgentAutoExecutor(executor_type ex, ExecutorOptions options = {});
    template <class ExecutionContext>
    requires std::convertible_to<ExecutionContext&, boost::asio::execution_context&>
    explicit BackgroundAgentAutoExecutor(ExecutionContext& context, ExecutorOptions options = {})
        : BackgroundAgentAutoExecutor(executor_type(context.get_executor()), std::move(options))
    {}
    ~BackgroundAgentAutoExecutor();
    BackgroundAgentAutoExecutor(const BackgroundAgentAutoExecutor&) = delete;
    BackgroundAgentAutoExecutor& operator=(const BackgroundAgentAutoExecutor&) = delete;

    /// Publishes a command and waits until it has ended.
    ///
    /// Signature: `void(error_code, ExecutionResult)`.
    ///
    /// Errors: `errc::invalid_command`, `command_too_large`, `invalid_options` (of the request),
    /// `invalid_worktree`, `worktree_not_writable`, `worktree_busy`, `worktree_busy_unconfirmed`,
    /// `artifact_outside_worktree`, `secret_in_command`, `stopped`, `no_resources`, and file system
    /// errors while publishing. The result's `error` then has a message for a person. How the
    /// command ended is not an error: time-outs and cancellation are results, too.
    ///
    /// Executor: the handler is posted to its associated executor, by default `get_executor()`.
    ///
    /// Thread safety: may be started on any thread.
    ///
    /// Cancellation: *partial* and *total* ask the agent to stop and wait for it, at most
    /// `stop_grace` + 5 s; *terminal* asks and completes at once. Either way the result is
    /// `cancelled`, and the worktree is free again, unless the agent did not confirm its stop:
    /// then it is busy until that agent's claim is free or it reports.
    ///
    /// Lifetime: the executor may be destroyed meanwhile; the operation continues.
    template <boost::asio::completion_token_for<void(error_code, ExecutionResult)> Token =
                  boost::asio::deferred_t>
    auto async_execute_command(CommandRequest request, Token&& token = {})
    {
        return boost::asio::async_initiate<Token, void(error_code, ExecutionResult)>(
            detail::Initiation(get_executor(), impl_, &start), token, std::move(request));
    }

    /// `async_execute_command` as an awaitable; the message is in `what()`.
    boost::asio::awaitable<ExecutionResult> execute_command(CommandRequest request);

    /// Continues an execution whose attempt is in flight already: waits for its end, and makes
    /// further attempts by the rules of the request, which is that of the executor that died. An
    /// attempt without a claim and without a command file never started: it is made now. An attempt
    /// that is recorded already is not recorded again. Takes the worktree's lock.
    ///
    /// Signature: `void(error_code, ExecutionResult)`.
    ///
    /// Errors: `errc::worktree_busy` while the attempt's executor lives; else as
    /// `async_execute_command`.
    ///
    /// Executor, thread safety, cancellation, lifetime: as `async_execute_command`.
    template <boost::asio::completion_token_for<void(error_code, ExecutionResult)> Token =
                  boost::asio::deferred_t>
    auto async_adopt(AttemptReference attempt, CommandRequest request, Token&& token = {})
    {
        return boost::asio::async_initiate<Token, void(error_code, ExecutionResult)>(
            detail::Initiation(get_executor(), impl_, &start_adopt), token, std::move(attempt),
            std::move(request));
    }

    /// `async_adopt` as an awaitable; the message is in `what()`.
    boost::asio::awaitable<ExecutionResult> adopt(AttemptReference attempt, CommandRequest request);

    /// Waits for a final status in a worktree, without publishing, locking, recording or cleaning.
    /// An existing final status counts. `timeout` is `ExecutorOptions::timeout` if
    /// absent.
    ///
    /// Signature: `void(error_code, ExecutionResult)`.
    ///
    /// Errors: `errc::invalid_worktree`, `artifact_outside_worktree`, `stopped`, `no_resources`. A
    /// time-out is a result.
    ///
    /// Executor, thread safety, lifetime: as `async_execute_command`.
    ///
    /// Cancellation: any type completes at once with a `cancelled` result. The worktree is not
    /// changed.
    template <boost::asio::completion_token_for<void(error_code, ExecutionResult)> Token =
                  boost::asio::deferred_t>
    auto async_poll_for_completion(std::filesystem::path worktree,
                                   std::vector<std::string> expected_artifacts,
                                   std::optional<std::chrono::milliseconds> timeout,
                                   Token&& token = {})
    {
        return boost::asio::async_initiate<Token, void(error_code, ExecutionResult)>(
            detail::Initiation(get_executor(), impl_, &start_poll), token, std::move(worktree),
            std::move(expected_artifacts), timeout);
    }

    /// `async_poll_for_completion` as an awaitable; the message is in `what()`.
    boost::asio::awaitable<ExecutionResult> poll_for_completion(
        std::filesystem::path worktree, std::vector<std::string> expected_artifacts = {},
        std::optional<std::chrono::milliseconds> timeout = {});

    /// Reads a worktree's status file once. Blocks for microseconds.
    [[nodiscard]] StatusCheck check_status(const std::filesystem::path& worktree) const;

    /// Replaces the options for executions started after this call. Running ones are not affected.
    /// Throws as the constructor; then nothing changes.
    void set_options(ExecutionOptions options);

    /// Cancels an execution as a *partial* cancellation would. Nothing happens if it is unknown.
    void cancel(const std::string& execution_id);

    /// Answers the question that an attempt waits for: `EventType::input_needed` has both ids and
    /// the question. Nothing happens if it waits for none, or for another one, if it was answered
    /// already, or if the answer is none to this question. `input_ended` reports what was passed on
    /// to the agent.
    void answer(std::string attempt_id, Answer answer);

    /// Gives the program of an attempt a further turn, after those before it. If its agent takes no
    /// prompt any more, or never did, the result has a warning.
    void say(std::string attempt_id, std::string prompt);

    /// Sends all further events to a sink, too. The sink is kept as long as the executor and its
    /// operations exist.
    void subscribe(std::shared_ptr<EventSink> sink);

    /// Finds attempts whose executor died, publishes `execution_interrupted` for each, asks agents
    /// that still work on them to stop, and removes their files from the worktrees. Of attempts
    /// that had ended and were recorded it only removes the files. Files that an agent still uses,
    /// and attempts in a worktree that another executor holds, which may have adopted them, are
    /// left to a later call. Returns the interrupted attempts.
    ///
    /// Signature: `void(error_code, std::vector<InterruptedAttempt>)`.
    ///
    /// Errors: those of the file system if the project's `running` folder cannot be read
    /// (`errc::unsafe_path`: it is a link): then nothing is recovered.
    ///
    /// Executor, thread safety, lifetime: as `async_execute_command`.
    ///
    /// Cancellation: ignored.
    template <boost::asio::completion_token_for<void(error_code, std::vector<InterruptedAttempt>)>
                  Token = boost::asio::deferred_t>
    auto async_recover(Token&& token = {})
    {
        return boost::asio::async_initiate<Token,
                                           void(error_code, std::vector<InterruptedAttempt>)>(
            detail::Initiation(get_executor(), impl_, &start_recover), token);
    }

    /// `async_recover` as an awaitable.
    boost::asio::awaitable<std::vector<InterruptedAttempt>> recover();

    /// Cancels what is in flight (*partial*), waits for it, and flushes all sinks. New commands end
    /// with `errc::stopped`. Idempotent.
    ///
    /// Signature: `void(error_code)`.
    ///
    /// Errors: `errc::no_resources` if memory has run out. `EventSink::unwritten` has the
    /// records that a sink could not write.
    ///
    /// Executor, thread safety, lifetime: as `async_execute_command`. The handlers of what was in
    /// flight are posted before this one.
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

    /// The executor that it was constructed with.
    [[nodiscard]] executor_type get_executor() const noexcept;

private:
    struct Impl;
    template <class... Results>
    using Handler = boost::asio::any_completion_handler<void(error_code, Results...)>;
    using Interrupted = std::vector<InterruptedAttempt>;

    static void start(std::shared_ptr<Impl> impl, CommandRequest request,
                      Handler<ExecutionResult> handler);
    static void start_adopt(std::shared_ptr<Impl> impl, AttemptReference attempt,
                            CommandRequest request, Handler<ExecutionResult> handler);
    static void start_poll(std::shared_ptr<Impl> impl, std::filesystem::path worktree,
                           std::vector<std::string> expected_artifacts,
                           std::optional<std::chrono::milliseconds> timeout,
                           Handler<ExecutionResult> handler);
    static void start_recover(std::shared_ptr<Impl> impl, Handler<Interrupted> handler);
    static void start_stop(std::shared_ptr<Impl> impl, Handler<> handler);

    std::shared_ptr<Impl> impl_;
};

}  // namespace autoexec::inline v1
