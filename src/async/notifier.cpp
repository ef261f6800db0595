#include "autoexec/ports.hpp"

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
        const auto callback = std::make_shared<std::function<void()>>(std::move(changed));
        const std::lock_guard lock(mutex_);
        const auto where = watchers_.emplace(worktree.lexically_normal().string(), callback);
        return {callback.get(), [self = shared_from_this(), where](void*) {
                    const std::lock_guard guard(self->mutex_);
                    self->watchers_.erase(where);
                }};
    }

    void notify(const std::filesystem::path& worktree) override
    {
        // Called outside the lock: a callback may subscribe or unsubscribe.
        std::vector<std::shared_ptr<std::function<void()>>> callbacks;
        {
            const std::lock_guard lock(mutex_);
            const auto [first, last] = watchers_.equal_range(worktree.lexically_normal().string());
            for (auto it = first; it != last; ++it) callbacks.push_back(it->second);
        }
        for (const auto& callback : callbacks) (*callback)();
    }

    [[nodiscard]] Coverage coverage(const std::filesystem::path&) const override
    {
        return Coverage::own_process;
    }

private:
    std::mutex mutex_;
    std::multimap<std::string, std::shared_ptr<std::function<void()>>> watchers_;
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
