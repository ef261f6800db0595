#include "workflow/run/git_work.hpp"

#include "protocol/expected_artifacts.hpp"
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
asio::awaitable<std::string> start_afresh(std::shared_ptr<git::Repository> repository,
                                          std::filesystem::path tree, std::string branch,
                                          std::string base)
{
    auto state = co_await git::state_of(*repository, tree);
    auto resetting = git::reset_tree(*repository, tree, std::move(branch), std::move(base),
                                     "Before another attempt");
    const auto saved = co_await std::move(resetting);
    if (!saved.problem.empty()) throw std::runtime_error(saved.problem);
    if (!saved.ref.empty()) state += "\nSaved as " + saved.ref;
    co_return state;
}

}  // namespace

asio::awaitable<std::string> GitWork::open()
{
    git::RepositoryOptions options;
    options.project_root = context_.options.project_root;
    options.spawner = context_.options.spawner;
    options.clock = context_.options.clock;
    options.min_free_bytes = context_.options.min_free_bytes;
    options.max_file_bytes = context_.options.max_file_bytes;
    options.interrupt = interrupt_;
    auto opened = co_await git::Repository::open(std::move(options));
    if (!opened.problem.empty()) co_return opened.problem + "\n";
    base_ = std::move(opened.head);
    if (inputs_.options.base != "HEAD") {
        auto base = co_await opened.repository->resolve(inputs_.options.base);
        if (!base.problem.empty()) co_return base.problem + "\n";
        base_ = std::move(base.id);
    }
    repository_ = std::move(opened.repository);
    state_.trees_folder = repository_->trees_folder();
    const auto& target = inputs_.options.merge_into;
    if (target.empty()) co_return std::string();
    const auto found = co_await repository_->resolve("refs/heads/" + target);
    if (found.problem.empty()) co_return std::string();
    co_return fmt::format("There is no branch '{}' to merge the work into.\n",
                          text::printable(target));
}

void GitWork::use_journal()
{
    repository_->git.hold(log_.journal().descriptor());
    repository_->run_id = log_.run_id();
    branch_ = "workflow/" + git::branch_part(log_.run_id());
}

asio::awaitable<std::string> GitWork::missing_requirements()
{
    std::string problems;
    for (std::size_t i = 0; i < state_.size(); ++i) {
        if (!state_.step(i).command.run().in_git) continue;
        for (const auto& path : inputs_.plan.steps[i].from_repository) {
            if (co_await repository_->holds(base_, path)) continue;
            problems += fmt::format(
                "Step '{}' requires '{}', which no step creates, and which is not in the commit "
                "{:.12}.\n",
                inputs_.workflow.steps[i].id, path, base_);
        }
    }
    co_return problems;
}

std::string GitWork::new_tree_name(const StepRun& step) const
{
    if (is_shared()) return git::branch_part(log_.run_id());
    return git::tree_name(log_.run_id(), step.result.id, step.result.round);
}

void GitWork::choose_tree(StepRun& step) const
{
    // Without its base, it was not prepared.
    const bool reuses = !step.tree.empty() && !step.base.empty();
    if (auto* const running = step.running()) running->reuses_tree = reuses;
    if (!reuses) step.tree = new_tree_name(step);
    step.command.request.worktree = path_of(step.tree);
}

