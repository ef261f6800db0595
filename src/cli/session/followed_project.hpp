#pragma once

#include "async/short_names.hpp"
#include "autoexec/watched_project.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>

#include <chrono>
#include <filesystem>
#include <map>
#include <string>
#include <string_view>

namespace autoexec::cli {

/// The state of a project, for a subcommand that waits for changes and does nothing else meanwhile.
/// Thread safety: none.
class FollowedProject {
public:
    /// Keeps reading until the first state is known. Throws `Failure` if executions cannot be
    /// found.
    explicit FollowedProject(const std::filesystem::path& root);

    /// From now on, Ctrl-C does not end the process, but a `wait`.
    void catch_interrupt();
    [[nodiscard]] bool is_interrupted() const noexcept { return interrupted_; }

    /// Returns after a change, or at the limit.
    void wait(std::chrono::milliseconds limit);

    /// By their keys.
    [[nodiscard]] const std::map<std::string, ExecutionEntry>& executions() const noexcept
    {
        return executions_;
    }
    /// Those of which an executor lives.
    [[nodiscard]] const std::map<std::string, RunEntry>& runs() const noexcept { return runs_; }
    /// Prints which starts are paused, if that has changed since the last call.
    void report_pauses();

    /// The entry of an execution; null: it is not in flight, nor interrupted.
    [[nodiscard]] const ExecutionEntry* find(std::string_view execution_id) const;

private:
    void start_waiting();
    void apply(ProjectChanges changes);

    asio::io_context ctx_{1};
    WatchedProject project_;
    asio::steady_timer limit_{ctx_};
    asio::signal_set signals_{ctx_};
    bool waits_ = false;  ///< An operation of `project_`.
    bool interrupted_ = false;
    ViewPosition seen_;
    std::map<std::string, ExecutionEntry> executions_;
    std::map<std::string_view, const ExecutionEntry*> by_id_;  ///< Of an execution.
    std::map<std::string, RunEntry> runs_;
    std::vector<PauseEntry> pauses_;
    std::vector<PauseEntry> reported_pauses_;
    std::string problem_;
};

}  // namespace autoexec::cli
