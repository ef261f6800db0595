#pragma once

#include "autoexec/command_hooks.hpp"
#include "autoexec/event_sink.hpp"
#include "cli/cli.hpp"
#include "cli/session/jobs.hpp"
#include "queue/owner_lock.hpp"
#include "queue/queue_folder.hpp"

#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>

namespace autoexec::cli {

/// The commands of a run in the foreground: those that wait are requests in the queue, which an
/// engine runs if this process is killed. When they are published, they leave the queue, and their
/// requests are kept, so that they can be repeated.
class ForegroundQueue final : public EventSink {
public:
    /// `cancel` ends an execution that has started. `nested`: an attempt's program has started this
    /// process, and what that runs ends with that attempt: it is never in the queue. `flags` must
    /// outlive this.
    ForegroundQueue(std::filesystem::path project_root, const SessionFlags& flags, bool nested,
                    std::function<void(const std::string& id)> cancel);

    /// Adds a command, with an id, which must outlive its execution: sets its hooks.
    void add(CommandJob& job);

    void publish(const Event& event) override;

    /// Cancels executions that other processes have cancelled in the queue: they may wait for long.
    void cancel_ended();

    /// An execution has ended. One that was not published leaves its result in the queue.
    void end(const ExecutionResult& result, const ModelPrices& prices);

private:
    enum class State { waiting, started };

    [[nodiscard]] protocol::QueuedRequest request_of(const CommandJob& job) const;
    void submit(const CommandJob& job);
    [[nodiscard]] bool start(const std::string& id);
    void report(error_code ec);

    queue::QueueFolder folder_;
    std::filesystem::path project_root_;
    const SessionFlags& flags_;
    std::function<void(const std::string&)> cancel_;
    bool has_queue_;                         ///< False: commands that wait are in memory alone.
    std::optional<queue::OwnerLock> owner_;  ///< Once a command waits.
    bool has_failed_ = false;
    std::map<std::string, State> requests_;  ///< Those that are in the queue, by id.
    std::map<std::string, const CommandJob*> unpublished_;
};

}  // namespace autoexec::cli
