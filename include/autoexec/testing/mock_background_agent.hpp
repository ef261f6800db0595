#pragma once

#include <autoexec/command.hpp>
#include <autoexec/ports.hpp>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>

#include <chrono>
#include <cstddef>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

/// For the tests of applications that embed this library.
namespace autoexec::testing {

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
    // Empty and zero for engines that know nothing of attempts.
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

/// What the mock does with a command. As it stands: completes it at once.
struct MockReply {
    MockOutcome outcome = MockOutcome::complete;
    std::chrono::milliseconds delay{0};  ///< From the first status to the last.
    std::vector<Progress> progress;      ///< Told one after the other, evenly over the delay.
    /// Files to write at the end, relative to the worktree. One that would lie outside fails the
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
    bool accept_legacy = false;  ///< Take command files of engines that hold no lock.
    std::chrono::milliseconds polling_interval{250};  ///< For commands and for cancels.

    // Null ones: the real thing.
    std::shared_ptr<Clock> clock;
    std::shared_ptr<Notifier> notifier;  ///< Null: polling only.
};

/// An agent that runs nothing: it claims commands in real worktrees as `BackgroundAgent` does, and
/// answers as the test says. All waiting is done by the given clock, so tests need no sleep.
///
/// Thread safety: all functions may be called from any thread, except the destructor; all state is
/// touched from one internal strand.
///
/// Lifetime: `async_stop`, then destroy. What was started keeps what it needs.
class MockBackgroundAgent {
public:
    explicit MockBackgroundAgent(asio::any_io_executor ex, MockAgentOptions options);
    ~MockBackgroundAgent();
    MockBackgroundAgent(const MockBackgroundAgent&) = delete;
    MockBackgroundAgent& operator=(const MockBackgroundAgent&) = delete;

    /// Looks for commands and answers them until `async_stop`. Called once. Cancellation is
    /// ignored.
    asio::awaitable<void> run();

    /// Reports what it has in hand as failed (`agent_stopped`), and completes when all has ended.
    /// Idempotent.
    asio::awaitable<void> async_stop();

    /// All commands that were taken so far, in order.
    [[nodiscard]] std::vector<MockCommand> commands() const;

    /// How many of them have ended, as completed and as anything else.
    [[nodiscard]] std::size_t completed() const;
    /// How many commands have ended as anything else.
    [[nodiscard]] std::size_t failed() const;

private:
    struct Impl;
    std::shared_ptr<Impl> impl_;
};

}  // namespace autoexec::testing
