#pragma once

#include "async/short_names.hpp"
#include "autoexec/clock.hpp"
#include "autoexec/spawner.hpp"
#include "git/entry.hpp"
#include "git/git.hpp"
#include "git/interrupt.hpp"
#include "git/known_commits.hpp"
#include "git/lock_queue.hpp"

#include <boost/asio/awaitable.hpp>

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

/// A project's git repository as workflows use it: a worktree for each step (`worktrees.hpp`),
/// commits on its branch, merges without a checkout (`merges.hpp`), artifacts that git ignores
/// (`artifacts.hpp`); no work is discarded without a salvage (`salvages.hpp`). Everything is done
/// by the git program, without prompts, editors, hooks, signatures or automatic clean-up.
namespace autoexec::git {

struct RepositoryOptions {
    fs::path project_root;  ///< Absolute.
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

/// A tree's HEAD.
struct Head {
    std::string commit;  ///< Empty: an unborn branch.
    std::string tree;
    std::string branch;  ///< Empty: detached.
};

struct Ref {
    std::string name;
    std::string commit;
    std::string detail;  ///< What was asked for.
};

/// Prefix of the branches of steps and runs.
constexpr std::string_view own_branches = "workflow/";

/// The object database, the branches, and what all operations share. The operations are functions
/// in the other headers.
///
/// Thread safety: none; one strand. Lifetime: must outlive its operations.
///
/// Operations must not be cancelled through their coroutine (see `async/uncancellable.hpp`).
/// `RepositoryOptions::interrupt` ends their git calls: at once if the cancellation is terminal,
/// otherwise within `cancel_grace`. The operation then reports a problem, and later ones do
/// nothing. A partial worktree is still removed; only the time limits of calls end that.
class Repository {
public:
    struct Opened {
        std::shared_ptr<Repository> repository;
        std::string head;  ///< The commit that is checked out in the project.
        Problem problem;   ///< No git, no repository, no commit yet …
    };
    /// Opens the repository whose tree contains the project's folder.
    static asio::awaitable<Opened> open(RepositoryOptions options);

    /// `project`: the tree that contains the project's folder. `common`: absolute, without links.
    Repository(RepositoryOptions options, Git git, GitContext project, fs::path common);

    /// `.tapps-agents/worktrees` of the project.
    [[nodiscard]] fs::path trees_folder() const;

    /// True if a cancellation has ended git calls or is about to.
    [[nodiscard]] bool is_cancelled() const noexcept { return options.interrupt->is_requested(); }

    /// Runs git without a work tree.
    template <class... Text>
    asio::awaitable<ProgramOutput> run(const Text&... words) const
    {
        return git(bare, words...);
    }
    /// Runs git in the project while the repository's lock is held.
    asio::awaitable<ProgramOutput> locked(Words words) { return locked(git, std::move(words)); }
    asio::awaitable<ProgramOutput> locked(Git caller, Words words);

    /// Resolves any name that git understands; `HEAD` is the project's.
    asio::awaitable<Commit> resolve(std::string revision);

    /// True if a commit contains a file or folder.
    asio::awaitable<bool> holds(std::string commit, std::string path);

    /// True if a commit is, or descends from, another one.
    asio::awaitable<bool> contains(std::string commit, std::string ancestor);

    /// Sets a branch, whose name must be valid, to the commit with this id. `old`: its required
    /// previous commit; empty: it must not exist. A branch that blocks `workflow/…` gets its own
    /// sentence.
    asio::awaitable<Problem> move_branch(std::string branch, std::string commit, std::string old);

    /// The commit of a branch; empty: it does not exist.
    asio::awaitable<std::string> tip_of(std::string branch);

    asio::awaitable<Head> head_of(GitContext context);

    /// The refs that begin with `prefix`. `detail`: a field of `for-each-ref`, `%(contents)` for
    /// example.
    asio::awaitable<std::vector<Ref>> refs(std::string prefix, std::string detail,
                                           Words filter = {});
    /// The ref of exactly this name.
    asio::awaitable<std::optional<Ref>> find_ref(std::string name, std::string detail);
    /// Deletes a ref, if it still points to that commit: git collects the objects later.
    asio::awaitable<Problem> drop_ref(std::string name, std::string commit);

    /// Without a configured user, the commit gets an identity, and there is, once, a warning.
    asio::awaitable<Commit> commit_tree(std::string tree, Words parents, std::string message,
                                        std::string date = {});
    void warn_of_identity(Words& warnings);

    /// All worktrees, including the main one.
    [[nodiscard]] std::vector<Entry> all_trees() const;

    /// The worktree at this path; a missing folder counts only with `may_be_missing`. Otherwise
    /// nothing, and a problem.
    [[nodiscard]] std::optional<Entry> find_tree(const fs::path& tree, Problem& problem,
                                                 bool may_be_missing = false) const;

    /// Calls `attempt` until it returns true, for as long as a running git or a probe needs a lock.
    /// Returns false if it never did.
    asio::awaitable<bool> wait_until(std::function<bool()> attempt) const;

    RepositoryOptions options;
    Git git;
    GitContext project;
    fs::path common;
    GitContext bare;            ///< The repository without a work tree.
    std::optional<Entry> main;  ///< Its first tree, unless it is bare.
    KnownCommits known;
    std::string run_id;  ///< The run that later worktrees are created for: `TreeInfo::run_id`.
    std::chrono::sys_time<std::chrono::microseconds> last_salvage;
    int removals = 0;  ///< Folders that are being erased.

private:
    asio::awaitable<bool> lacks_identity();

    LockQueue queue_;
    bool uses_own_identity_ = false;
    std::string identity_warning_;
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
