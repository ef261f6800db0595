#pragma once

#include "async/short_names.hpp"
#include "autoexec/clock.hpp"
#include "autoexec/error.hpp"
#include "autoexec/spawner.hpp"
#include "git/interrupt.hpp"

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

/// A project's git repository as workflows use it: a worktree for each step, commits on its branch,
/// merges without a checkout; no work is discarded without a salvage. Everything is done by the git
/// program, without prompts, editors, hooks, signatures or automatic clean-up.
namespace autoexec::git {

struct RepositoryOptions {
    std::filesystem::path project_root;  ///< Absolute.
    std::shared_ptr<Spawner> spawner;
    std::shared_ptr<Clock> clock;
    /// Free space required to create a worktree; zero: no minimum.
    std::uint64_t min_free_bytes = 512ULL * 1024 * 1024;
    /// A larger file in a worktree is neither committed nor saved; zero: no limit.
    std::uint64_t max_file_bytes = 100ULL * 1024 * 1024;
    /// Total size limit of one step's git-ignored artifacts.
    std::uint64_t max_artifact_bytes = 1024ULL * 1024 * 1024;
    /// How long to wait for the repository's lock.
    std::chrono::milliseconds lock_timeout = std::chrono::minutes{2};
    /// Shared with code that may cancel; null: only the operations' own cancellation applies.
    std::shared_ptr<Interrupt> interrupt;
};

/// Why an operation failed: one or two sentences for the user.
using Problem = std::string;

struct Commit {
    std::string id;  ///< Empty if there is a problem.
    Problem problem;
};

struct NewTree {
    std::filesystem::path path;
    std::string branch;   ///< `workflow/<name>`
    bool reused = false;  ///< It keeps files of an earlier attempt.
    Problem problem;
    std::vector<std::string> warnings;  ///< For example about files that `.worktreeinclude` names.
};

/// Which files to use from a commit with artifacts.
struct ArtifactSource {
    std::string commit;
    std::string path;  ///< A file, or a folder with its content.

    bool operator==(const ArtifactSource&) const = default;
};

/// Which changes of a tree are committed. It has a constructor: see `CommandRequest`.
struct CommitRules {
    CommitRules() = default;

    std::vector<std::string> declared;  ///< Files and folders that belong to the work.
    bool only_declared = false;         ///< Everything else is left uncommitted.
    /// What `lay_artifacts` wrote: such files are not committed if they are unchanged and
    /// undeclared.
    std::vector<ArtifactSource> laid;
};

struct CommittedWork {
    std::string commit;    ///< The branch's tip, also if there was nothing to commit.
    bool changed = false;  ///< A commit was made.
    Problem problem;
    std::vector<std::string> warnings;
};

/// Where the artifacts of a step that git ignores are kept:
/// `refs/autoexec/artifacts/<run>/<step>`.
struct ArtifactRef {
    std::string run_id;
    std::string step_id;
    int round = 1;  ///< For the commit's message.

    [[nodiscard]] std::string name() const;
};

struct KeptArtifacts {
    std::string commit;
    Problem problem;
    std::vector<std::string> warnings;
};

struct ArtifactInfo {
    std::string ref;
    std::string run;  ///< The run's part of the ref: `branch_part` of its id.
    std::string commit;
    std::chrono::system_clock::time_point time;
};

/// A path on which two sides cannot be merged.
struct Conflict {
    std::string path;
    std::string kind;  ///< As git calls it: `content`, `modify/delete`, `add/add` …