/// Sets where a step starts: `base` and `laid`.
asio::awaitable<std::string> GitWork::find_base(std::size_t i)
{
    auto& step = state_.step(i);
    auto base = base_;
    if (is_shared()) {
        const auto tip = co_await repository_->tip_of(branch_);
        if (!state_.last_commit.empty()) base = state_.last_commit;  // if the branch was deleted
        if (!tip.empty()) base = tip;
    } else {
        auto merged = co_await merge_work(parents_of(i));
        if (!merged.conflict.empty()) step.result.code = "merge_conflict";
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
        step.command.request.worktree = path_of(step.tree);
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
    auto problem = co_await find_base(i);
    if (!problem.empty()) co_return problem;
    step.result.branch = "workflow/" + step.tree;
    protocol::StepPrepared prepared{step.result.id, step.result.round, step.step_tree(),
                                    step.result.branch, step.worktree().string()};
    if (!log_.record(prepared)) co_return "It could not be recorded";
    const bool continues = step.running() && step.running()->reuses_tree;
    const bool same_start = step.base == last_base && step.laid == last_laid;
    // The journal may have lost its end, in which this worktree was made.
    std::error_code ignored;
    const bool exists = std::filesystem::exists(step.worktree(), ignored);
    auto made = co_await git::add_tree(*repository_, step.tree, step.base,
                                       is_shared() || continues || exists);
    if (!made.problem.empty()) co_return made.problem;
    step.command.request.worktree = made.path;
    state_.drop_other_baselines(step);
    if (!made.reused) step.baseline.reset();
    // What a failed step has left in a shared worktree is not for the next one.
    const bool is_of_others = made.reused && !continues;
    if (is_of_others || (continues && inputs_.workflow.steps[i].retry_from_clean)) {
        auto resetting =
            reset_tree(i, is_of_others ? "Left by an earlier step" : "Before it is resumed");
        problem = co_await std::move(resetting);
        if (!problem.empty()) co_return problem;
    }
    problem = co_await git::lay_artifacts(*repository_, made.path, step.laid,
                                          made.reused && continues && same_start);
    if (problem.empty()) step.result.code.clear();
    co_return problem;
}

asio::awaitable<std::string> GitWork::reset_tree(std::size_t i, std::string reason)
{
    auto& step = state_.step(i);
    step.baseline.reset();
    auto saved = co_await git::reset_tree(*repository_, step.worktree(), step.result.branch,
                                          step.base, std::move(reason));
    co_return std::move(saved.problem);
}

asio::awaitable<std::string> GitWork::take_work(std::size_t i, std::string commit)
{
    auto& step = state_.step(i);
    auto taking = git::reset_tree(*repository_, step.worktree(), step.result.branch,
                                  std::move(commit), "Before it had the work of a child run");
    auto saved = co_await std::move(taking);
    co_return std::move(saved.problem);
}

// The executor calls it on its own strand.
std::function<asio::awaitable<std::string>(std::filesystem::path)> GitWork::before_retry(
    std::size_t i) const
{
    const auto& step = state_.step(i);
    if (!step.command.in_git || !inputs_.workflow.steps[i].retry_from_clean) return nullptr;
    return [repository = repository_, branch = step.result.branch, from = step.base,
            strand = context_.strand](std::filesystem::path tree) {
        return asio::co_spawn(strand, start_afresh(repository, std::move(tree), branch, from),
                              asio::use_awaitable);
    };
}

// Only completed work is committed, and that of tolerated failures. Other work stays in its
// worktree.
bool GitWork::needs_commit(const StepOutcome& outcome) const
{
    const auto& step = state_.step(outcome.step);
    if (outcome.settled || !step.command.in_git || step.command.only_looks || log_.error())
        return false;
    if (state_.scheduler().node(outcome.step).superseded) return false;
    return outcome.state == StepState::completed ||
           (outcome.state != StepState::cancelled &&
            tolerates_failure(inputs_.workflow.steps[outcome.step]));
}

asio::awaitable<void> GitWork::save(StepOutcome& outcome, const bool& cancelled)
{
    if (!outcome.cached.empty()) co_return co_await take_cached(outcome, cancelled);
    co_await commit_work(outcome, cancelled);
    co_await store_cached(outcome);
}

// Ignored artifacts first: if that fails, the branch has not moved either.
asio::awaitable<void> GitWork::commit_work(StepOutcome& outcome, const bool& cancelled)
{
    const auto i = outcome.step;
    auto& step = state_.step(i);
    const auto& result = step.result;
    git::ArtifactRef ref{log_.run_id(), result.id, result.round};
    auto kept =
        co_await git::keep_ignored(*repository_, step.worktree(), std::move(ref), artifacts_of(i));
    outcome.warnings = std::move(kept.warnings);
    if (!kept.problem.empty()) {
        outcome.state = cancelled ? StepState::cancelled : StepState::failed;
        outcome.code = "artifacts";
        outcome.reason = std::move(kept.problem);
        co_return;
    }
    auto work = co_await git::commit_work(*repository_, step.worktree(), result.branch,
                                          commit_message(outcome), commit_rules(i));
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

std::string GitWork::commit_message(const StepOutcome& outcome) const
{
    const auto& step = state_.step(outcome.step);
    const auto& id = step.command.request.execution_id;
    const int attempt = outcome.execution ? std::max(outcome.execution->attempts, 1) : 1;
    if (!outcome.cached.empty())
        return fmt::format("{0}: {1} (cached, from {2}){3}Step: {1}\nRound: {4}\n",
                           inputs_.workflow.id, step.result.id, step.result.cached_from, trailer(),
                           step.result.round);
    return fmt::format("{0}: {1} (attempt {2}){3}Step: {1}\nRound: {4}\nAttempt: {2}\n{5}",
                       inputs_.workflow.id, step.result.id, attempt, trailer(), step.result.round,
                       id.empty() ? "" : fmt::format("Execution: {}\n", id));
}

std::string GitWork::trailer() const
{
    const auto& workflow = inputs_.workflow;
    return fmt::format("\n\nWorkflow: {}\nRun: {}\n",
                       workflow.name.empty() ? workflow.id : workflow.name, log_.run_id());
}

git::CommitRules GitWork::commit_rules(std::size_t i) const
{
    git::CommitRules rules;
    rules.declared = artifacts_of(i);
    rules.laid = state_.step(i).laid;
    const auto& step = inputs_.workflow.steps[i];
    rules.only_declared = step.commit.value_or(inputs_.workflow.commit) == CommitScope::creates;
    rules.warns_of_others = !step.creates.empty();  // results alone describe no work
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

}  // namespace autoexec::workflow
