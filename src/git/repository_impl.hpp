#pragma once

#include "async/short_names.hpp"
#include "git/entry.hpp"
#include "git/git.hpp"
#include "git/lock_queue.hpp"
#include "git/repository.hpp"
#include "git/snapshot.hpp"

#include <cstdint>
#include <filesystem>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

namespace autoexec::git {

/// How long to wait for a git lock before it counts as left behind.
constexpr std::chrono::milliseconds lock_pause{25};
constexpr int max_lock_tries = 20;

/// A tree's HEAD.
struct Head {
    std::string commit;  ///< Empty: an unborn branch.
    std::string tree;
    std::string branch;  ///< Empty: detached.
};

/// The parts of a salvage; empty ones are omitted.
struct SalvageContents {
    std::string files;  ///< Trees.
    std::string index;
    std::string sides;
    Head head;
    std::vector<std::string> tips;  ///< Commits that no ref would reach.
    std::string reason;
};

/// What an operation removes from a tree, in addition to the files that `Repository::salvage`
/// describes.
struct RemovalScope {
    std::string branch;             ///< This branch will be moved
    std::string commit;             ///< to this commit.
    std::vector<std::string> also;  ///< Commits that it reached.
    bool entry = false;             ///< The tree's entry is removed, too.
};

/// The operations; `Repository` documents them.
struct Repository::Impl {
    Impl(RepositoryOptions o, Git g, GitContext p, std::filesystem::path common_dir);

    // branches.cpp
    asio::awaitable<Commit> resolve(std::string revision);
    asio::awaitable<bool> holds(std::string commit, std::string path);
    asio::awaitable<Problem> set_branch(std::string branch, std::string commit, std::string old);
    asio::awaitable<Problem> move_branch(std::string branch, std::string commit, std::string old);
    asio::awaitable<std::string> tip_of(std::string branch);
    asio::awaitable<bool> contains(std::string commit, std::string ancestor);
    asio::awaitable<bool> contains_both(std::string commit, std::string one, std::string other);
    asio::awaitable<Commit> commit_tree(std::string tree, Words parents, std::string message,
                                        std::string date = {});
    asio::awaitable<void> ensure_identity();
    void warn_of_identity(std::vector<std::string>& warnings);

    // branch_removal.cpp
    asio::awaitable<std::vector<std::string>> branches();
    asio::awaitable<RemovedBranch> remove_branch(std::string branch, BranchRemovalOptions how);
    [[nodiscard]] Problem checked_out(const std::string& branch,
                                      const BranchRemovalOptions& how) const;
    asio::awaitable<std::string> holder_of(std::string ref, std::string commit,
                                           BranchRemovalOptions how);
    asio::awaitable<Problem> drop(SalvageInfo salvage);
    asio::awaitable<Problem> drop_ref(std::string ref, std::string commit);

    // add_tree.cpp
    asio::awaitable<NewTree> add_tree(std::string name, std::string base, bool reuse);
    asio::awaitable<Problem> make_tree(NewTree& made);
    asio::awaitable<Problem> fill(Entry entry, std::vector<std::string>& warnings);
    asio::awaitable<NewTree> reuse_tree(Entry entry, NewTree made);
    asio::awaitable<Problem> forget(Entry entry, std::vector<std::string>& warnings);
    asio::awaitable<ProgramOutput> locked(Words words) { return locked_by(git, std::move(words)); }
    asio::awaitable<ProgramOutput> locked_by(Git caller, Words words);
    /// Removes a tree that this operation has created.
    asio::awaitable<void> remove_new_tree(std::filesystem::path tree);
    asio::awaitable<void> drop_new_branch(std::string branch, std::string commit);
    [[nodiscard]] Problem lack_of_space() const;
    [[nodiscard]] std::filesystem::path trees_folder() const;

    // include_file.cpp
    asio::awaitable<std::vector<std::string>> bring_included(Entry entry);
    asio::awaitable<Words> not_ignored(Entry entry, Words paths);

    // commit_work.cpp
    asio::awaitable<CommittedWork> commit_work(std::filesystem::path tree, std::string branch,
                                               std::string message, CommitRules rules);

