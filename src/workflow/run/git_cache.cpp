#include "git/work_cache.hpp"
#include "workflow/run/git_work.hpp"
#include "workflow/run/step_cache.hpp"

#include <fmt/format.h>

#include <utility>

/// The work of steps that later runs take over.
namespace autoexec::workflow {

// Their trees identify the files: the commits of merges differ from run to run.
asio::awaitable<void> GitWork::set_cache_key(std::size_t i)
{
    auto& step = state_.step(i);
    const auto base = co_await git::tree_of(*repository_, step.base);
    std::vector<std::string> laid;
    for (const auto& source : step.laid) {
        auto content = co_await git::content_at(*repository_, source);
        if (content.empty()) co_return;
        laid.push_back(std::move(content));
    }
    if (!base.empty()) step.cache_key = cache_key(inputs_, state_, i, base, laid);
}

asio::awaitable<std::optional<StepOutcome>> GitWork::find_cached(std::size_t i)
{
    co_await set_cache_key(i);
    auto& step = state_.step(i);
    if (step.cache_key.empty() || !inputs_.options.use_cache) co_return std::nullopt;
    const auto work = co_await git::find_work(*repository_, step.cache_key);
    auto end = work ? read_cache_details(work->details, step.cache_key) : std::nullopt;
    if (!end) co_return std::nullopt;
    step.result.cached_from = std::move(end->run_id);
    StepOutcome outcome{i};
    outcome.cached = work->entry;
    outcome.execution = std::move(end->execution);
    co_return outcome;
}

asio::awaitable<void> GitWork::take_cached(StepOutcome& outcome, const bool& cancelled)
{
    const auto i = outcome.step;
    auto& step = state_.step(i);
    git::WorkTarget target;
    target.tree = step.worktree();
    target.branch = step.result.branch;
    target.base = step.base;
    target.message = commit_message(outcome);
    target.ref = git::ArtifactRef{log_.run_id(), step.result.id, step.result.round};
    target.artifacts = artifacts_of(i);
    target.laid = step.laid;
    auto taken = co_await git::take_work(*repository_, outcome.cached, std::move(target));
    if (taken.problem.empty()) {
        step.commit = std::move(taken.commit);
        step.kept = std::move(taken.kept);
        co_return;
    }
    outcome.state = cancelled ? StepState::cancelled : StepState::failed;
    outcome.code = "cache";
    outcome.reason = fmt::format(
        "The work of {} cannot be taken over: {}. To run the step, resume with --from-failed",
        step.result.cached_from, taken.problem);
    outcome.execution.reset();
    step.result.cached_from.clear();
}

// Only work that has everything that the step makes: a later run checks nothing.
asio::awaitable<void> GitWork::store_cached(StepOutcome& outcome)
{
    const auto& step = state_.step(outcome.step);
    const bool is_whole = outcome.state == StepState::completed && outcome.execution &&
                          outcome.execution->missing_artifacts.empty();
    const auto key = step.cache_key;
    if (!is_whole || key.empty() || step.commit.empty()) co_return;
    auto details = cache_details(inputs_, state_, outcome);
    if (details.empty()) co_return;
    auto storing = git::store_work(*repository_, key, step.commit, step.kept, std::move(details));
    const auto problem = co_await std::move(storing);
    if (!problem.empty())
        outcome.warnings.push_back(
            fmt::format("Its work cannot be stored for later runs: {}", problem));
    // A gate has gone back meanwhile.
    if (step.cache_key != key) co_await drop_cached(key);
}

asio::awaitable<void> GitWork::drop_cached(std::string key)
{
    (void)co_await git::drop_work(*repository_, std::move(key));
}

}  // namespace autoexec::workflow
