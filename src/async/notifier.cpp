#include "autoexec/ports.hpp"
#include "files/safe_files.hpp"

#include <map>
#include <mutex>

namespace autoexec::inline v1 {
namespace {

class NullNotifier final : public Notifier {
public:
    Subscription watch(const std::filesystem::path&, std::function<void()>) override { return {}; }
    void notify(const std::filesystem::path&) override {}
};

class LocalNotifier final : public Notifier, public std::enable_shared_from_this<LocalNotifier> {
public:
    Subscription watch(const std::filesystem::path& worktree,
                       std::function<void()> changed) override
    {
        return subscribe(worktree, std::move(changed), false);
    }

    Subscription watch_commands(const std::filesystem::path& worktree,
                                std::function<void()> changed) override
    {
        return subscribe(worktree, std::move(changed), true);
    }

    void notify(const std::filesystem::path& worktree) override { call(worktree, true); }
    void notify_report(const std::filesystem::path& worktree) override { call(worktree, false); }

    [[nodiscard]] Coverage coverage(const std::filesystem::path&) const override
    {
        return Coverage::own_process;
    }

private:
    struct Watcher {
        std::function<void()> changed;
        bool is_agent = false;
    };

    Subscription subscribe(const std::filesystem::path& worktree, std::function<void()> changed,
                           bool is_agent)
    {
        const auto watcher = std::make_shared<Watcher>(Watcher{std::move(changed), is_agent});
        const std::lock_guard lock(mutex_);
        const auto where = watchers_.emplace(files::normal_path(worktree), watcher);
        return {watcher.get(), [self = shared_from_this(), where](void*) {
                    const std::lock_guard guard(self->mutex_);
                    self->watchers_.erase(where);
                }};
    }

    void call(const std::filesystem::path& worktree, bool agents_too)
    {
        // Called outside the lock: a callback may subscribe or unsubscribe.
        std::vector<std::shared_ptr<Watcher>> called;
        {
            const std::lock_guard lock(mutex_);
            const auto [first, last] = watchers_.equal_range(files::normal_path(worktree));
            for (auto it = first; it != last; ++it)
                if (agents_too || !it->second->is_agent) called.push_back(it->second);
        }
        for (const auto& watcher : called) watcher->changed();
    }

    std::mutex mutex_;
    std::multimap<std::string, std::shared_ptr<Watcher>> watchers_;
};

}  // namespace

std::shared_ptr<Notifier> null_notifier()
{
    return std::make_shared<NullNotifier>();
}

std::shared_ptr<Notifier> local_notifier()
{
    return std::make_shared<LocalNotifier>();
}

}  // namespace autoexec::inline v1