    bool operator==(const Conflict&) const = default;
};

struct Merged {
    std::string commit;  ///< Empty if there are conflicts or a problem.
    std::vector<Conflict> conflicts;
    Problem problem;
};

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

struct TreeInfo {
    std::filesystem::path path;
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

struct SalvageInfo {
    std::string ref;
    std::string tree;  ///< Name of the worktree.
    std::string commit;
    std::string reason;
    std::chrono::system_clock::time_point time;
};

/// Prefix of the branches of steps and runs.
constexpr std::string_view own_branches = "workflow/";

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

/// Thread safety: none; one strand. Lifetime: a running operation keeps its state alive.
///
/// Cancellation ends the git calls of an operation: at once if it is terminal, otherwise within
/// `cancel_grace`. The operation then reports a problem, and later ones do nothing. A partial
/// worktree is still removed; only the time limits of calls end that.
class Repository : public std::enable_shared_from_this<Repository> {
public:
    struct Opened {
        std::shared_ptr<Repository> repository;
        Problem problem;  ///< No git, no repository, no commit yet …
    };
    /// Opens the repository whose tree contains the project's folder.
    static asio::awaitable<Opened> open(RepositoryOptions options);

    [[nodiscard]] const std::filesystem::path& common_dir() const noexcept;
    /// `.tapps-agents/worktrees` of the project.
    [[nodiscard]] std::filesystem::path trees_folder() const;

    /// Each later git call keeps this descriptor open: a lock on it is released only when the last
    /// call has ended, even if this process dies. Those calls are then limited to a minute.
    void hold(int lock);

    /// Later worktrees are created for this run and record it: `TreeInfo::run_id`.
    void work_for(std::string run_id);

    /// True if a cancellation has ended git calls or is about to.
    [[nodiscard]] bool is_cancelled() const noexcept;

    /// Resolves any name that git understands; `HEAD` is the project's.
    asio::awaitable<Commit> resolve(std::string revision);

    /// True if a commit contains a file or folder.
    asio::awaitable<bool> holds(std::string commit, std::string path);

    /// Sets a branch to a commit. `old`: its required previous commit; empty: it must not exist. A
    /// branch that blocks `workflow/…` gets its own sentence.
    asio::awaitable<Problem> set_branch(std::string branch, std::string commit, std::string old);

    /// The same for a branch that may be checked out: the checkout is updated, too. If changes
    /// there prevent that, or it would not be a fast-forward, nothing is changed.
    asio::awaitable<Problem> advance(std::string branch, std::string commit, std::string old);

    /// True if a commit is, or descends from, another one.
    asio::awaitable<bool> contains(std::string commit, std::string ancestor);

    /// Creates a worktree in `trees_folder()` on the new branch `workflow/<name>` from `base`. With
    /// `reuse`, an existing worktree of that name and branch is used as it is.
    asio::awaitable<NewTree> add_tree(std::string name, std::string base, bool reuse = false);

    /// Commits all changes in a worktree, including untracked files, on the branch
    /// `workflow/<name>`, whatever its HEAD is: commits that the agent made elsewhere are included,
    /// unfinished operations are ended in their current state, and HEAD becomes that branch.
    /// Ignored files, control files and files copied by `.worktreeinclude` are not committed. Work
    /// outside the commit (the branch's old tip, staged content that was changed again) is
    /// salvaged. Files above `max_file_bytes` are left alone and named in a warning; if such a file
    /// is declared, that is a problem and nothing is committed. If paths are declared, a warning
    /// names other committed files.
    asio::awaitable<CommittedWork> commit_work(std::filesystem::path tree, std::string branch,
                                               std::string message, CommitRules rules = {});

    /// Commits the declared files of a tree that git ignores, unfiltered, and sets `ref` to the
    /// commit. An empty id: there are none.
    asio::awaitable<KeptArtifacts> keep_ignored(std::filesystem::path tree, ArtifactRef ref,
                                                std::vector<std::string> declared);
    /// Writes kept artifacts into a tree without adding them to its index. If two sources have the
    /// same file, the later one wins. `keep_existing`: existing files are not changed.
    asio::awaitable<Problem> lay_artifacts(std::filesystem::path tree,
                                           std::vector<ArtifactSource> sources, bool keep_existing);
    /// All kept artifacts, by ref.
    asio::awaitable<std::vector<ArtifactInfo>> artifacts();
    /// Deletes the ref, if it still points to that commit.
    asio::awaitable<Problem> drop(ArtifactInfo artifacts);

