#pragma once

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

/// A project's git repository as workflows use it: a worktree for each step, commits on their
/// branches, merges without a checkout, and nothing that is thrown away. All by the git program,
/// with no prompt, editor, hook, signature or automatic clean-up.
namespace autoexec::git {

struct RepositoryOptions {
    std::filesystem::path project_root;  ///< Absolute.
    std::shared_ptr<Spawner> spawner;
    std::shared_ptr<Clock> clock;
    /// No worktree is made with less than that free for us; zero: no floor.
    std::uint64_t min_free_bytes = 512ULL * 1024 * 1024;
    /// A larger file in a worktree is neither committed nor saved; zero: no limit.
    std::uint64_t max_file_bytes = 100ULL * 1024 * 1024;
    /// Of the artifacts of one step that git ignores, together.
    std::uint64_t max_artifact_bytes = 1024ULL * 1024 * 1024;
    /// How long the repository's lock is waited for.
    std::chrono::milliseconds lock_timeout = std::chrono::minutes{2};
    /// Shared with whoever may cancel; absent: only the operations' own cancellation counts.
    std::shared_ptr<Interrupt> interrupt;
};

/// What an operation has to say where it did not work: one or two sentences for a person.
using Problem = std::string;

struct Commit {
    std::string id;  ///< Empty if there is a problem.
    Problem problem;
};

struct NewTree {
    std::filesystem::path path;
    std::string branch;   ///< `workflow/<name>`
    bool reused = false;  ///< With what an earlier attempt has left there.
    Problem problem;
    std::vector<std::string> warnings;  ///< E.g. of files that `.worktreeinclude` names.
};

/// What of a commit with artifacts is wanted.
struct ArtifactSource {
    std::string commit;
    std::string path;  ///< A file, or a folder with all in it.

    bool operator==(const ArtifactSource&) const = default;
};

/// What of a tree's changes is committed. It has a constructor: see `CommandRequest`.
struct CommitRules {
    CommitRules() = default;

    std::vector<std::string>
        declared;                ///< Paths that belong to the work, folders with all in them.
    bool only_declared = false;  ///< Everything else stays as it is, not committed.
    /// What `lay_artifacts` wrote: files that are still so, and not declared, are not committed.
    std::vector<ArtifactSource> laid;
};

struct CommittedWork {
    std::string commit;    ///< Of the branch, now. Also where nothing was to be committed.
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
    std::string run;  ///< As a part of the ref: `branch_part` of the run's id.
    std::string commit;
    std::chrono::system_clock::time_point time;
};

/// A path on which two sides can't be brought together.
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
    Problem problem;  ///< It can't be saved, so nothing must be removed.
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
    bool missing = false;  ///< Git knows it, but its folder is gone.
    /// Its `.git` is gone, or leads elsewhere: git there works on another repository.
    bool replaced = false;
    bool dirty = false;  ///< Uncommitted, staged or untracked work, or a dirty submodule.
    bool busy = false;   ///< An engine holds it.
    std::string run_id;  ///< The run that it was made for; empty: it does not say.
    std::chrono::system_clock::time_point last_used;
};

struct SalvageInfo {
    std::string ref;
    std::string tree;  ///< Name of the worktree.
    std::string commit;
    std::string reason;
    std::chrono::system_clock::time_point time;
};

/// What branches of steps and runs begin with.
constexpr std::string_view own_branches = "workflow/";

struct BranchRemovalOptions {
    bool by_users = false;  ///< Only branches that are not `workflow/…` count as holding it.
    bool dry_run = false;
    // For a dry run: as if these were not there any more.
    std::set<std::string> without_branches;
    std::set<std::string> without_trees;
};

/// What became of a branch that was to be removed.
struct RemovedBranch {
    std::string commit;   ///< Where it was; empty: there is no such branch.
    std::string held_by;  ///< Another branch that has all its commits; empty: that was not settled.
    Problem problem;      ///< It stays.
};

