#pragma once

#include <filesystem>
#include <functional>
#include <memory>

namespace autoexec::inline v1 {

/// Notifies those who wait that something in a worktree may have changed. This is only a hint:
/// polling is the authority.
class Notifier {
public:
    virtual ~Notifier() = default;

    /// Ends the subscription when destroyed.
    using Subscription = std::shared_ptr<void>;

    /// `changed` is called from any thread, at most once per change.
    virtual Subscription watch(const std::filesystem::path& worktree,
                               std::function<void()> changed) = 0;

    /// Something in `worktree` was changed by this process.
    virtual void notify(const std::filesystem::path& worktree) = 0;
};

/// Polling only.
std::shared_ptr<Notifier> null_notifier();

/// Connects executors and agents of one process that share it. Thread-safe.
std::shared_ptr<Notifier> local_notifier();

/// The attempts that the executors of this process have published. An agent that shares it with
/// them runs nothing else in the worktrees that they have locked, whatever files appear there.
class Offers;

/// For executors and agents of one process that share it. Thread-safe.
std::shared_ptr<Offers> local_offers();

}  // namespace autoexec::inline v1