    /// Merges `theirs` into `ours` without a checkout. If one contains the other, it is the result.
    asio::awaitable<Merged> merge(std::string ours, std::string theirs, std::string message);

    /// The same in a new worktree `name`, with conflict markers in the files, for a person to
    /// resolve and commit.
    asio::awaitable<NewTree> open_conflict(std::string name, std::string ours, std::string theirs,
                                           std::string message);
    /// The person's resolution: a commit that contains both sides, in a clean tree. A problem until
    /// then.
    asio::awaitable<Commit> resolved_conflict(std::string name, std::string ours,
                                              std::string theirs);

    /// Merges a commit into a user's branch. If it is checked out, the checkout is updated, too; if
    /// changes there prevent that, it is a problem and nothing is changed.
    asio::awaitable<Merged> merge_into(std::string branch, std::string commit, std::string message);

    /// Saves what exists only in a worktree: changed, staged and untracked files, and commits that
    /// no ref reaches. Files are not changed. Nested repositories are skipped.
    asio::awaitable<Salvage> salvage(std::filesystem::path tree, SalvageOptions options);

    /// Salvages, then resets the tree and its branch to `commit`. Ignored files are kept; one that
    /// blocks a file of the commit is a problem, as are those of `remove`.
    asio::awaitable<Salvage> reset(std::filesystem::path tree, std::string branch,
                                   std::string commit, std::string reason);

    /// Salvages, then removes the worktree; its branch is kept. Problems, with no change: a dirty
    /// submodule, a nested repository, an executor that holds the tree, an agent that works there.
    asio::awaitable<Salvage> remove(std::filesystem::path tree, SalvageOptions options);

    /// Why `remove` would refuse, unless only saving shows it; empty if it would not. Changes
    /// nothing.
    asio::awaitable<Problem> removal_blocker(std::filesystem::path tree, SalvageOptions options);

    /// The branches `workflow/…`, by name.
    asio::awaitable<std::vector<std::string>> branches();

    /// Deletes such a branch if another one contains all its commits. It is kept if it is checked
    /// out or being rebased somewhere, or if its reflog has commits that exist nowhere else.
    asio::awaitable<RemovedBranch> remove_branch(std::string branch, BranchRemovalOptions options);

    /// Removes what killed executors have left in the repository's own folder more than a day ago.
    void sweep();

    /// The worktrees in `trees_folder()`, by name.
    asio::awaitable<std::vector<TreeInfo>> trees();
    /// Newest first.
    asio::awaitable<std::vector<SalvageInfo>> salvages();
    /// Deletes the ref, if it still points to that commit: git collects the objects later.
    asio::awaitable<Problem> drop(SalvageInfo salvage);
    /// Creates a worktree `name` with the salvaged work: same files, changes not committed.
    asio::awaitable<NewTree> restore(std::string salvage_ref, std::string name);

    /// Short `git status`, at most 4 KiB.
    asio::awaitable<std::string> state_of(std::filesystem::path tree);

    struct Impl;

private:
    static asio::awaitable<Opened> open_whole(RepositoryOptions options);
    explicit Repository(std::shared_ptr<Impl> impl);
    std::shared_ptr<Impl> impl_;
};

/// The name of a step's worktree: `workflow-<workflow>-step-<step>-<8 hex digits>`. At most 80
/// bytes; a hash replaces the rest, and is also added if characters were replaced. `round` 1 is
/// omitted.
std::string tree_name(std::string_view workflow_id, std::string_view step_id, int round = 1);

/// The rule for names of worktrees and parts of branch names: at most 80 letters, digits, `.`, `_`
/// and `-`, no `-` at either end or twice in a row, and git's rules for `.`. `tree_name` and
/// `branch_part` return only such names.
bool is_branch_part(std::string_view text);

/// A valid part of a branch name: characters that git forbids are replaced, and a hash is added.
std::string branch_part(std::string_view text);

}  // namespace autoexec::git
