#pragma once

#include <autoexec/audit_logger.hpp>
#include <autoexec/command_hooks.hpp>
#include <autoexec/execution_options.hpp>
#include <autoexec/metrics_collector.hpp>
#include <autoexec/ports.hpp>
#include <autoexec/redaction.hpp>

#include <boost/asio/any_completion_handler.hpp>
#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/deferred.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace autoexec {

/// How a `BackgroundAgentAutoExecutor` works. What a request says wins.
struct ExecutorOptions : ExecutorSettings {
    std::filesystem::path project_root;  ///< Empty: the current directory.
    /// Set this if a `BackgroundAgent` in this process runs all commands: it always claims an
    /// attempt, and names it in each status. Then a status that does not name the attempt is
    /// rejected in any case, and only a claimed attempt can end by its status.
    bool agent_in_process = false;
    std::vector<unsigned> allowed_owners;  ///< User ids whose status files are believed.

    // Null ones: the real thing.
    std::shared_ptr<Handoff> handoff;
    std::shared_ptr<Clock> clock;
    std::shared_ptr<Notifier> notifier;  ///< Null: polling only.
    /// Shared with the agents of this process, for the default `handoff`. Null: not shared.
    std::shared_ptr<Offers> offers;
    std::shared_ptr<const Redactor> redactor;
    std::shared_ptr<AuditLogger> audit;  ///< Null and `enable_audit`: one for the project.
    std::shared_ptr<ExecutionMetricsCollector> metrics;  ///< The same, with `enable_metrics`.
    /// What a worktree looks like, recorded before a retry. Null: `git status`.
    std::function<asio::awaitable<std::string>(std::filesystem::path)> tree_state;
    /// Uniform in [0, 1), for jitter. Null: a random one.
    std::function<double()> random;
};

/// An attempt that another executor, mostly of an earlier process, has published: for `adopt`.
struct AttemptReference {
    AttemptReference(std::string execution, std::string id, int attempt)
        : execution_id(std::move(execution)), attempt_id(std::move(id)), number(attempt)
    {}

    std::string execution_id;
    std::string attempt_id;
    int number = 1;          ///< 1…
    std::string started_at;  ///< ISO-8601: its time counts from then. Empty: from now.
};

/// What was in flight when its engine died: from `recover`.
struct InterruptedAttempt {
    std::string execution_id;
    std::string attempt_id;
    std::optional<std::string> workflow_id;
    std::optional<std::string> step_id;
    std::string command;
    std::filesystem::path worktree;
    std::string started_at;
    bool agent_alive = false;  ///< It was told to stop; the worktree is busy until it does.
};

/// Hands commands to agents in worktrees through files, and waits for how they end.
///
/// Each execution is a coroutine: publish → wait → accept → record → clean up. Commands for one
/// worktree run one after the other. There are no threads, signal handlers or global state.
///
/// Thread safety: distinct objects are safe. On a shared object all functions may be called from
/// any thread, except the destructor; all state is touched from one internal strand.
///
/// Lifetime: what was started keeps what it needs; destroying the executor does not end it. Call
/// `async_stop` first. What an `io_context` takes with it when it is destroyed is found by the next
/// `recover`.
class BackgroundAgentAutoExecutor {
public:
    /// Throws `system_error` (`errc::invalid_options`) that names the option.
    explicit BackgroundAgentAutoExecutor(asio::any_io_executor ex, ExecutorOptions options = {});
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
    /// errors while publishing. The result's `error` then holds the sentence for a person. How the
    /// command ended is no error: time-outs and cancellation, too, are results.
    ///
    /// Cancellation: *partial* and *total* ask the agent to stop and wait for it, at most
    /// `stop_grace` + 5 s; *terminal* asks and completes at once. Either way the result is
    /// `cancelled`, and the worktree is free again, unless the agent did not confirm its stop:
    /// then it is busy until that agent's claim is free or it reports.
    template <
        asio::completion_token_for<void(error_code, ExecutionResult)> Token = asio::deferred_t>
    auto async_execute_command(CommandRequest request, Token&& token = {})
    {
        return asio::async_initiate<Token, void(error_code, ExecutionResult)>(
            [](auto handler, auto impl, CommandRequest r) {
                start(std::move(impl), std::move(r), std::move(handler));
            },
            token, impl_, std::move(request));
    }

    /// The same as an awaitable; throws `system_error` for errors. A coroutine passes on *terminal*
    /// cancellation only, unless it resets its cancellation state.
    asio::awaitable<ExecutionResult> execute_command(CommandRequest request);

    /// Goes on with an execution whose attempt is in flight already: waits for its end, and makes
    /// further attempts by the rules of the request, as it was given to the engine that died. An
    /// attempt that nobody has, and of which no command file is there, has never begun: it is made
    /// now. One that is recorded already is not recorded again.
    ///
    /// Takes the worktree's lock; `errc::worktree_busy` while its engine lives. What artifacts were
    /// there before is not known: they count if they are there. Otherwise as `execute_command`.
    asio::awaitable<ExecutionResult> adopt(AttemptReference attempt, CommandRequest request);

    /// Waits for a final status in a worktree, without publishing, locking, recording or cleaning.
    /// A final status that is there already counts. Completes with a result like
    /// `execute_command`'s; with `timeout` after that time, or after `ExecutorOptions::timeout`.
    asio::awaitable<ExecutionResult> poll_for_completion(
        std::filesystem::path worktree, std::vector<std::string> expected_artifacts = {},
        std::optional<std::chrono::milliseconds> timeout = {});

    /// One look at a worktree's status file. Blocks for microseconds.
    [[nodiscard]] StatusCheck check_status(const std::filesystem::path& worktree) const;

    /// What holds for executions that begin from now on; those that have begun keep what they have.
    /// Throws as the constructor, and then nothing changes.
    void set_options(ExecutionOptions options);

    /// Cancels an execution as a *partial* cancellation would. Nothing happens if it is unknown.
    void cancel(const std::string& execution_id);

    /// Tells a sink about all that happens from now on. Kept as long as the executor and what it
    /// has started.
    void subscribe(std::shared_ptr<EventSink> sink);

    /// Looks for attempts whose engine died, says `execution_interrupted` for each, tells agents
    /// that still work on them to stop, and removes what was left in the worktrees: also of those
    /// that had ended and were recorded, silently. What an agent or another engine still uses is
    /// left to a later call. Throws `system_error` where the project's
    /// `running` folder can't be read (`errc::unsafe_path`: it is a link): then nothing is
    /// recovered.
    asio::awaitable<std::vector<InterruptedAttempt>> recover();

    /// Cancels what is in flight (*partial*), waits for it, and flushes all sinks. New commands end
    /// with `errc::stopped`. Idempotent. Not cancellable.
    asio::awaitable<void> async_stop();

    /// The executor that it was constructed with.
    [[nodiscard]] asio::any_io_executor get_executor() const;

private:
    struct Impl;
    using Handler = asio::any_completion_handler<void(error_code, ExecutionResult)>;
    static void start(std::shared_ptr<Impl> impl, CommandRequest request, Handler handler);

    std::shared_ptr<Impl> impl_;
};

}  // namespace autoexec
