#pragma once

#include "git/large_files.hpp"
#include "git/temporary_index.hpp"

#include <boost/asio/awaitable.hpp>

#include <optional>
#include <string>
#include <vector>

namespace autoexec::git {

/// What stands in a worktree, as trees in the object database. Nothing of the worktree is changed.
struct Snapshot {
    std::string files;  ///< Of the files, untracked ones included. Empty: the folder is gone.
    std::string index;  ///< Of what is staged. Empty: there is no index that can be read.
    std::string sides;  ///< Of all sides of unmerged paths, in `base/`, `ours/`, `theirs/`.
    std::vector<std::string> unmerged;
    std::vector<std::string> repositories;  ///< Others within the tree; they are not in `files`.
    bool has_submodules = false;
    std::vector<LargeFile> large;  ///< In `files` as HEAD has them, if at all.

    std::optional<TemporaryIndex> fresh;  ///< An index that is `files`.
    bool fresh_keeps_sparse = true;       ///< It also knows what the tree leaves out on purpose.

    std::string problem;
};

struct SnapshotOptions {
    bool include_ignored = false;
    std::uint64_t max_file_bytes = 0;  ///< Larger files are left out; zero: none is.
};

/// `git` must outlive the operation.
asio::awaitable<Snapshot> take_snapshot(const Git& git, Entry entry, SnapshotOptions options);

/// Repositories within the tree that are no submodules, and untracked files that are too large, or
/// why they can't be listed.
struct OtherRepositories {
    std::vector<std::string> paths;
    std::vector<LargeFile> large;
    std::string problem;
};
asio::awaitable<OtherRepositories> other_repositories(const Git& git, Place place,
                                                      SnapshotOptions options);

/// The paths that `.worktreeinclude` brought, relative to the tree, sorted.
std::vector<std::string> included_paths(const Entry& entry);

/// A file with paths for `--pathspec-from-file`. Removed when destroyed.
class PathFile {
public:
    PathFile(const Entry& entry, const std::vector<std::string>& paths);
    ~PathFile();
    PathFile(const PathFile&) = delete;
    PathFile& operator=(const PathFile&) = delete;

    [[nodiscard]] std::string option() const { return "--pathspec-from-file=" + file_.string(); }

private:
    std::filesystem::path file_;
};

}  // namespace autoexec::git
