#include "workflow/run/git_work.hpp"

#include "protocol/artifact_path.hpp"
#include "text/text.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <stdexcept>
#include <utility>

namespace autoexec::workflow {
namespace {

// Saves what the attempt before has left, and resets the worktree to the start of the step. Throws
// if that fails.
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

git::RepositoryOptions GitWork::repository_options() const
{
    git::RepositoryOptions options;
    options.project_root = context_.options.project_root;
    options.spawner = context_.options.spawner;
    options.clock = context_.options.clock;
    options.min_free_bytes = context_.options.min_free_bytes;
    options.max_file_bytes = context_.options.max_file_bytes;
    options.interrupt = interrupt_;
    return options;
}

asio::awaitable<std::string> GitWork::open(std::string run_id)
{
    GitTrees::Names names{inputs_.workflow.id, std::move(run_id), inputs_.workflow.name};
    auto opening = GitTrees::open(repository_options(), std::move(names), inputs_.options.base);
    auto opened = co_await std::move(opening);
    if (!opened.problem.empty()) co_return opened.problem + "\n";
    trees_ = std::move(opened.trees);
    state_.trees_folder = trees_->repository().trees_folder();
    const auto& target = inputs_.options.merge_into;
    if (target.empty()) co_return std::string();
    auto looking = trees_->repository().resolve("refs/heads/" + target);
    const auto found = co_await std::move(looking);
    if (found.problem.empty()) co_return std::string();
    co_return fmt::format("There is no branch '{}' to merge the work into.\n",
                          text::printable(target));
}

void GitWork::use_journal()
{
    trees_->repository().hold(log_.journal().descriptor());
    trees_->name_after(log_.run_id());
}

asio::awaitable<std::string> GitWork::begin()
{
    return trees_->begin();
}

asio::awaitable<std::string> GitWork::missing_requirements()
{
    std::string problems;
    for (std::size_t i = 0; i < state_.size(); ++i) {
        if (!state_.step(i).command.in_git) continue;
        for (const auto& path : inputs_.plan.steps[i].from_repository) {
            auto looking = trees_->repository().holds(trees_->base(), path);
            if (co_await std::move(looking)) continue;
            problems += fmt::format(
                "Step '{}' requires '{}', which no step creates, and which is not in the commit "
                "{:.12}.\n",
                inputs_.workflow.steps[i].id, path, trees_->base());
        }
    }
    co_return problems;
}

std::string GitWork::new_tree_name(const StepRun& step) const
{
    if (is_shared()) return trees_->shared_name();
    return git::tree_name(log_.run_id(), step.result.id, step.result.round);
}

void GitWork::choose_tree(StepRun& step) const
{
    if (auto* const running = step.running()) running->reuses_tree = !step.tree.empty();
    if (step.tree.empty()) step.tree = new_tree_name(step);
    step.command.request.worktree = trees_->path_of(step.tree);
}

/// Sets where a step starts: `base` and `laid`.
asio::awaitable<std::string> GitWork::find_base(std::size_t i)
{
    auto& step = state_.step(i);
    auto base = trees_->base();
    if (is_shared()) {
        auto looking = trees_->repository().resolve("refs/heads/" + trees_->branch());
        const auto tip = co_await std::move(looking);
        if (!state_.last_commit.empty()) base = state_.last_commit;  // if the branch was deleted
        if (tip.problem.empty()) base = tip.id;
    } else {
        auto gathering = trees_->merge_all(parents_of(i));
        auto merged = co_await std::move(gathering);
        if (!merged.conflicts.empty()) step.result.code = "merge_conflict";
        if (!merged.problem.empty()) co_return merged.problem;
        base = std::move(merged.commit);
    }
    std::string problem;
    auto laid = artifacts_for(i, problem);
    if (!problem.empty()) co_return problem;
    // An existing worktree is used only if it started from the same.
    auto* const running = step.running();
    const bool same_start = step.base == base && step.laid == laid;
    if (running && running->reuses_tree && !same_start && !is_shared()) {
        running->reuses_tree = false;
        step.tree = new_tree_name(step);
        step.command.request.worktree = trees_->path_of(step.tree);
    }
    step.base = std::move(base);
    step.laid = std::move(laid);
    co_return std::string();
}

asio::awaitable<std::string> GitWork::prepare_tree(std::size_t i)
{
    auto& step = state_.step(i);
    step.result.code = "worktree";
    const auto last_base = step.base;
    const auto last_laid = step.laid;
    auto finding = find_base(i);
    auto problem = co_await std::move(finding);
    if (!problem.empty()) co_return problem;
    step.result.branch = "workflow/" + step.tree;
    protocol::StepPrepared prepared{step.result.id, step.result.round, step.step_tree(),
                                    step.result.branch, step.worktree().string()};
    if (!log_.record(prepared)) co_return "It could not be recorded";
    const bool continues = step.running() && step.running()->reuses_tree;
    const bool same_start = step.base == last_base && step.laid == last_laid;
    auto adding = trees_->tree_for(step.tree, step.base, is_shared() || continues);
    auto made = co_await std::move(adding);
    if (!made.problem.empty()) co_return made.problem;
    step.command.request.worktree = made.path;
    state_.baselines().drop_of_others(step);
    if (!made.reused) state_.baselines().drop(step);
    // In a shared worktree, what a failed step has left is not for the next one.
    const bool is_of_others = is_shared() && !continues;
    if (is_of_others || (continues && inputs_.workflow.steps[i].retry_from_clean)) {
        auto resetting =
            reset_tree(i, is_of_others ? "Left by an earlier step" : "Before it is resumed");
        problem = co_await std::move(resetting);
        if (!problem.empty()) co_return problem;
    }
    auto laying = trees_->repository().lay_artifacts(made.path, step.laid,
                                                     made.reused && continues && same_start);
    problem = co_await std::move(laying);
    if (problem.empty()) step.result.code.clear();
    co_return problem;
}

asio::awaitable<std::string> GitWork::reset_tree(std::size_t i, std::string reason)
{
    const auto& step = state_.step(i);
    state_.baselines().drop(step);
    auto resetting = trees_->repository().reset(step.worktree(), step.result.branch, step.base,
                                                std::move(reason));
    auto saved = co_await std::move(resetting);
    co_return std::move(saved.problem);
}

// The executor calls it on its own strand.
std::function<asio::awaitable<std::string>(std::filesystem::path)> GitWork::before_retry(
    std::size_t i) const
{
    const auto& step = state_.step(i);
    if (!step.command.in_git || !inputs_.workflow.steps[i].retry_from_clean) return nullptr;
    return [trees = trees_, branch = step.result.branch, from = step.base,
            strand = context_.strand](std::filesystem::path tree) {
        return asio::co_spawn(strand, start_afresh(trees, std::move(tree), branch, from),
                              asio::use_awaitable);
    };
}

std::vector<Parent> GitWork::parents_of(std::size_t i) const
{
    std::vector<Parent> parents;
    for (const auto k : state_.work_before(i))
        parents.push_back({inputs_.workflow.steps[k].id, state_.step(k).commit});
    const auto& feedback = state_.step(i).feedback;
    if (!feedback.commit.empty()) parents.push_back(feedback);
    return parents;
}

// Only completed work is committed, and that of tolerated failures. Other work stays in its
// worktree.
bool GitWork::needs_commit(const StepOutcome& outcome) const
{
    const auto& step = state_.step(outcome.step);
    if (outcome.settled || !step.command.in_git || log_.error()) return false;
    if (state_.scheduler().node(outcome.step).superseded) return false;
    return outcome.state == StepState::completed ||
           (outcome.state != StepState::cancelled && state_.scheduler().tolerates(outcome.step));
}

// Ignored artifacts first: if that fails, the branch has not moved either.
asio::awaitable<void> GitWork::save(StepOutcome& outcome, const bool& cancelled)
{
    const auto i = outcome.step;
    auto& step = state_.step(i);
    const auto& result = step.result;
    auto keeping = trees_->keep_ignored(step.worktree(), result.id, result.round, artifacts_of(i));
    auto kept = co_await std::move(keeping);
    outcome.warnings = std::move(kept.warnings);
    if (!kept.problem.empty()) {
        outcome.state = cancelled ? StepState::cancelled : StepState::failed;
        outcome.code = "artifacts";
        outcome.reason = std::move(kept.problem);
        co_return;
    }
    const int attempts = outcome.execution ? std::max(outcome.execution->attempts, 1) : 1;
    auto committing = trees_->commit(step.worktree(), result.branch, result.id, result.round,
                                     attempts, step.command.request.execution_id, commit_rules(i));
    auto work = co_await std::move(committing);
    std::ranges::move(work.warnings, std::back_inserter(outcome.warnings));
    if (work.problem.empty()) {
        step.commit = std::move(work.commit);
        step.kept = std::move(kept.commit);
    } else if (cancelled) {
        outcome.state = StepState::cancelled;
        outcome.reason = "It was cancelled before its work was committed: " + work.problem;
    } else {
        outcome.state = StepState::failed;
        outcome.code = "commit";
        outcome.reason = "Its work cannot be committed: " + work.problem;
    }
}

git::CommitRules GitWork::commit_rules(std::size_t i) const
{
    git::CommitRules rules;
    rules.declared = artifacts_of(i);
    rules.laid = state_.step(i).laid;
    rules.only_declared =
        inputs_.workflow.steps[i].commit.value_or(inputs_.workflow.commit) == CommitScope::creates;
    return rules;
}

std::vector<std::string> GitWork::artifacts_of(std::size_t i) const
{
    std::vector<std::string> paths;
    for (const auto& path : state_.step(i).command.request.expected_artifacts)
        if (auto normal = protocol::artifact_path(path)) paths.push_back(*std::move(normal));
    return paths;
}

// Each artifact comes from the last step that made it. The plan refuses creators without an order,
// except where it cannot know whether both run.
std::vector<git::ArtifactSource> GitWork::artifacts_for(std::size_t i, std::string& problem) const
{
    const auto& plan = inputs_.plan;
    std::vector<git::ArtifactSource> sources;
    for (const auto& need : plan.steps[i].artifacts) {
        std::optional<std::size_t> last;
        for (const auto from : plan.order) {
            const bool made = !state_.step(from).kept.empty() &&
                              std::ranges::find(need.creators, from) != need.creators.end();
            if (!made) continue;
            if (last && !plan.steps[*last].leads_to[from])
                problem = fmt::format(
                    "It requires '{}', which '{}' and '{}' have created. Let one of them depend on "
                    "the other",
                    need.artifact, inputs_.workflow.steps[*last].id,
                    inputs_.workflow.steps[from].id);
            last = from;
        }
        if (last) sources.push_back({state_.step(*last).kept, need.artifact});
    }
    return sources;
}

// Steps that no other step builds on: they contain the work of all others.
std::vector<Parent> GitWork::all_work() const
{
    std::vector<Parent> work;
    for (std::size_t i = 0; i < state_.size(); ++i) {
        if (state_.step(i).commit.empty()) continue;
        bool is_built_upon = false;
        for (std::size_t k = 0; k < state_.size(); ++k)
            is_built_upon |= inputs_.plan.steps[i].leads_to[k] && !state_.step(k).commit.empty();
        if (!is_built_upon || has_changed_)
            work.push_back({inputs_.workflow.steps[i].id, state_.step(i).commit});
    }
    return work;
}

asio::awaitable<GitWork::Merged> GitWork::merge_all()
{
    Merged merged;
    if (is_shared()) {
        auto looking = trees_->repository().resolve("refs/heads/" + trees_->branch());
        auto now = co_await std::move(looking);
        merged.commit = std::move(now.id);
        merged.problem = std::move(now.problem);
        co_return merged;
    }
    auto gathering = trees_->merge_all(all_work());
    auto all = co_await std::move(gathering);
    merged.problem = std::move(all.problem);
    if (!all.conflicts.empty()) merged.conflict = index_of(inputs_.workflow, all.theirs);
    if (!merged.problem.empty()) co_return merged;
    auto advancing = trees_->advance(all.commit, state_.last_commit);
    merged.problem = co_await std::move(advancing);
    merged.commit = std::move(all.commit);
    co_return merged;
}

asio::awaitable<std::string> GitWork::merge_into_target(std::string commit)
{
    const auto& target = inputs_.options.merge_into;
    auto merging = trees_->repository().merge_into(
        target, std::move(commit),
        fmt::format("Merge workflow {}\n\nRun: {}\n", inputs_.workflow.id, log_.run_id()));
    const auto merged = co_await std::move(merging);
    if (!merged.conflicts.empty())
        co_return fmt::format(
            "'{}' conflicts with the branch '{}' in {}{}. Merge it yourself: "
            "git merge {}",
            trees_->branch(), target, merged.conflicts.front().path,
            merged.conflicts.size() > 1 ? " and more" : "", trees_->branch());
    if (!merged.problem.empty())
        co_return fmt::format("The branch '{}' did not receive the work: {}", target,
                              merged.problem);
    co_return std::string();
}

}  // namespace autoexec::workflow
