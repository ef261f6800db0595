#pragma once

#include "autoexec/error.hpp"
#include "files/safe_files.hpp"
#include "handoff/claims.hpp"

#include <filesystem>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <utility>

/// Git directories, each opened once for all worktrees of a repository.
namespace autoexec::handoff {

/// One git directory, and the lock of an executor in it: `autoexec/engines/<id>.lock`. A hard link
/// to that file shows elsewhere that the executor lives, without a descriptor for each such place.
/// Thread-safe.
class SharedGitDir {
public:
    SharedGitDir(std::filesystem::path path, files::UniqueFd folder);
    /// Unlocks explicitly: a child may have a copy of the descriptor.
    ~SharedGitDir();
    SharedGitDir(const SharedGitDir&) = delete;
    SharedGitDir& operator=(const SharedGitDir&) = delete;

    [[nodiscard]] const std::filesystem::path& path() const noexcept { return path_; }
    [[nodiscard]] int folder() const noexcept { return folder_.get(); }
    /// False if its path no longer leads to it.
    [[nodiscard]] bool is_there() const;

    /// Makes such a link. The first call creates and locks the file.
    error_code link_lock(int folder, const char* name);

    /// False until then.
    [[nodiscard]] bool has_lock() const;

    /// The path of a file of this executor beside its lock; empty: it has none.
    [[nodiscard]] std::string path_beside_lock(ino_t worktree) const;

    /// Removes what dead executors have left.
    void sweep();

private:
    error_code take_lock();

    std::filesystem::path path_;
    files::UniqueFd folder_;
    FolderId id_;
    mutable std::mutex mutex_;
    std::string id_of_lock_;
    files::UniqueFd locks_;  ///< The folder of the lock.
    files::UniqueFd lock_;
};

/// Keeps directories open while they are used, and a few others for the next command. Thread-safe.
class SharedGitDirs {
public:
    /// Null: it cannot be opened.
    std::shared_ptr<SharedGitDir> open(const std::filesystem::path& path, error_code& ec);

private:
    void close_unused();

    std::mutex mutex_;
    std::map<std::string, std::shared_ptr<SharedGitDir>> dirs_;
};

/// A worktree's own git directory, below one that it shares with others or equal to it.
struct GitPlace {
    std::shared_ptr<SharedGitDir> base;  ///< Null: none.
    std::string below = ".";
};

}  // namespace autoexec::handoff
