#pragma once

#include "git/artifacts.hpp"
#include "git/salvages.hpp"

/// The worktrees of a repository.
namespace autoexec::git {

struct NewTree {
    fs::path path;
    std::string branch;   ///< `workflow/<name>`
    bool reused = false;  ///< It keeps files of an earlier attempt.
    Problem problem;
    Words warnings;  ///< For example about files that `.worktreeinclude` names.
};

/// Which changes of a tree are committed. It has a constructor: see `CommandRequest`.
struct CommitRules {
    CommitRules() = default;

    Words declared;               ///< Files and folders that belong to the work.
    bool only_declared = false;   ///< Everything else is left uncommitted.
    bool warns_of_others = true;  ///< A warning names other committed files, if any are declared.
    /// What `lay_artifacts` wrote: such files are not committed if they are unchanged and
    /// undeclared.
    std::vector<ArtifactSource> laid;
};

struct CommittedWork {
    std::string commit;    ///< The branch's tip, also if there was nothing to commit.
    bool changed = false;  ///< A commit was made.
    Problem problem;
    Words warnings;
};

struct TreeInfo {
    fs::path path;
    std::string name;
    std::string branch;  ///< Empty: detached.
    std::string head;
    bool missing = false;  ///< Git lists it, but its folder is missing.
    /// Its `.git` is missing or points elsewhere: git there uses another repository.
    bool replaced = false;
    bool dirty = false;  ///< Uncommitted, staged or untracked work, or a dirty submodule.
    bool busy = false;   ///< Locked by an executor.
    std::string run_id;  ///< The run that it was created for; empty: unknown.
    std::chrono::system_clock::time_point last_used;
};

/// Creates a worktree in `trees_folder()` on the new branch `workflow/<name>` from `base`. With
/// `reuse`, an existing worktree of that name and branch is used as it is.
asio::awaitable<NewTree> add_tree(Repository& repository, std::string name, std::string base,
                                  bool reuse = false);
/// Undo what an operation has created, even if it is cancelled: a partial tree would block the next
/// one. The time limits of the calls still apply.
asio::awaitable<void> remove_new_tree(Repository& repository, fs::path tree);
asio::awaitable<void> drop_new_branch(Repository& repository, std::string branch,
                                      std::string commit);
/// Creates a worktree `name` with the salvaged work: same files, changes not committed.
asio::awaitable<NewTree> restore(Repository& repository, std::string ref, std::string name);

/// In all, for one worktree.
struct IncludeLimits {
    std::size_t files = 10'000;
    std::uint64_t bytes = 1ULL << 30;
};

struct Included {
    Words paths;     ///< Relative paths of the copies.
    Words warnings;  ///< What was not copied, and why.
};

/// Copies regular files, and links that stay inside the tree, with their modes; existing files are
/// kept. Nothing is written outside `to`, whatever links it contains. Yields between portions.
asio::awaitable<Included> copy_included(fs::path from, fs::path to, Words paths,
                                        IncludeLimits limits);

/// True for files that are not the project's: control files, records, other worktrees.
bool is_internal(std::string_view path);

/// Copies the files that `.worktreeinclude` names into a tree. Returns warnings.
asio::awaitable<Words> bring_included(Repository& repository, Entry entry);

/// Commits all changes in a worktree, including untracked files, on the branch `workflow/<name>`,
/// whatever its HEAD is: commits that the agent made elsewhere are included, unfinished operations
/// are ended in their current state, and HEAD becomes that branch. Ignored files, control files and
/// files copied by `.worktreeinclude` are not committed. Work outside the commit (the branch's old
/// tip, staged content that was changed again) is salvaged. Files above `max_file_bytes` are left
/// alone and named in a warning; if such a file is declared, that is a problem and nothing is
/// committed.
asio::awaitable<CommittedWork> commit_work(Repository& repository, fs::path tree,
                                           std::string branch, std::string message,
                                           CommitRules rules = {});

/// Salvages, then resets the tree and its branch to `commit`. Ignored files are kept; one that
/// blocks a file of the commit is a problem, as are those of `remove_tree`.
asio::awaitable<Salvage> reset_tree(Repository& repository, fs::path tree, std::string branch,
                                    std::string commit, std::string reason);
/// True if something is at this path, other than an empty folder.
bool is_taken(const fs::path& path);
/// The sentence if the branch is checked out or being rebased in another tree.
Problem branch_elsewhere(const Repository& repository, const Entry& entry,
                         const std::string& branch);

/// Salvages, then removes the worktree; its branch is kept. Problems, with no change: a dirty
/// submodule, a nested repository, an executor that holds the tree, an agent that works there.
asio::awaitable<Salvage> remove_tree(Repository& repository, fs::path tree, SalvageOptions options);
/// Why `remove_tree` would refuse, unless only saving shows it; empty if it would not. Changes
/// nothing.
asio::awaitable<Problem> removal_blocker(Repository& repository, fs::path tree,
                                         SalvageOptions options);

/// Removes what killed executors have left in the repository's own folder more than a day ago.
void sweep(const Repository& repository);

/// The worktrees in `trees_folder()`, by name.
asio::awaitable<std::vector<TreeInfo>> list_trees(Repository& repository);
/// Short `git status`, at most 4 KiB.
asio::awaitable<std::string> state_of(Repository& repository, fs::path tree);

struct BranchRemovalOptions {
    bool by_users = false;  ///< Only branches outside `workflow/` count as containing it.
    bool dry_run = false;
    // For a dry run: treat these as already removed.
    std::set<std::string> without_branches;
    std::set<std::string> without_trees;
};

/// Result of removing a branch.
struct RemovedBranch {
    std::string commit;   ///< Its last commit; empty: there is no such branch.
    std::string held_by;  ///< Another branch that contains all its commits; empty: none found.
    Problem problem;      ///< The branch is kept.
};

/// The branches `workflow/…`, by name.
asio::awaitable<Words> list_branches(Repository& repository);
/// Deletes such a branch if another one contains all its commits. It is kept if it is checked out
/// or being rebased somewhere, or if its reflog has commits that exist nowhere else.
asio::awaitable<RemovedBranch> remove_branch(Repository& repository, std::string branch,
                                             BranchRemovalOptions options);

}  // namespace autoexec::git
