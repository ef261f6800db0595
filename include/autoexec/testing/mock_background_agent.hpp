#pragma once

#include <autoexec/agent.hpp>
#include <autoexec/testing/fixtures.hpp>

#include <boost/asio/any_io_executor.hpp>
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

namespace autoexec::inline v1::testing {

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
    /// Asked at the end of the delay. If permission is denied, the command fails
    /// (`permission_needed`).
    std::optional<Question> question;
    std::function<void(const Answer&)> on_answer;  ///< Called on the mock's strand.
    /// Files to write at the end, relative to the worktree. A path outside fails the
    /// command. Reported are, as by any agent, the expected ones that exist.
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
    std::chrono::milliseconds polling_interval{250};  ///< For commands.

    // Null: the real ones.
    std::shared_ptr<Clock> clock;
    std::shared_ptr<Notifier> notifier;  ///< Null: polling only.
    std::shared_ptr<Offers> offers;  ///< Those of the executor. Null: answers need a git worktree.
};

/// A `BackgroundAgent` that runs no programs: it finds, claims and reports commands in real
/// worktrees, whatever agent they name, and answers as the test specifies. All waiting is done by
/// the given clock, so tests need no sleep.
///
/// Executor, thread safety, lifetime: as `BackgroundAgent`.
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

    /// Finds commands and answers them until the mock is stopped: `BackgroundAgent::async_run`.
    template <boost::asio::completion_token_for<void(error_code)> Token = boost::asio::deferred_t>
    auto async_run(Token&& token = {})
    {
        return agent_.async_run(std::forward<Token>(token));
    }

    /// `async_run` as an awaitable.
    boost::asio::awaitable<void> run() { return agent_.run(); }

    /// Reports the running commands as failed (`agent_stopped`), and completes when all have ended:
    /// `BackgroundAgent::async_stop`.
    template <boost::asio::completion_token_for<void(error_code)> Token = boost::asio::deferred_t>
    auto async_stop(Token&& token = {})
    {
        return agent_.async_stop(std::forward<Token>(token));
    }

    /// `async_stop` as an awaitable.
    boost::asio::awaitable<void> stop() { return agent_.stop(); }

    /// The executor that it was constructed with.
    [[nodiscard]] executor_type get_executor() const noexcept { return agent_.get_executor(); }

    /// All commands that were taken so far, in order.
    [[nodiscard]] std::vector<MockCommand> commands() const;

    /// How many of them have completed.
    [[nodiscard]] std::size_t completed() const;
    /// How many of them have ended in another way.
    [[nodiscard]] std::size_t failed() const;

private:
    struct Script;
    class Performance;

    std::shared_ptr<Script> script_;
    BackgroundAgent agent_;
};

}  // namespace autoexec::inline v1::testing
