#include "agent/tree_snapshot.hpp"

#include "files/safe_files.hpp"
#include "git_files/git_dir.hpp"
#include "protocol/control_files.hpp"
#include "protocol/layout.hpp"

#include <boost/asio/post.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <utility>

namespace autoexec::agent {
namespace {

constexpr std::size_t max_tree_entries = 20'000;
constexpr std::size_t max_tree_depth = 64;
constexpr int entries_at_once = 1000;

}  // namespace

std::optional<TreeSnapshot> TreeSnapshot::take(const std::filesystem::path& worktree,
                                               std::string status_file_name)
{
    TreeSnapshot snapshot;
    const auto git_dir = git_files::git_dir_of(worktree);
    const auto root = files::open_folder(worktree);
    struct stat info {};
    if (!git_dir || !root || ::fstat(root.get(), &info) != 0) return std::nullopt;
    snapshot.worktree_ = worktree;
    snapshot.git_dir_ = *git_dir;
    snapshot.status_file_name_ = std::move(status_file_name);
    snapshot.start_ = info.st_ctim;
    snapshot.device_ = info.st_dev;
    snapshot.names_ = snapshot.names_in(root.get());
    return snapshot;
}

asio::awaitable<bool> TreeSnapshot::unchanged() const
{
    const auto ex = co_await asio::this_coro::executor;
    // Those of a commit, and of a removal from the index.
    for (const auto* const name : {"index", "HEAD", "logs/HEAD"}) {
        struct stat info {};
        if (::lstat((git_dir_ / name).c_str(), &info) == 0 && is_later(info.st_ctim))
            co_return false;
    }
    // The time of the root itself says nothing: the status file is replaced there.
    std::vector<OpenFolder> open(1);
    open.back().fd = files::open_folder(worktree_);
    if (!open.back().fd) co_return false;
    open.back().names = names_in(open.back().fd.get());
    if (open.back().names != names_ || names_.size() > max_tree_entries) co_return false;
    auto entries_left = max_tree_entries - names_.size();
    for (int steps = 1; !open.empty(); ++steps) {
        if (!next_unchanged(open, entries_left)) co_return false;
        if (steps % entries_at_once == 0) co_await asio::post(ex, asio::use_awaitable);
    }
    co_return true;
}

bool TreeSnapshot::is_own(const std::string& name) const
{
    return name == ".git" || name == layout::records || name == status_file_name_ ||
           name.starts_with(control_files::own_prefix);
}

std::vector<std::string> TreeSnapshot::names_in(int root) const
{
    auto names = files::list_folder(root, 2 * max_tree_entries);  // with its own
    std::erase_if(names, [this](const std::string& name) { return is_own(name); });
    std::ranges::sort(names);
    return names;
}

// Also in the same tick of the clock.
bool TreeSnapshot::is_later(const timespec& time) const
{
    return std::pair(time.tv_sec, time.tv_nsec) >= std::pair(start_.tv_sec, start_.tv_nsec);
}

// Compares one entry of the innermost folder, or closes it.
bool TreeSnapshot::next_unchanged(std::vector<OpenFolder>& open, std::size_t& entries_left) const
{
    auto& folder = open.back();
    if (folder.next == folder.names.size()) {
        open.pop_back();
        return true;
    }
    const auto& name = folder.names[folder.next++];
    struct stat info {};
    if (::fstatat(folder.fd.get(), name.c_str(), &info, AT_SYMLINK_NOFOLLOW) != 0) return false;
    if (is_later(info.st_ctim)) return false;
    if (!S_ISDIR(info.st_mode)) return true;
    if (info.st_dev != device_ || open.size() > max_tree_depth) return false;
    error_code ec;
    OpenFolder inner;
    inner.fd =
        files::open_beneath(folder.fd.get(), name, O_RDONLY | O_DIRECTORY, files::Links::none, ec);
    if (!inner.fd) return false;
    inner.names = files::list_folder(inner.fd.get(), entries_left + 1);
    if (inner.names.size() > entries_left) return false;
    entries_left -= inner.names.size();
    open.push_back(std::move(inner));
    return true;
}

}  // namespace autoexec::agent
