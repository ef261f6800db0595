#pragma once

#include "autoexec/command_hooks.hpp"
#include "autoexec/event_sink.hpp"
#include "cli/cli.hpp"
#include "queue/owner_lock.hpp"
#include "queue/queue_folder.hpp"

#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>

namespace autoexec::cli {

/// The commands of a run in the foreground that wait: as requests in the queue, which an engine
/// runs if this process is killed. They leave the queue when they are published.
class ForegroundQueue final : public EventSink {
public:
    /// `cancel` ends an execution that has started. `flags` must outlive this.
    ForegroundQueue(std::filesystem::path project_root, const SessionFlags& flags,
                    std::function<void(const std::string& id)> cancel);

    /// False: an engine would run commands with these flags in another way.
    [[nodiscard]] static bool can_hold(const SessionFlags& flags);

    /// The hooks with which the request, which must outlive its execution, is to be executed.
    [[nodiscard]] std::shared_ptr<const CommandHooks> hooks_of(const CommandRequest& request);

    void publish(const Event& event) override;

    /// Cancels executions that other processes have cancelled in the queue: they may wait for long.
    void cancel_ended();

    /// An execution has ended. One that was not published leaves its result in the queue.
    void end(const ExecutionResult& result, const ModelPrices& prices);

private:
    enum class State { waiting, started };

    void submit(const CommandRequest& request);
    [[nodiscard]] bool start(const std::string& id);
    void report(error_code ec);

    queue::QueueFolder folder_;
    std::filesystem::path project_root_;
    const SessionFlags& flags_;
    std::function<void(const std::string&)> cancel_;
    std::optional<queue::OwnerLock> owner_;  ///< Once a command waits.
    bool has_failed_ = false;
    std::map<std::string, State> requests_;  ///< Those that are in the queue, by id.
};

}  // namespace autoexec::cli