    // artifacts.cpp, artifact_layer.cpp
    asio::awaitable<KeptArtifacts> keep_ignored(std::filesystem::path tree, ArtifactRef ref,
                                                Words declared);
    asio::awaitable<Problem> lay_artifacts(std::filesystem::path tree,
                                           std::vector<ArtifactSource> sources, bool keep_existing);
    asio::awaitable<std::vector<ArtifactInfo>> artifacts();

    // merging.cpp, conflict.cpp
    asio::awaitable<Merged> merge(std::string ours, std::string theirs, std::string message);
    asio::awaitable<Merged> merge_into(std::string branch, std::string commit, std::string message);
    asio::awaitable<Problem> advance(std::string branch, std::string commit, std::string old);
    asio::awaitable<NewTree> open_conflict(std::string name, std::string ours, std::string theirs,
                                           std::string message);
    asio::awaitable<Problem> begin_merge(Entry entry, std::string ours, std::string theirs,
                                         std::string message);
    asio::awaitable<Commit> resolved_conflict(std::string name, std::string ours,
                                              std::string theirs);
    asio::awaitable<Problem> unresolved(Entry entry);

    // salvage.cpp, restore.cpp
    asio::awaitable<Salvage> salvage(std::filesystem::path tree, SalvageOptions options);
    asio::awaitable<Salvage> save_all(Entry entry, SalvageOptions options, RemovalScope leaving,
                                      Snapshot& snapshot);
    asio::awaitable<Salvage> save(Entry entry, SalvageContents contents);
    asio::awaitable<Words> lost_commits(Words candidates, Words kept, std::string branch);
    asio::awaitable<Words> lost_tips(Entry entry, RemovalScope leaving, std::string head);
    asio::awaitable<void> name_salvage(std::string tree, Salvage& saved);
    /// True if a tree has a file that differs from all the others'.
    asio::awaitable<bool> has_more(std::string tree, Words others);
    asio::awaitable<std::vector<SalvageInfo>> salvages();
    asio::awaitable<NewTree> restore(std::string ref, std::string name);
    asio::awaitable<Problem> put_in_place(const NewTree& made, std::string base, std::string commit,
                                          std::string index);

    // reset.cpp
    asio::awaitable<Salvage> reset(std::filesystem::path tree, std::string branch,
                                   std::string commit, std::string reason);
    [[nodiscard]] Problem branch_elsewhere(const Entry& entry, const std::string& branch) const;
    asio::awaitable<Problem> replace_files(Entry entry, Snapshot snapshot, std::string commit);
    asio::awaitable<std::string> ignored_in_the_way(Entry entry, std::string files,
                                                    std::string commit);
    asio::awaitable<Problem> return_to(Entry entry, std::string branch);
    asio::awaitable<void> wait_for_index(Entry entry);

    // removal.cpp
    asio::awaitable<Salvage> remove(std::filesystem::path tree, SalvageOptions options);
    asio::awaitable<Problem> removal_blocker(std::filesystem::path tree, SalvageOptions options);
    asio::awaitable<Problem> unsalvageable_work(Entry entry);
    [[nodiscard]] Problem too_large(const Entry& entry, const std::vector<LargeFile>& files) const;
    asio::awaitable<Problem> hold(int folder, Entry entry);
    asio::awaitable<Problem> detach_and_erase(Entry entry);
    asio::awaitable<Problem> erase(std::filesystem::path folder, Words paths);
    void sweep() const;

    // listing.cpp
    asio::awaitable<Head> head_of(GitContext context);
    [[nodiscard]] std::vector<Entry> all_trees() const;
    asio::awaitable<TreeInfo> describe(Entry entry);
    asio::awaitable<std::vector<TreeInfo>> trees();
    asio::awaitable<std::string> state_of(std::filesystem::path tree);

    RepositoryOptions options;
    Git git;
    GitContext project;  ///< The tree that contains the project's folder.
    std::filesystem::path common;
    GitContext bare;            ///< The repository without a work tree.
    std::optional<Entry> main;  ///< Its first tree, unless it is bare.
    LockQueue queue;
    bool identity_checked = false;
    std::string identity_warning;
    std::int64_t last_salvage_us = 0;
    std::string run_id;  ///< The run that trees are created for.
    int removals = 0;    ///< Folders that are being erased.
};

}  // namespace autoexec::git
