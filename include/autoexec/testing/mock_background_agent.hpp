#pragma once

#include <autoexec/command.hpp>
#include <autoexec/detail/initiation.hpp>
#include <autoexec/ports.hpp>

#include <boost/asio/any_completion_handler.hpp>
#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/deferred.hpp>
#include <boost/asio/execution_context.hpp>

#include <chrono>
#include <concepts>
#include <cstddef>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

/// For the tests of applications that embed this library.
namespace autoexec::inline v1::testing {

/// A command as the mock took it.
struct MockCommand {
    std::filesystem::path worktree;
    std::string command;
    std::vector<std::string> argv;
    std::vector<std::string> env_refs;
    std::vector<std::string> expected_artifacts;
    std::string agent;
    std::optional<std::string> workflow_id;
    std::optional<std::string> step_id;
    // Empty and zero for executors of version 1.0.
    std::string execution_id;
    std::string attempt_id;
    int attempt = 0;
};

/// How a command ends.
enum class MockOutcome {
    complete,
    fail,
    never,  ///< Not before it is cancelled or the mock is stopped.
};

/// What the mock does with a command. By default it completes it at once.
struct MockReply {
    MockOutcome outcome = MockOutcome::complete;
    std::chrono::milliseconds delay{0};  ///< From the first status to the last.
    std::vector<Progress> progress;      ///< Reported one after the other, evenly over the delay.
    /// Files to write at the end, relative to the worktree. A path outside fails the
    /// command.
    std::vector<std::string> artifacts;
    std::string output;
    std::optional<int> exit_code;
    /// For `fail`.
    CommandError error{"The command failed, as the test wants it.", "mock", std::nullopt, 0};
};

/// How a `MockBackgroundAgent` answers.
struct MockAgentOptions {
    std::vector<std::filesystem::path> worktrees;  ///< Absolute.

    MockReply reply;  ///< To all commands, unless there is `on_command`.
    /// Called for each command on the mock's strand. What it throws fails the command.
    std::function<MockReply(const MockCommand&)> on_command;

    std::string status_file_name = ".cursor-skill-status.json";
    bool accept_legacy = false;  ///< Take command files of executors that hold no lock.
    std::chrono::milliseconds polling_interval{250};  ///< For commands and for cancels.

    // Null: the real ones.
    std::shared_ptr<Clock> clock;
    std::shared_ptr<Notifier> notifier;  ///< Null: polling only.
};

/// An agent that runs nothing: it claims commands in real worktrees as `BackgroundAgent` does, and
/// answers as the test specifies. All waiting is done by the given clock, so tests need no sleep.
///
/// Executor: all state is touched from one strand of the given executor.
///
/// Thread safety: all functions may be called from any thread, except the destructor.
///
/// Lifetime: `async_stop`, then destroy. What was started keeps what it needs.
class MockBackgroundAgent {
public:
    /// Of the handlers that have none of their own.
    using executor_type = boost::asio::any_io_executor;

    explicit MockBackgroundAgent(executor_type ex, MockAgentOptions options);
    template <class ExecutionContext>
    requires std::convertible_to<ExecutionContext&, boost::asio::execution_context&>
    explicit MockBackgroundAgent(ExecutionContext& context, MockAgentOptions options)
        : MockBackgroundAgent(executor_type(context.get_executor()), std::move(options))
    {}
    ~MockBackgroundAgent();
    MockBackgroundAgent(const MockBackgroundAgent&) = delete;
    MockBackgroundAgent& operator=(const MockBackgroundAgent&) = delete;

    /// Finds commands and answers them until the mock is stopped. Call it once.
    ///
    /// Signature: `void(error_code)`, always without an error.
    ///
    /// Executor: the handler is posted to its associated executor, by default the mock's.
    ///
    /// Cancellation: ignored.
    ///
    /// Lifetime: the mock may be destroyed meanwhile; the operation continues.
    template <boost::asio::completion_token_for<void(error_code)> Token = boost::asio::deferred_t>
    auto async_run(Token&& token = {})
    {
        return boost::asio::async_initiate<Token, void(error_code)>(
            detail::Initiation(get_executor(), impl_, &start_run), token);
    }

    /// `async_run` as an awaitable.
    boost::asio::awaitable<void> run();

    /// Reports the running commands as failed (`agent_stopped`), and completes when all have ended.
    /// Idempotent. Signature and the rest as `async_run`.
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

    /// All commands that were taken so far, in order.
    [[nodiscard]] std::vector<MockCommand> commands() const;

    /// How many of them have ended, as completed and as anything else.
    [[nodiscard]] std::size_t completed() const;
    /// How many commands have ended as anything else.
    [[nodiscard]] std::size_t failed() const;

private:
    struct Impl;
    using Handler = boost::asio::any_completion_handler<void(error_code)>;
    static void start_run(std::shared_ptr<Impl> impl, Handler handler);
    static void start_stop(std::shared_ptr<Impl> impl, Handler handler);

    std::shared_ptr<Impl> impl_;
};

}  // namespace autoexec::inline v1::testing
