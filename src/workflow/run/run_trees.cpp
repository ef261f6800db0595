#include "text/text.hpp"
#include "workflow/run/run.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <stdexcept>
#include <utility>

/// The part of a run that works with git: a worktree before a step, a commit after it, and all
/// together in the end.
namespace autoexec::workflow {
namespace {

// Saves what the attempt before has left, and goes back to where the step began. Throws if it
// can't.
asio::awaitable<std::string> start_afresh(std::shared_ptr<GitTrees> trees,
                                          std::filesystem::path tree, std::string branch,
                                          std::string base)
{
    auto looking = trees->repository().state_of(tree);
    auto state = co_await std::move(looking);
    auto resetting = trees->repository().reset(tree, std::move(branch), std::move(base),
                                               "Before another attempt");
    const auto saved = co_await std::move(resetting);
    if (!saved.problem.empty()) throw std::runtime_error(saved.problem);
    if (!saved.ref.empty()) state += "\nSaved as " + saved.ref;
    co_return state;
}

}  // namespace

git::RepositoryOptions Run::repository_options() const
{
    git::RepositoryOptions options;
    options.project_root = context_->options.project_root;
    options.spawner = context_->options.spawner;
    options.clock = context_->options.clock;
    options.min_free_bytes = context_->options.min_free_bytes;
    options.max_file_bytes = context_->options.max_file_bytes;
    options.interrupt = git_interrupt_;
    return options;
}

asio::awaitable<std::string> Run::open_trees()
{
    GitTrees::Names names{workflow_.id, resumption_ ? resumption_->run_id : std::string(),
                          workflow_.name};
    auto opening = GitTrees::open(repository_options(), std::move(names), options_.base);
    auto opened = co_await std::move(opening);
    if (!opened.problem.empty()) co_return opened.problem + "\n";
    trees_ = std::move(opened.trees);
    if (journal_) trees_->repository().hold(journal_->descriptor());
    if (!options_.merge_into.empty()) {
        auto looking = trees_->repository().resolve("refs/heads/" + options_.merge_into);
        const auto target = co_await std::move(looking);
        if (!target.problem.empty())
            co_return fmt::format("There is no branch '{}' to merge the work into.\n",
                                  text::printable(options_.merge_into));
    }
    co_return co_await what_is_missing_in_git();
}

asio::awaitable<std::string> Run::what_is_missing_in_git()
{
    std::string problems;
    for (std::size_t i = 0; i < steps_.size(); ++i) {
        if (!steps_[i]->in_git) continue;
        for (const auto& path : plan_.steps[i].from_repository) {
            auto looking = trees_->repository().holds(trees_->base(), path);
            if (co_await std::move(looking)) continue;
            problems += fmt::format(
                "Step '{}' requires '{}', which no step creates, and which is not in the commit "
                "{:.12}.\n",
                workflow_.steps[i].id, path, trees_->base());
        }
    }
    co_return problems;
}

asio::awaitable<void> Run::prepare_tree(std::shared_ptr<Run>, std::size_t i)
{
    auto making = make_tree(i);
    auto problem = co_await std::move(making);
    // A cancellation also ends the calls of git under way.
    if (is_unwanted(i)) co_return end_unwanted(i);
    if (problem.empty()) co_return hand_over(i);
    Ended ended;
    ended.step = i;
    ended.state = StepState::failed;
    ended.reason = std::move(problem);
    ended.code = std::move(steps_[i]->result.code);
    ended.settled = true;
    note_ended(std::move(ended));
}

std::string Run::tree_name_of(std::size_t i) const
{
    if (options_.worktrees == WorktreeMode::workflow) return trees_->shared_name();
    const auto& result = steps_[i]->result;
    return git::tree_name(journal_->run_id(), result.id, result.round);
}

/// A sentence if there is none; `result.code` says what kind of problem it is.
asio::awaitable<std::string> Run::make_tree(std::size_t i)
{
    auto& step = *steps_[i];
    step.result.code = "worktree";
    auto base = trees_->base();
    if (options_.worktrees == WorktreeMode::step) {
        auto gathering = trees_->merge_all(parents_of(i));
        auto together = co_await std::move(gathering);
        if (!together.conflicts.empty()) step.result.code = "merge_conflict";
        if (!together.problem.empty()) co_return together.problem;
        base = std::move(together.commit);
    }
    if (options_.worktrees == WorktreeMode::workflow) {
        auto looking = trees_->repository().resolve("refs/heads/" + trees_->branch());
        const auto tip = co_await std::move(looking);
        if (!last_commit_.empty()) base = last_commit_;  // where somebody has deleted it
        if (tip.problem.empty()) base = tip.id;
    }
    std::string problem;
    auto laid = artifacts_for(i, problem);
    if (!problem.empty()) co_return problem;
    // What an earlier attempt has left is gone on with only where it began from the same.
    const bool same_start = step.base == base && step.laid == laid;
    const bool reuse = options_.worktrees == WorktreeMode::workflow || (step.goes_on && same_start);
    if (step.goes_on && !reuse) {
        step.tree = tree_name_of(i);
        step.request.worktree = trees_->path_of(step.tree);
    }
    step.base = std::move(base);
    step.laid = std::move(laid);
    step.result.branch = "workflow/" + step.tree;
    protocol::StepPrepared prepared{step.result.id, step.result.round, step_tree(i),
                                    step.result.branch, step.request.worktree.string()};
    if (!record(prepared)) co_return "It could not be recorded";
    auto adding = trees_->tree_for(step.tree, step.base, reuse);
    auto made = co_await std::move(adding);
    if (!made.problem.empty()) co_return made.problem;
    step.request.worktree = made.path;
    drop_baseline_of_others(i);
    if (!made.reused) drop_baseline(i);
    // In a tree of all steps, what one that failed has left is not the next one's.
    const bool is_of_others = options_.worktrees == WorktreeMode::workflow && !step.goes_on;
    if (is_of_others || (reuse && step.goes_on && workflow_.steps[i].retry_from_clean)) {
        auto resetting =
            reset_tree(i, is_of_others ? "Left by a step before" : "Before it goes on");
        problem = co_await std::move(resetting);
        if (!problem.empty()) co_return problem;
    }
    const bool continues = made.reused && step.goes_on && same_start;
    auto laying = trees_->repository().lay_artifacts(made.path, step.laid, continues);
    problem = co_await std::move(laying);
    if (!problem.empty()) co_return problem;
    step.result.code.clear();
    set_before_retry(i);
    co_return std::string();
}

asio::awaitable<std::string> Run::reset_tree(std::size_t i, std::string reason)
{
    auto& step = *steps_[i];
    drop_baseline(i);
    auto resetting = trees_->repository().reset(step.request.worktree, step.result.branch,
                                                step.base, std::move(reason));
    auto saved = co_await std::move(resetting);
    co_return std::move(saved.problem);
}

// On the run's strand, as all that works with git; the engine calls it on its own.
void Run::set_before_retry(std::size_t i)
{
    auto& step = *steps_[i];
    if (!step.in_git || !workflow_.steps[i].retry_from_clean) return;
    step.before_retry = [trees = trees_, branch = step.result.branch, from = step.base,
                         strand = context_->strand](std::filesystem::path tree) {
        return asio::co_spawn(strand, start_afresh(trees, std::move(tree), branch, from),
                              asio::use_awaitable);
    };
}

std::vector<Parent> Run::parents_of(std::size_t i) const
{
    std::set<std::size_t> found;
    std::vector<bool> seen(steps_.size());
    find_parents(i, seen, found);
    std::vector<Parent> parents;
    for (const auto k : found) parents.push_back({workflow_.steps[k].id, steps_[k]->commit});
    if (!steps_[i]->feedback.commit.empty()) parents.push_back(steps_[i]->feedback);
    return parents;
}

// Behind a step that has made nothing stand those that it has waited for.
void Run::find_parents(std::size_t i, std::vector<bool>& seen, std::set<std::size_t>& found) const
{
    for (const auto from : plan_.steps[i].waits_for) {
        if (seen[from]) continue;
        seen[from] = true;
        if (!steps_[from]->commit.empty())
            found.insert(from);
        else
            find_parents(from, seen, found);
    }
}

// Only completed work is committed, and that of failures which stop nothing. All else stays in its
// worktree as it is.
bool Run::needs_commit(const Ended& ended) const
{
    if (ended.settled || !steps_[ended.step]->in_git || journal_error_) return false;
    if (scheduler_->node(ended.step).superseded) return false;
    return ended.state == StepState::completed ||
           (ended.state != StepState::cancelled && scheduler_->tolerates(ended.step));
}

void Run::begin_commit(Ended ended)
{
    const auto i = ended.step;
    if (record_executed(ended)) return spawn(i, commit(shared_from_this(), std::move(ended)));
    ended.settled = true;
    note_ended(std::move(ended));
}

asio::awaitable<void> Run::commit(std::shared_ptr<Run>, Ended ended)
{
    auto saving = save_work(ended);
    co_await std::move(saving);
    ended.settled = true;
    note_ended(std::move(ended));
}

// First what git ignores: where that fails, the branch has not moved either.
asio::awaitable<void> Run::save_work(Ended& ended)
{
    auto& step = *steps_[ended.step];
    auto keeping = trees_->keep_ignored(step.request.worktree, step.result.id, step.result.round,
                                        artifacts_of(ended.step));
    auto kept = co_await std::move(keeping);
    ended.warnings = std::move(kept.warnings);
    if (!kept.problem.empty()) {
        ended.state = cancelled_ ? StepState::cancelled : StepState::failed;
        ended.code = "artifacts";
        ended.reason = std::move(kept.problem);
        co_return;
    }
    const int attempts = ended.execution ? std::max(ended.execution->attempts, 1) : 1;
    auto committing =
        trees_->commit(step.request.worktree, step.result.branch, step.result.id, step.result.round,
                       attempts, step.request.execution_id, commit_rules(ended.step));
    auto work = co_await std::move(committing);
    std::ranges::move(work.warnings, std::back_inserter(ended.warnings));
    if (work.problem.empty()) {
        step.commit = std::move(work.commit);
        step.kept = std::move(kept.commit);
    } else if (cancelled_) {
        ended.state = StepState::cancelled;
        ended.reason = "It was cancelled before its work was committed: " + work.problem;
    } else {
        ended.state = StepState::failed;
        ended.code = "commit";
        ended.reason = "Its work can't be committed: " + work.problem;
    }
}

git::CommitRules Run::commit_rules(std::size_t i) const
{
    git::CommitRules rules;
    rules.declared = artifacts_of(i);
    rules.laid = steps_[i]->laid;
    rules.only_declared =
        workflow_.steps[i].commit.value_or(workflow_.commit) == CommitScope::creates;
    return rules;
}

// The work of those upon whose work nobody has built: it holds that of all others.
std::vector<Parent> Run::all_work() const
{
    std::vector<Parent> work;
    for (std::size_t i = 0; i < steps_.size(); ++i) {
        if (steps_[i]->commit.empty()) continue;
        bool is_built_upon = false;
        for (std::size_t k = 0; k < steps_.size(); ++k)
            is_built_upon |= plan_.steps[i].leads_to[k] && !steps_[k]->commit.empty();
        // Another form of the workflow may have had other steps build on it.
        if (!is_built_upon || has_changed_)
            work.push_back({workflow_.steps[i].id, steps_[i]->commit});
    }
    return work;
}

asio::awaitable<void> Run::merge_all()
{
    std::string problem;
    if (options_.worktrees == WorktreeMode::workflow) {
        auto looking = trees_->repository().resolve("refs/heads/" + trees_->branch());
        auto now = co_await std::move(looking);
        commit_ = std::move(now.id);
        problem = std::move(now.problem);
    } else {
        auto gathering = trees_->merge_all(all_work());
        auto together = co_await std::move(gathering);
        if (!together.conflicts.empty()) {
            fail_late(*index_of(workflow_, together.theirs), "merge_conflict", together.problem);
            co_return;
        }
        problem = std::move(together.problem);
        if (problem.empty()) {
            auto advancing = trees_->advance(together.commit, last_commit_);
            problem = co_await std::move(advancing);
            commit_ = std::move(together.commit);
        }
    }
    if (!problem.empty()) {
        merge_problem_ = "The steps' work can't be brought together: " + problem;
        co_return;
    }
    last_commit_ = commit_;
    for (std::size_t i = 0; i < steps_.size(); ++i)
        if (std::exchange(steps_[i]->failed_late, false)) note_resolved(i);
    record(protocol::Merged{trees_->branch(), commit_});
    WorkflowEvent event;
    event.type = WorkflowEvent::Type::merged;
    event.message = trees_->branch();
    tell(std::move(event));
}

asio::awaitable<void> Run::merge_into_target()
{
    if (commit_.empty()) co_return;
    auto merging = trees_->repository().merge_into(
        options_.merge_into, commit_,
        fmt::format("Merge workflow {}\n\nRun: {}\n", workflow_.id, journal_->run_id()));
    const auto merged = co_await std::move(merging);
    if (!merged.conflicts.empty())
        merge_problem_ = fmt::format(
            "'{}' conflicts with the branch '{}' in {}{}. Merge it yourself: "
            "git merge {}",
            trees_->branch(), options_.merge_into, merged.conflicts.front().path,
            merged.conflicts.size() > 1 ? " and more" : "", trees_->branch());
    else if (!merged.problem.empty())
        merge_problem_ = fmt::format("The branch '{}' did not get the work: {}",
                                     options_.merge_into, merged.problem);
}

// What stood in the way of its work is resolved.
void Run::note_resolved(std::size_t i)
{
    record_end(i, false);
    (void)remove_markers(context_->options.project_root, journal_->run_id(), steps_[i]->result.id);
    mark(i);
}

// It had completed, and can't be brought together with the rest.
void Run::fail_late(std::size_t i, std::string code, std::string reason)
{
    auto& step = *steps_[i];
    scheduler_->fail_late(i, reason);
    step.result.state = StepState::failed;
    step.result.code = std::move(code);
    step.result.reason = std::move(reason);
    step.result.tolerated = false;
    record_end(i, false, true);
    (void)remove_markers(context_->options.project_root, journal_->run_id(), step.result.id);
    mark(i);
    tell_step(WorkflowEvent::Type::step_ended, i, step.result.reason);
}

}  // namespace autoexec::workflow
