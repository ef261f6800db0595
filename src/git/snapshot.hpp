#pragma once

#include "async/short_names.hpp"
#include "git/index.hpp"

#include <boost/asio/awaitable.hpp>

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace autoexec::git {

/// A file above `RepositoryOptions::max_file_bytes`, found by size without reading it.
struct LargeFile {
    std::string path;  ///< Relative to the tree.
    std::uint64_t size = 0;
};

/// True if a path is declared or lies in a declared folder.
bool is_declared(std::string_view path, const Words& declared);

/// `'a' (300.0 GiB), 'b' (1.2 GiB) and 3 more`.
std::string listed(const std::vector<LargeFile>& files);

/// `300.0 GiB`.
std::string size_text(std::uint64_t bytes);

/// Why a file is skipped.
std::string limit_text(std::uint64_t limit);

/// The content of a worktree as trees in the object database. The worktree itself is not changed.
struct Snapshot {
    std::string files;  ///< The files, including untracked ones. Empty: the folder is missing.
    std::string index;  ///< The staged content. Empty: there is no readable index.
    std::string sides;  ///< All sides of unmerged paths, in `base/`, `ours/`, `theirs/`.
    Words unmerged;
    Words repositories;  ///< Nested repositories; they are not in `files`.
    bool has_submodules = false;
    std::vector<LargeFile> large;  ///< Skipped files; `files` has HEAD's version, if any.

    std::optional<TemporaryIndex> fresh;  ///< An index of `files`.
    bool fresh_keeps_sparse = true;       ///< It also records the files that sparse-checkout omits.

    std::string problem;
};

struct SnapshotOptions {
    SnapshotOptions() = default;
    SnapshotOptions(bool with_ignored, std::uint64_t max_bytes)
        : include_ignored(with_ignored), max_file_bytes(max_bytes)
    {}

    bool include_ignored = false;
    std::uint64_t max_file_bytes = 0;  ///< Larger files are skipped; zero: no limit.
    std::string head_tree;             ///< The tree of HEAD, where the caller knows it.
};

/// `git` must outlive the operation.
asio::awaitable<Snapshot> take_snapshot(const Git& git, Entry entry, SnapshotOptions options);

/// Nested repositories that are not submodules, and untracked files that are too large, or why they
/// cannot be listed.
struct OtherRepositories {
    Words paths;
    std::vector<LargeFile> large;
    std::string problem;
};
asio::awaitable<OtherRepositories> other_repositories(const Git& git, GitContext context,
                                                      SnapshotOptions options);

/// The name of the record of the paths copied by `.worktreeinclude`.
constexpr const char* included_file = "included";
/// The paths copied by `.worktreeinclude`, relative to the tree, sorted.
Words included_paths(const Entry& entry);

}  // namespace autoexec::git
