#pragma once

#include "async/short_names.hpp"
#include "git/repository.hpp"

#include <boost/asio/awaitable.hpp>

#include <filesystem>
#include <memory>
#include <string>
#include <utility>
#include <vector>

/// The worktrees and branches of a run.
namespace autoexec::workflow {

/// A step that another one builds on.
struct Parent {
    std::string step;
    std::string commit;
};

/// The result of a merge.
struct MergeResult {
    std::string commit;
    std::vector<git::Conflict> conflicts;
    std::string ours;             ///< In a conflict: the steps that are merged already …
    std::string theirs;           ///< … and the step that conflicts with them.
    std::filesystem::path where;  ///< A worktree with the conflict, to resolve it in.
    std::string problem;          ///< A sentence, also for conflicts; empty: merged.
};

/// On the strand of the run. Operations are not cancellable.
class GitTrees {
public:
    struct Opened {
        std::shared_ptr<GitTrees> trees;
        std::string problem;
    };
    struct Names {
        std::string workflow_id;
        std::string run_id;
        std::string workflow_name;
    };

    /// For a run that starts from the commit that `revision` names.
    static asio::awaitable<Opened> open(git::RepositoryOptions options, Names names,
                                        std::string revision);

    /// Sets the id of a new run.
    void name_after(std::string run_id);
    /// Creates its branch. A sentence if that fails.
    asio::awaitable<std::string> begin();

    [[nodiscard]] const std::string& base() const noexcept { return base_; }
    /// `workflow/<run>`: receives the work of all steps.
    [[nodiscard]] const std::string& branch() const noexcept { return branch_; }
    [[nodiscard]] git::Repository& repository() noexcept { return *repository_; }
    /// The name of the worktree that all steps share.
    [[nodiscard]] std::string shared_name() const;
    [[nodiscard]] std::filesystem::path path_of(const std::string& name) const;

    /// Merges the work of a step's parents, in their order; without parents, the result is the
    /// run's base. Resolutions of earlier conflicts are used.
    asio::awaitable<MergeResult> merge_all(std::vector<Parent> parents);

    asio::awaitable<git::NewTree> tree_for(std::string name, std::string base, bool reuse);

    asio::awaitable<git::CommittedWork> commit(std::filesystem::path tree, std::string branch,
                                               std::string step, int round, int attempt,
                                               std::string execution_id, git::CommitRules rules);
    /// Commits those artifacts of a step that git ignores, to a ref of their own.
    asio::awaitable<git::KeptArtifacts> keep_ignored(std::filesystem::path tree, std::string step,
                                                     int round, std::vector<std::string> artifacts);

    /// Moves the run's branch to `commit`. `last` is where the run had left it: commits that were
    /// added since are kept, and a message is returned. A checkout of the branch is updated.
    asio::awaitable<std::string> advance(std::string commit, std::string last);

private:
    GitTrees(std::shared_ptr<git::Repository> repository, Names names, std::string base);
    asio::awaitable<MergeResult> conflict(MergeResult so_far, Parent next);
    [[nodiscard]] std::string trailer() const;

    std::shared_ptr<git::Repository> repository_;
    Names names_;
    std::string base_;
    std::string branch_;
};

}  // namespace autoexec::workflow
