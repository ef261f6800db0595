#pragma once

#include "autoexec/notifier.hpp"
#include "view/project_view.hpp"

#include <cstddef>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>

namespace autoexec::view {

/// The subscriptions of a view to file events. A part of the watches that the system grants to a
/// user is left to others, so worktrees beyond it are not watched.
class ProjectWatches {
public:
    using OnHint = std::function<void(const Hint&)>;

    /// `on_hint` is called from any thread.
    ProjectWatches(std::shared_ptr<Notifier> notifier, OnHint on_hint);

    /// Watches only these folders. Adds a hint for each new one, because earlier changes there
    /// raised no event.
    void set_folders(const std::map<std::filesystem::path, WatchedFolder>& folders,
                     std::set<Hint>& hints);

    /// A worktree is in use, or no longer.
    void set_worktree(const std::string& path, bool in_use);

    /// Begins to check that worktrees are watched as they should be.
    void check_worktrees();

    /// Some ten system calls of what the last two have asked for. With hints as above.
    void step(std::set<Hint>& hints);
    [[nodiscard]] bool is_busy() const noexcept { return is_checking_ || !wanted_.empty(); }

    /// Whether events show all changes.
    [[nodiscard]] bool cover_all() const noexcept
    {
        return are_folders_covered_ && uncovered_.empty() && !is_busy();
    }

    void clear();

private:
    void watch(const std::string& worktree, std::set<Hint>& hints);
    void check_next();

    std::shared_ptr<Notifier> notifier_;
    std::shared_ptr<const OnHint> on_hint_;
    std::size_t max_worktrees_;
    std::map<std::filesystem::path, Notifier::Subscription> folders_;
    bool are_folders_covered_ = false;
    std::map<std::string, Notifier::Subscription> worktrees_;
    std::set<std::string> uncovered_;  ///< Worktrees in use that are not watched.
    std::set<std::string> wanted_;     ///< Those that are to be watched.
    bool is_checking_ = false;
    std::string checked_;  ///< Before the next one.
};

}  // namespace autoexec::view
