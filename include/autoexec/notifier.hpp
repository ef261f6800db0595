#pragma once

#include <boost/asio/any_io_executor.hpp>

#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <utility>

namespace autoexec::inline v1 {

/// Whose changes in a worktree a notifier sees.
enum class Coverage {
    none,         ///< Polling alone finds changes.
    own_process,  ///< Those that are passed to `notify`.
    all,          ///< Those of any process on this host.
};

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

    /// The same for an agent: it need not be called for what agents write.
    virtual Subscription watch_commands(const std::filesystem::path& worktree,
                                        std::function<void()> changed)
    {
        return watch(worktree, std::move(changed));
    }

    /// The same for a folder that is no worktree, as of now: any change of its entries is notified.
    virtual Subscription watch_folder(const std::filesystem::path& folder,
                                      std::function<void()> changed)
    {
        return watch(folder, std::move(changed));
    }

    /// The same with the name of the entry, also while a file is being written. An empty name: any
    /// of them may have changed.
    virtual Subscription watch_entries(const std::filesystem::path& folder,
                                       std::function<void(const std::string& name)> changed)
    {
        return watch_folder(folder, [changed = std::move(changed)] { changed({}); });
    }

    /// Something in `worktree` was changed by this process.
    virtual void notify(const std::filesystem::path& worktree) = 0;

    /// The same if an agent has changed it: agents need not be called.
    virtual void notify_report(const std::filesystem::path& worktree) { notify(worktree); }

    /// For a worktree that is watched, as of now. The more it covers, the less is polled.
    [[nodiscard]] virtual Coverage coverage(const std::filesystem::path&) const
    {
        return Coverage::none;
    }

    /// Why file events do not cover something that is watched, although they should: a few words.
    /// Empty if they do, or are not meant to.
    [[nodiscard]] virtual std::string problem(const std::filesystem::path&) const { return {}; }
};

/// Polling only.
std::shared_ptr<Notifier> null_notifier();

/// Connects executors and agents of one process that share it. Thread-safe.
std::shared_ptr<Notifier> local_notifier();

/// What a `file_notifier` watches.
struct FileNotifierOptions {
    std::filesystem::path project_root;  ///< Empty: the current directory.
    std::string status_file_name = ".cursor-skill-status.json";
    /// Also watch the claims, which executors need. An agent does not.
    bool claims = true;
    /// False: file events come from folders (`watch_folder`) alone. Worktrees are covered as by a
    /// `local_notifier`.
    bool worktrees = true;
};

/// A `local_notifier` that also notifies of what other processes change, by file events (inotify):
/// one descriptor for all worktrees, two while something is watched, and up to three watches for
/// each worktree, one for each other folder.
///
/// A worktree is not covered if it is on a network file system, if the system has no watches left
/// (`fs.inotify.max_user_watches`), or after it was moved or removed; a message is logged,
/// and `problem` has the reason. It is watched again with the next subscription. Lost events wake
/// all subscribers.
///
/// Executor: events are read on a strand of the given executor, as long as something is watched.
///
/// Thread safety: all functions may be called from any thread.
///
/// Lifetime: what is watched keeps it. Subscriptions must end before the executor's context is
/// destroyed, or with it.
std::shared_ptr<Notifier> file_notifier(const boost::asio::any_io_executor& ex,
                                        FileNotifierOptions options = {});

/// The attempts that the executors of this process have published. An agent that shares it with
/// them runs nothing else in the worktrees that they have locked, whatever files appear there.
class Offers;

/// For executors and agents of one process that share it. Thread-safe.
std::shared_ptr<Offers> local_offers();

}  // namespace autoexec::inline v1
