#include "view/project_watches.hpp"

#include <fstream>
#include <system_error>
#include <utility>

namespace autoexec::view {
namespace {

namespace fs = std::filesystem;

constexpr int watches_of_step = 4;
constexpr int checks_of_step = 64;
constexpr std::size_t max_share = 4;  // one part of so many
constexpr std::size_t watches_of_worktree = 2;

std::size_t find_max_worktrees()
{
    std::size_t granted = 0;
    std::ifstream("/proc/sys/fs/inotify/max_user_watches") >> granted;
    return granted / max_share / watches_of_worktree;
}

}  // namespace

ProjectWatches::ProjectWatches(std::shared_ptr<Notifier> notifier, OnHint on_hint)
    : notifier_(std::move(notifier)),
      on_hint_(std::make_shared<const OnHint>(std::move(on_hint))),
      max_worktrees_(find_max_worktrees())
{}

void ProjectWatches::set_folders(const std::map<fs::path, WatchedFolder>& folders,
                                 std::set<Hint>& hints)
{
    std::map<fs::path, Notifier::Subscription> now;
    are_folders_covered_ = true;
    for (const auto& [path, folder] : folders) {
        auto& subscription = now[path];
        const auto before = folders_.find(path);
        if (before != folders_.end() && notifier_->coverage(path) == Coverage::all) {
            subscription = std::move(before->second);
            continue;
        }
        subscription = notifier_->watch_entries(
            path, [on_hint = on_hint_, folder = folder](const std::string& name) {
                (*on_hint)(Hint{folder, name});
            });
        std::error_code ec;
        if (notifier_->coverage(path) == Coverage::all)
            hints.insert(Hint{folder, std::string()});
        else if (fs::exists(path, ec))  // otherwise its parent shows when it appears
            are_folders_covered_ = false;
    }
    folders_ = std::move(now);
}

void ProjectWatches::set_worktree(const std::string& path, bool in_use)
{
    if (!in_use) {
        worktrees_.erase(path);
        uncovered_.erase(path);
        wanted_.erase(path);
    } else if (!worktrees_.contains(path)) {
        wanted_.insert(path);
    }
}

void ProjectWatches::check_worktrees()
{
    wanted_.merge(uncovered_);
    uncovered_.clear();
    is_checking_ = true;
    checked_.clear();
}

void ProjectWatches::step(std::set<Hint>& hints)
{
    for (int count = 0; count < watches_of_step && !wanted_.empty(); ++count)
        watch(wanted_.extract(wanted_.begin()).value(), hints);
    if (wanted_.empty() && is_checking_) check_next();
}

void ProjectWatches::watch(const std::string& worktree, std::set<Hint>& hints)
{
    if (worktrees_.size() >= max_worktrees_) {
        uncovered_.insert(worktree);
        return;
    }
    auto subscription = notifier_->watch(worktree, [on_hint = on_hint_, worktree] {
        (*on_hint)(Hint{{Place::worktree, worktree}, std::string()});
    });
    if (notifier_->coverage(worktree) != Coverage::all) {
        uncovered_.insert(worktree);
        return;
    }
    worktrees_[worktree] = std::move(subscription);
    hints.insert(Hint{{Place::worktree, worktree}, std::string()});
}

void ProjectWatches::check_next()
{
    for (int count = 0; count < checks_of_step; ++count) {
        const auto next = worktrees_.upper_bound(checked_);
        is_checking_ = next != worktrees_.end();
        if (!is_checking_) return;
        checked_ = next->first;
        if (notifier_->coverage(checked_) == Coverage::all) continue;
        worktrees_.erase(next);
        wanted_.insert(checked_);
    }
}

void ProjectWatches::clear()
{
    folders_.clear();
    worktrees_.clear();
    uncovered_.clear();
    wanted_.clear();
    is_checking_ = false;
    are_folders_covered_ = false;
}

}  // namespace autoexec::view
