#pragma once

#include <autoexec/command.hpp>

#include <boost/asio/awaitable.hpp>

#include <filesystem>
#include <functional>
#include <string>

namespace autoexec::inline v1 {

/// Functions that are called at certain points of a command: `CommandRequest::hooks`. Each may be
/// empty. All are called on the executor's strand.
struct CommandHooks {
    /// Called, once, when the command has to wait before its first attempt: for a slot, its
    /// worktree, its agent, or resources. Must not throw.
    std::function<void()> on_wait;

    /// Called at the end of that wait, before the first attempt is published. If it returns false,
    /// the command ends as cancelled. Must not throw.
    std::function<bool()> on_start;

    /// Prepares the worktree for another attempt; the text that it returns is recorded. If it
    /// throws, there is no other attempt. The baseline of the artifacts is taken again afterwards.
    /// Empty: `ExecutorOptions::tree_state`, which only reads, is called.
    std::function<boost::asio::awaitable<std::string>(std::filesystem::path)> before_retry;

    /// Asked before each retry, with the number of its attempt: a sentence refuses it. The same if
    /// it throws.
    std::function<boost::asio::awaitable<std::string>(int attempt)> on_retry;

    /// Gets each baseline before the attempt is published. If it throws, the
    /// command is not published.
    std::function<boost::asio::awaitable<void>(ArtifactBaseline)> on_baseline;

    /// Gets the result of a command that was published, once, when it is final and recorded,
    /// and before its files and its running record are removed: an application that stores it here
    /// never loses it, whenever the process is killed. If it throws, they are kept, for `adopt`.
    std::function<boost::asio::awaitable<void>(ExecutionResult)> on_end;
};

}  // namespace autoexec::inline v1
