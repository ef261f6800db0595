#include "agent/tree_snapshot.hpp"

#include "files/safe_files.hpp"
#include "git_files/git_dir.hpp"
#include "protocol/control_files.hpp"
#include "protocol/layout.hpp"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <utility>

namespace autoexec::agent {
namespace {

constexpr int max_tree_entries = 20'000;
constexpr int max_tree_depth = 64;

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
    snapshot.names_ = snapshot.names_in(root.get());
    return snapshot;
}

bool TreeSnapshot::unchanged() const
{
    // Those of a commit, and of a removal from the index.
    for (const auto* const name : {"index", "HEAD", "logs/HEAD"}) {
        struct stat info {};
        if (::lstat((git_dir_ / name).c_str(), &info) == 0 && is_later(info.st_ctim)) return false;
    }
    const auto root = files::open_folder(worktree_);
    if (!root) return false;
    // The time of the root itself says nothing: the status file is replaced there.
    const auto names = names_in(root.get());
    int entries_left = max_tree_entries;
    return names == names_ && folder_unchanged(root.get(), names, 0, entries_left);
}

bool TreeSnapshot::is_own(const std::string& name) const
{
    return name == ".git" || name == layout::records || name == status_file_name_ ||
           name.starts_with(control_files::own_prefix);
}

std::vector<std::string> TreeSnapshot::names_in(int root) const
{
    auto names = files::list_folder(root, max_tree_entries);
    std::erase_if(names, [this](const std::string& name) { return is_own(name); });
    std::ranges::sort(names);
    return names;
}

// Also in the same tick of the clock.
bool TreeSnapshot::is_later(const timespec& time) const
{
    return std::pair(time.tv_sec, time.tv_nsec) >= std::pair(start_.tv_sec, start_.tv_nsec);
}

bool TreeSnapshot::folder_unchanged(int folder, const std::vector<std::string>& names, int depth,
                                    int& entries_left) const
{
    for (const auto& name : names) {
        struct stat info {};
        if (--entries_left <= 0 || ::fstatat(folder, name.c_str(), &info, AT_SYMLINK_NOFOLLOW) != 0)
            return false;
        if (is_later(info.st_ctim)) return false;
        if (!S_ISDIR(info.st_mode)) continue;
        error_code ec;
        const auto inner =
            files::open_beneath(folder, name, O_RDONLY | O_DIRECTORY, files::Links::none, ec);
        if (!inner || depth == max_tree_depth) return false;
        const auto inner_names =
            files::list_folder(inner.get(), static_cast<std::size_t>(entries_left) + 1);
        if (!folder_unchanged(inner.get(), inner_names, depth + 1, entries_left)) return false;
    }
    return true;
}

}  // namespace autoexec::agent