/// Thread safety: none; one strand. Lifetime: operations keep what they need.
///
/// Cancellation ends the calls of git that an operation makes: at once if it is terminal, else
/// within `cancel_grace`. The operation then reports a problem, and later ones do nothing. Half a
/// worktree is still removed: only the limits of calls end that.
class Repository : public std::enable_shared_from_this<Repository> {
public:
    struct Opened {
        std::shared_ptr<Repository> repository;
        Problem problem;  ///< No git, no repository, no commit yet …
    };
    /// The repository whose tree the project's folder is in.
    static asio::awaitable<Opened> open(RepositoryOptions options);

    [[nodiscard]] const std::filesystem::path& common_dir() const noexcept;
    /// `.tapps-agents/worktrees` of the project.
    [[nodiscard]] std::filesystem::path trees_folder() const;

    /// From now on each call of git holds this descriptor: a lock on it is not free, even if we
    /// die, before the last call has ended. Those then get a minute.
    void hold(int lock);

    /// From now on worktrees are made for this run, and say so: `TreeInfo::run_id`.
    void work_for(std::string run_id);

    /// Whether a cancellation has ended the calls of git, or is about to.
    [[nodiscard]] bool is_cancelled() const noexcept;

    /// Of any name that git understands; the project's HEAD for `HEAD`.
    asio::awaitable<Commit> resolve(std::string revision);

    /// Whether a file or folder is in a commit.
    asio::awaitable<bool> holds(std::string commit, std::string path);

    /// Makes a branch point to a commit. `old`: where it must point before; empty: it must not be
    /// there. A branch that is in the way of `workflow/…` gets its own sentence.
    asio::awaitable<Problem> set_branch(std::string branch, std::string commit, std::string old);

    /// The same for a branch that may be checked out: that checkout follows, unless changes there
    /// are in the way, or it would have to go back: then nothing moves.
    asio::awaitable<Problem> advance(std::string branch, std::string commit, std::string old);

    /// Whether a commit has another one among its ancestors, or is it.
    asio::awaitable<bool> contains(std::string commit, std::string ancestor);

    /// A new worktree in `trees_folder()`, on the new branch `workflow/<name>` from `base`. What is
    /// left of one of that name is taken as it is, if `reuse` and if its branch is the same.
    asio::awaitable<NewTree> add_tree(std::string name, std::string base, bool reuse = false);

    /// Commits all changes in a worktree, untracked files included, on the branch of the name
    /// (`workflow/…`), whatever its HEAD is now: what the agent has committed elsewhere comes
    /// along, what it left unfinished is ended where it stands, and HEAD is that branch then.
    /// Nothing that git ignores, nothing of the control files, nothing that `.worktreeinclude`
    /// brought. What the commit does not hold (the branch's old tip, what was staged and changed
    /// again) is salvaged. Files above `max_file_bytes` stay as they are and are named in a
    /// warning; a declared one is a problem, and nothing is committed. Where something is declared,
    /// a warning names what else was committed.
    asio::awaitable<CommittedWork> commit_work(std::filesystem::path tree, std::string branch,
                                               std::string message, CommitRules rules = {});

    /// Makes a commit of those declared files of a tree that git ignores, byte by byte, and lets
    /// `ref` point to it. An empty commit: there are none.
    asio::awaitable<KeptArtifacts> keep_ignored(std::filesystem::path tree, ArtifactRef ref,
                                                std::vector<std::string> declared);
    /// Writes what was kept into a tree, without adding it to its index. Of two sources with the
    /// same file the later one counts. `keep_existing`: files that are there stay as they are.
    asio::awaitable<Problem> lay_artifacts(std::filesystem::path tree,
                                           std::vector<ArtifactSource> sources, bool keep_existing);
    /// All that was kept, by ref.
    asio::awaitable<std::vector<ArtifactInfo>> artifacts();
    /// Forgets one, if it still is that commit.
    asio::awaitable<Problem> drop(ArtifactInfo artifacts);

