#pragma once

#include "async/short_names.hpp"
#include "git/merges.hpp"
#include "workflow/run/run_log.hpp"

#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace autoexec::workflow {

/// The work of a run in git: a worktree before a step, a commit after it, and a merge at the end.
/// On the run's strand; operations are not cancellable, but `cancel` ends the git processes.
/// One class for all three, since they share the repository and what was merged so far.
class GitWork {
public:
    /// All must outlive it.
    GitWork(const RunContext& context, const RunInputs& inputs, RunState& state, RunLog& log)
        : context_(context), inputs_(inputs), state_(state), log_(log)
    {}

    /// Finds the repository. A line for each error.
    asio::awaitable<std::string> open();
    /// Whether it was found: otherwise, all steps work in place.
    [[nodiscard]] bool is_open() const noexcept { return repository_ != nullptr; }
    /// What steps require of the repository, and it lacks: a line for each.
    asio::awaitable<std::string> missing_requirements();
    /// Git processes hold the journal from now on, and names contain its run's id.
    void use_journal();
    /// Makes the branch of a new run. A sentence if that fails.
    asio::awaitable<std::string> begin() { return repository_->move_branch(branch_, base_, {}); }

    /// The commit that the run starts from.
    [[nodiscard]] const std::string& base() const noexcept { return base_; }
    /// `workflow/<run>`: receives the work of all steps.
    [[nodiscard]] const std::string& branch() const noexcept { return branch_; }
    void cancel(asio::cancellation_type how) { interrupt_->cancel(*context_.options.clock, how); }
    /// Another definition of the workflow was used earlier: its steps may have built on others.
    void set_changed(bool on) noexcept { has_changed_ = on; }

    /// Chooses the worktree for a round of a step.
    void choose_tree(StepRun& step) const;
    /// Makes that worktree. Returns a message if it cannot; `result.code` is then its kind.
    asio::awaitable<std::string> prepare_tree(std::size_t i);
    /// Resets the worktree between attempts; null: nothing to do.
    [[nodiscard]] std::function<asio::awaitable<std::string>(std::filesystem::path)> before_retry(
        std::size_t i) const;

    /// Lets the worktree of a step have the work of its child run. A sentence if that fails.
    asio::awaitable<std::string> take_work(std::size_t i, std::string commit);
    /// Whether a step that ended like this gets a commit.
    [[nodiscard]] bool needs_commit(const StepOutcome& outcome) const;
    /// Commits its work. `cancelled`: whether cancellation caused a failure.
    asio::awaitable<void> save(StepOutcome& outcome, const bool& cancelled);

    /// The work of an earlier run that is that of a step, whose worktree and command are ready: an
    /// outcome for `save`. Nothing: its command must run.
    asio::awaitable<std::optional<StepOutcome>> find_cached(std::size_t i);
    /// Later runs do not find the work with this key.
    asio::awaitable<void> drop_cached(std::string key);

    struct Merged {
        std::string commit;
        std::string problem;   ///< A sentence.
        std::string conflict;  ///< The step whose work conflicts; empty: none.
    };
    /// Merges the work of all steps into the run's branch.
    asio::awaitable<Merged> merge_all();
    /// Merges `commit` into the branch that the run's options name. A sentence if that fails.
    asio::awaitable<std::string> merge_into_target(std::string commit);

private:
    asio::awaitable<std::string> find_base(std::size_t i);
    asio::awaitable<std::string> reset_tree(std::size_t i, std::string reason);
    [[nodiscard]] std::vector<std::string> artifacts_of(std::size_t i) const;
    [[nodiscard]] std::vector<git::ArtifactSource> artifacts_for(std::size_t i,
                                                                 std::string& problem) const;
    [[nodiscard]] std::string commit_message(const StepOutcome& outcome) const;
    [[nodiscard]] git::CommitRules commit_rules(std::size_t i) const;
    [[nodiscard]] std::string new_tree_name(const StepRun& step) const;
    [[nodiscard]] std::filesystem::path path_of(const std::string& tree) const
    {
        return state_.trees_folder / tree;
    }
    [[nodiscard]] std::string trailer() const;
    [[nodiscard]] bool is_shared() const
    {
        return inputs_.options.worktrees == WorktreeMode::workflow;
    }

    asio::awaitable<void> commit_work(StepOutcome& outcome, const bool& cancelled);
    // See git_cache.cpp.
    asio::awaitable<void> set_cache_key(std::size_t i);
    asio::awaitable<void> take_cached(StepOutcome& outcome, const bool& cancelled);
    asio::awaitable<void> store_cached(StepOutcome& outcome);

    // See git_merge.cpp.
    [[nodiscard]] std::vector<Parent> parents_of(std::size_t i) const;
    [[nodiscard]] std::vector<Parent> all_work() const;
    asio::awaitable<Merged> merge_work(std::vector<Parent> parents);
    asio::awaitable<git::Commit> resolve(std::string ours, std::string named, Parent theirs,
                                         std::vector<git::Conflict> conflicts);
    asio::awaitable<std::string> advance(std::string commit);

    const RunContext& context_;
    const RunInputs& inputs_;
    RunState& state_;
    RunLog& log_;
    std::shared_ptr<git::Interrupt> interrupt_ = std::make_shared<git::Interrupt>();
    std::shared_ptr<git::Repository> repository_;
    std::string base_;
    std::string branch_;
    bool has_changed_ = false;
};

}  // namespace autoexec::workflow
