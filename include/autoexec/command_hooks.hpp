#pragma once

#include <autoexec/command.hpp>

#include <boost/asio/awaitable.hpp>

#include <filesystem>
#include <functional>
#include <string>

namespace autoexec::inline v1 {

/// What an application does at certain points of a command: `CommandRequest::hooks`. Empty ones do
/// nothing. All are called on the executor's strand.
struct CommandHooks {
    /// Prepares the worktree for another attempt; the text that it returns is recorded. If it
    /// throws, there is no other attempt. The baseline of the artifacts is taken again afterwards.
    /// Empty: as `ExecutorOptions::tree_state` says, which only looks.
    std::function<boost::asio::awaitable<std::string>(std::filesystem::path)> before_retry;

    /// Gets each baseline that was taken, before the attempt is published. If it throws, the
    /// command is not published.
    std::function<boost::asio::awaitable<void>(ArtifactBaseline)> on_baseline;

    /// Gets the result of a command that was published, once, as soon as that is settled and
    /// recorded, and before the files and the record of what is in flight are removed: an
    /// application that stores it here never loses it, wherever the process is killed. If it
    /// throws, those stay, for `adopt`.
    std::function<boost::asio::awaitable<void>(ExecutionResult)> on_end;
};

}  // namespace autoexec::inline v1
