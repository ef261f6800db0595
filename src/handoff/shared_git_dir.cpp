#include "handoff/shared_git_dir.hpp"

#include "text/text.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

namespace autoexec::handoff {
namespace {

using files::Links;
using files::UniqueFd;
namespace fs = std::filesystem;

constexpr char engines_in_git[] = "autoexec/engines";
constexpr std::size_t max_executors = 10'000;
constexpr int max_lock_tries = 10;

// Of executors that were killed. Removed under its lock: a new one finds that it was removed.
void remove_dead_locks(int folder)
{
    for (const auto& name : files::list_folder(folder, max_executors)) {
        error_code ec;
        const auto file = files::open_beneath(folder, name, O_RDONLY, Links::none, ec);
        if (file && ::flock(file.get(), LOCK_EX | LOCK_NB) == 0)
            (void)files::remove_file(folder, name);
    }
}

}  // namespace

SharedGitDir::SharedGitDir(UniqueFd folder) : folder_(std::move(folder))
{
    struct stat st {};
    if (::fstat(folder_.get(), &st) == 0) id_ = folder_id(st);
}

bool SharedGitDir::is_at(const fs::path& path) const
{
    struct stat st {};
    return ::stat(path.c_str(), &st) == 0 && folder_id(st) == id_;
}

SharedGitDir::~SharedGitDir()
{
    if (!lock_) return;
    (void)files::remove_file(locks_.get(), name_);
    ::flock(lock_.get(), LOCK_UN);
    locks_ = UniqueFd();
    (void)::unlinkat(folder_.get(), engines_in_git, AT_REMOVEDIR);
}

error_code SharedGitDir::take_lock()
{
    if (lock_) return {};
    error_code ec;
    locks_ = files::make_folders(folder_.get(), engines_in_git, ec);
    if (!locks_) return ec;
    remove_dead_locks(locks_.get());
    for (int tries = 0; tries < max_lock_tries; ++tries) {
        name_ = text::new_uuid() + ".lock";
        UniqueFd file(::openat(locks_.get(), name_.c_str(),
                               O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
        if (!file) return files::last_error();
        struct stat st {};
        // Another process may have taken it for a dead executor's before it was locked.
        if (::flock(file.get(), LOCK_EX | LOCK_NB) != 0 || ::fstat(file.get(), &st) != 0 ||
            st.st_nlink == 0)
            continue;
        lock_ = std::move(file);
        return {};
    }
    return errc::worktree_busy;
}

error_code SharedGitDir::link_lock(int folder, const char* name)
{
    const std::lock_guard guard(mutex_);
    if (const auto ec = take_lock()) return ec;
    if (::linkat(locks_.get(), name_.c_str(), folder, name, 0) == 0) return {};
    return files::last_error();
}

std::shared_ptr<SharedGitDir> SharedGitDirs::open(const fs::path& path, error_code& ec)
{
    ec = {};
    const std::lock_guard guard(mutex_);
    auto& dir = dirs_[path.string()];
    if (dir && dir->is_at(path)) return dir;
    UniqueFd folder(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!folder) {
        ec = files::last_error();
        return nullptr;
    }
    dir = std::make_shared<SharedGitDir>(std::move(folder));
    return dir;
}

}  // namespace autoexec::handoff
