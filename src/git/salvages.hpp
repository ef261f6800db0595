#pragma once

#include "git/repository.hpp"
#include "git/snapshot.hpp"

/// Salvages: work that is saved before it is removed or reset, as commits with a ref.
namespace autoexec::git {

/// What was saved before something was removed or reset.
struct Salvage {
    std::string ref;  ///< `refs/autoexec/salvage/<tree>/<time>`; empty: there was nothing.
    std::string commit;
    Problem problem;  ///< Saving failed, so nothing must be removed.
};

struct SalvageOptions {
    bool include_ignored = false;
    std::string reason;  ///< For the commit's message.
};

struct SalvageInfo {
    std::string ref;
    std::string tree;  ///< Name of the worktree.
    std::string commit;
    std::string reason;
    std::chrono::system_clock::time_point time;
};

/// Saves what exists only in a worktree: changed, staged and untracked files, and commits that no
/// ref reaches. Files are not changed. Nested repositories are skipped.
asio::awaitable<Salvage> salvage(Repository& repository, fs::path tree, SalvageOptions options);
/// Newest first.
asio::awaitable<std::vector<SalvageInfo>> list_salvages(Repository& repository);

/// What an operation removes from a tree, in addition to the files that `salvage`
/// describes.
struct RemovalScope {
    std::string branch;  ///< This branch will be moved
    std::string commit;  ///< to this commit.
    Words also;          ///< Commits that it reached.
    bool entry = false;  ///< The tree's entry is removed, too.
};

/// The same as `salvage`, before something is removed. What cannot be saved is then a problem.
asio::awaitable<Salvage> save_all(Repository& repository, Entry entry, SalvageOptions options,
                                  RemovalScope leaving, Snapshot& snapshot);

/// The parts of a salvage; empty ones are omitted.
struct SalvageContents {
    std::string files;  ///< Trees.
    std::string index;
    std::string sides;
    Head head;
    Words tips;  ///< Commits that no ref would reach.
    std::string reason;
};

asio::awaitable<Salvage> save(Repository& repository, Entry entry, SalvageContents contents);

/// Those of the commits that no ref but `branch` and no commit of `kept` reaches.
asio::awaitable<Words> lost_commits(Repository& repository, Words candidates, Words kept,
                                    std::string branch);

/// True if a tree has a file that differs from all the others'.
asio::awaitable<bool> has_more(Repository& repository, std::string tree, Words others);

[[nodiscard]] SnapshotOptions snapshot_options(const Repository& repository,
                                               const SalvageOptions& options);
/// The sentence if a tree that is to be removed has files that a salvage omits; otherwise empty.
Problem unsaved_files(const Repository& repository, const Entry& entry, const Words& repositories,
                      const std::vector<LargeFile>& large);

constexpr std::string_view salvage_refs = "refs/autoexec/salvage/";

/// `refs/autoexec/salvage/<tree>/<yyyymmdd-HHMMSS-micro>`, UTC.
std::string salvage_ref(std::string_view tree, std::chrono::system_clock::time_point time);

/// Returns false if it is not a salvage.
bool read_salvage_ref(std::string_view ref, std::string& tree,
                      std::chrono::system_clock::time_point& time);

struct SalvageNote {
    std::string tree;  ///< The worktree's name.
    std::string reason;
    std::string path;
    std::string branch;
    std::string head;   ///< The commit that was checked out.
    std::string index;  ///< The commit of the staged content.
};

/// A subject, the reason, and a last paragraph of `Name: value`.
std::string salvage_message(const SalvageNote& record);
SalvageNote read_salvage_message(std::string_view message);

}  // namespace autoexec::git