    /// Brings `theirs` into `ours` without a checkout. One that holds the other is the result.
    asio::awaitable<Merged> merge(std::string ours, std::string theirs, std::string message);

    /// The same in a worktree of its own, `name`, where the conflicts stand in the files for a
    /// person to resolve and commit.
    asio::awaitable<NewTree> open_conflict(std::string name, std::string ours, std::string theirs,
                                           std::string message);
    /// What the person has made of it: a commit that holds both sides, in a tree with no change
    /// left. A problem as long as it is not so.
    asio::awaitable<Commit> resolved_conflict(std::string name, std::string ours,
                                              std::string theirs);

    /// Brings a commit into a branch of the user's. Where that is checked out, the checkout
    /// follows, unless changes there are in the way: then a problem, and nothing moves.
    asio::awaitable<Merged> merge_into(std::string branch, std::string commit, std::string message);

    /// Saves what is in a worktree and nowhere else: changed, staged and untracked files, commits
    /// that no ref reaches. Files stay as they are. Repositories within the tree are left out.
    asio::awaitable<Salvage> salvage(std::filesystem::path tree, SalvageOptions options);

    /// Salvages, then makes the tree and its branch what `commit` is. Files that git ignores stay;
    /// one in the way of a file of the commit is a problem, as are those of `remove`.
    asio::awaitable<Salvage> reset(std::filesystem::path tree, std::string branch,
                                   std::string commit, std::string reason);

    /// Salvages, then removes the worktree; its branch stays. A dirty submodule, a repository
    /// within the tree, an engine that holds it or an agent that works there are problems, and
    /// nothing is done.
    asio::awaitable<Salvage> remove(std::filesystem::path tree, SalvageOptions options);

    /// Why `remove` would leave it, as far as that shows without saving anything; empty if it
    /// would not. Nothing is changed.
    asio::awaitable<Problem> removal_blocker(std::filesystem::path tree, SalvageOptions options);

    /// Those that are called `workflow/…`, by name.
    asio::awaitable<std::vector<std::string>> branches();

    /// Deletes one of them, if another branch has all its commits. One that is checked out or being
    /// rebased somewhere, and one whose reflog has commits that nothing else has, stay.
    asio::awaitable<RemovedBranch> remove_branch(std::string branch, BranchRemovalOptions options);

    /// Removes what engines that were killed have left in the repository's own folder, if it is
    /// older than a day.
    void sweep();

    /// Those in `trees_folder()`, by name.
    asio::awaitable<std::vector<TreeInfo>> trees();
    /// Newest first.
    asio::awaitable<std::vector<SalvageInfo>> salvages();
    /// Forgets one, if it still is that commit: git will clean it away some day.
    asio::awaitable<Problem> drop(SalvageInfo salvage);
    /// A new worktree `name` with what was salvaged: files as they were, changes not committed.
    asio::awaitable<NewTree> restore(std::string salvage_ref, std::string name);

    /// `git status`, short, at most 4 KiB.
    asio::awaitable<std::string> state_of(std::filesystem::path tree);

    struct Impl;  ///< The operations themselves.

private:
    static asio::awaitable<Opened> open_whole(RepositoryOptions options);
    explicit Repository(std::shared_ptr<Impl> impl);
    std::shared_ptr<Impl> impl_;
};

/// The name of a step's worktree: `workflow-<workflow>-step-<step>-<8 hex digits>`, for git and the
/// file system: at most 80 bytes, the rest replaced by a hash, and another one where that changed
/// something. `round` 1 is left out.
std::string tree_name(std::string_view workflow_id, std::string_view step_id, int round = 1);

/// The one rule for names of worktrees and for parts of branch names. All names that `tree_name`
/// and `branch_part` return fulfil it: at most 80 letters, digits, `.`, `_` and `-`, no `-` at
/// either end or twice in a row, and what git requires of `.`.
bool is_branch_part(std::string_view text);

/// As a part of a branch name: what git does not allow is replaced, and a hash added.
std::string branch_part(std::string_view text);

}  // namespace autoexec::git
