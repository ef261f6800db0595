#pragma once

#include "git/repository.hpp"

#include <boost/asio/awaitable.hpp>

#include <filesystem>
#include <memory>
#include <string>
#include <utility>
#include <vector>

/// A run's worktrees and branches: where each step works, and how their work comes together.
namespace autoexec::workflow {

/// A step whose work another one builds on.
struct Parent {
    std::string step;
    std::string commit;
};

/// Commits brought together, or what stands in the way.
struct MergeResult {
    std::string commit;
    std::vector<git::Conflict> conflicts;
    std::string ours;             ///< The steps on the one side of a conflict …
    std::string theirs;           ///< … and the step on the other one.
    std::filesystem::path where;  ///< A worktree in which the conflict stands, to be resolved.
    std::string problem;          ///< A sentence, also for conflicts; empty if all is well.
};

/// Everything on the strand of the run. Operations are not cancellable.
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

    /// Of a run from the commit that `revision` names.
    static asio::awaitable<Opened> open(git::RepositoryOptions options, Names names,
                                        std::string revision);

    /// A new run has got its id.
    void name_after(std::string run_id);
    /// Makes its branch. A sentence if that can't be.
    asio::awaitable<std::string> begin();

    [[nodiscard]] const std::string& base() const noexcept { return base_; }
    /// `workflow/<run>`, where all comes together.
    [[nodiscard]] const std::string& branch() const noexcept { return branch_; }
    [[nodiscard]] git::Repository& repository() noexcept { return *repository_; }
    /// Of the worktree in which all steps take turns.
    [[nodiscard]] std::string shared_name() const;
    [[nodiscard]] std::filesystem::path path_of(const std::string& name) const;

    /// What a step starts from: the work of its parents, brought together in their order; the run's
    /// base where it has none. Resolutions of earlier conflicts are used.
    asio::awaitable<MergeResult> merge_all(std::vector<Parent> parents);

    asio::awaitable<git::NewTree> tree_for(std::string name, std::string base, bool reuse);

    asio::awaitable<git::CommittedWork> commit(std::filesystem::path tree, std::string branch,
                                               std::string step, int round, int attempt,
                                               std::string execution_id, git::CommitRules rules);
    /// Of a step's artifacts those that git ignores.
    asio::awaitable<git::KeptArtifacts> keep_ignored(std::filesystem::path tree, std::string step,
                                                     int round, std::vector<std::string> artifacts);

    /// Makes the run's branch what `commit` is. `last`: where the run has left it before; what
    /// somebody else has committed there since is kept, and a sentence says so. A checkout of the
    /// branch follows.
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
