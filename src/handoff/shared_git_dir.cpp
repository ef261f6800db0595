#include "handoff/shared_git_dir.hpp"

#include "files/file_lock.hpp"
#include "text/text.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>

namespace autoexec::handoff {
namespace {

using files::Links;
using files::UniqueFd;
namespace fs = std::filesystem;

constexpr char engines_in_git[] = "autoexec/engines";
constexpr std::size_t max_executors = 10'000;
constexpr int max_lock_tries = 10;
constexpr char lock_suffix_in_git[] = ".lock";

// Each holds three descriptors.
constexpr std::ptrdiff_t max_unused = 4;

std::string lock_name(const std::string& id)
{
    return id + lock_suffix_in_git;
}

// Removed under its lock: a new executor finds that its file was removed.
void remove_if_dead(int folder, const std::string& name)
{
    error_code ec;
    const auto file = files::open_beneath(folder, name, O_RDONLY, Links::none, ec);
    if (file && ::flock(file.get(), LOCK_EX | LOCK_NB) == 0) (void)files::remove_file(folder, name);
}

void sweep_locks(int folder)
{
    const auto names = files::list_folder(folder, max_executors);
    for (const auto& name : names)
        if (name.ends_with(lock_suffix_in_git)) remove_if_dead(folder, name);
    // Links to claims, which are named after the lock of their executor.
    for (const auto& name : names) {
        if (name.ends_with(lock_suffix_in_git)) continue;
        const auto lock = lock_name(name.substr(0, name.find('.')));
        if (::faccessat(folder, lock.c_str(), F_OK, AT_SYMLINK_NOFOLLOW) != 0)
            (void)files::remove_file(folder, name);
    }
}

}  // namespace

SharedGitDir::SharedGitDir(fs::path path, UniqueFd folder)
    : path_(std::move(path)), folder_(std::move(folder))
{
    struct stat st {};
    if (::fstat(folder_.get(), &st) == 0) id_ = folder_id(st);
}

bool SharedGitDir::is_there() const
{
    struct stat st {};
    return ::stat(path_.c_str(), &st) == 0 && folder_id(st) == id_;
}

SharedGitDir::~SharedGitDir()
{
    if (!lock_) return;
    (void)files::remove_file(locks_.get(), lock_name(id_of_lock_));
    ::flock(lock_.get(), LOCK_UN);
    locks_ = UniqueFd();
    (void)::unlinkat(folder_.get(), engines_in_git, AT_REMOVEDIR);
}

error_code SharedGitDir::take_lock()
{
    if (lock_) return {};
    for (int tries = 0; tries < max_lock_tries; ++tries) {
        error_code ec;
        locks_ = files::make_folders(folder_.get(), engines_in_git, ec);
        if (!locks_) return ec;
        if (tries == 0) sweep_locks(locks_.get());
        id_of_lock_ = text::new_uuid();
        UniqueFd file(::openat(locks_.get(), lock_name(id_of_lock_).c_str(),
                               O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
        if (!file && errno == ENOENT) continue;  // the executor that ended last has removed it
        if (!file) return files::last_error();
        // Another process may have taken it for a dead executor's before it was locked.
        if (files::lock_unless_removed(file.get())) continue;
        lock_ = std::move(file);
        return {};
    }
    return errc::worktree_busy;
}

error_code SharedGitDir::link_lock(int folder, const char* name)
{
    const std::lock_guard guard(mutex_);
    if (const auto ec = take_lock()) return ec;
    if (::linkat(locks_.get(), lock_name(id_of_lock_).c_str(), folder, name, 0) == 0) return {};
    return files::last_error();
}

bool SharedGitDir::has_lock() const
{
    const std::lock_guard guard(mutex_);
    return static_cast<bool>(lock_);
}

std::string SharedGitDir::path_beside_lock(ino_t worktree) const
{
    const std::lock_guard guard(mutex_);
    return lock_ ? fmt::format("{}/{}.{}", engines_in_git, id_of_lock_, worktree) : std::string();
}

void SharedGitDir::sweep()
{
    error_code ec;
    const auto locks =
        files::open_beneath(folder_.get(), engines_in_git, O_RDONLY | O_DIRECTORY, Links::none, ec);
    if (!locks) return;
    sweep_locks(locks.get());
    (void)::unlinkat(folder_.get(), engines_in_git, AT_REMOVEDIR);
}

std::shared_ptr<SharedGitDir> SharedGitDirs::open(const fs::path& path, error_code& ec)
{
    ec = {};
    const std::lock_guard guard(mutex_);
    const auto known = dirs_.find(path.string());
    auto dir = known == dirs_.end() ? nullptr : known->second;
    close_unused();
    if (dir && dir->is_there()) return dir;
    UniqueFd folder(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!folder) {
        ec = files::last_error();
        return nullptr;
    }
    dir = std::make_shared<SharedGitDir>(path, std::move(folder));
    dirs_.insert_or_assign(path.string(), dir);
    return dir;
}

void SharedGitDirs::close_unused()
{
    const auto is_unused = [](const auto& entry) { return entry.second.use_count() == 1; };
    if (std::count_if(dirs_.begin(), dirs_.end(), is_unused) >= max_unused)
        std::erase_if(dirs_, is_unused);
}

}  // namespace autoexec::handoff
