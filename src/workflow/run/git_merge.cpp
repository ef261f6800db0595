#include "workflow/run/git_work.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

/// The merges of a run: before a step and at the end.
namespace autoexec::workflow {
namespace {

constexpr std::size_t max_named = 5;

std::string listed(const std::vector<git::Conflict>& conflicts)
{
    std::string text;
    for (std::size_t k = 0; k < std::min(conflicts.size(), max_named); ++k)
        text += fmt::format("{}{} ({})", k == 0 ? "" : ", ", conflicts[k].path, conflicts[k].kind);
    if (conflicts.size() > max_named)
        text += fmt::format(" and {} more", conflicts.size() - max_named);
    return text;
}

}  // namespace

std::vector<Parent> GitWork::parents_of(std::size_t i) const
{
    std::vector<Parent> parents;
    for (const auto k : work_before(inputs_.plan, state_, i))
        parents.push_back({inputs_.workflow.steps[k].id, state_.step(k).commit});
    const auto& feedback = state_.step(i).feedback;
    if (!feedback.commit.empty()) parents.push_back(feedback);
    return parents;
}

// Steps that no other step builds on: they contain the work of all others.
std::vector<Parent> GitWork::all_work() const
{
    std::vector<Parent> work;
    for (std::size_t i = 0; i < state_.size(); ++i) {
        const auto has_work = [this](std::size_t k) {
            return !state_.step(k).commit.empty() && !state_.scheduler().is_left_out(k);
        };
        if (!has_work(i)) continue;
        bool is_built_upon = false;
        for (std::size_t k = 0; k < state_.size(); ++k)
            is_built_upon |= inputs_.plan.steps[i].leads_to[k] && has_work(k);
        if (!is_built_upon || has_changed_)
            work.push_back({inputs_.workflow.steps[i].id, state_.step(i).commit});
    }
    return work;
}

/// In their order, onto the run's base. Resolutions of earlier conflicts are used.
asio::awaitable<GitWork::Merged> GitWork::merge_work(std::vector<Parent> parents)
{
    Merged all;
    all.commit = base_;
    std::string ours;
    for (const auto& parent : parents) {
        const auto named = ours.empty() ? "the base" : ours;
        auto merging = git::merge(*repository_, all.commit, parent.commit,
                                  fmt::format("Merge the work of {}{}", parent.step, trailer()));
        auto merged = co_await std::move(merging);
        if (!merged.problem.empty()) {
            all.problem = fmt::format("The work of '{}' cannot be merged with that of {}: {}",
                                      parent.step, named, merged.problem);
        } else if (!merged.conflicts.empty()) {
            auto resolved =
                co_await resolve(all.commit, named, parent, std::move(merged.conflicts));
            if (!resolved.problem.empty()) all.conflict = parent.step;
            all.problem = std::move(resolved.problem);
            merged.commit = std::move(resolved.id);
        }
        all.commit = std::move(merged.commit);
        if (!all.problem.empty()) co_return all;
        ours += (ours.empty() ? "" : ", ") + parent.step;
    }
    co_return all;
}

// Returns the resolution that a person has committed, or opens a worktree for it.
asio::awaitable<git::Commit> GitWork::resolve(std::string ours, std::string named, Parent theirs,
                                              std::vector<git::Conflict> conflicts)
{
    // Named after the two sides alone, so that every merge of them finds the same worktree.
    const auto tree = git::tree_name(
        log_.run_id(), fmt::format("merge-{}-{:.8}-{:.8}", theirs.step, ours, theirs.commit));
    auto resolved = co_await git::resolved_conflict(*repository_, tree, ours, theirs.commit);
    if (resolved.problem.empty()) co_return resolved;
    std::error_code ec;
    const bool is_known = std::filesystem::exists(path_of(tree), ec);
    auto opening = git::open_conflict(
        *repository_, tree, ours, theirs.commit,
        fmt::format("Merge the work of {} into that of {}{}", theirs.step, named, trailer()));
    const auto opened = co_await std::move(opening);
    auto what = opened.problem;
    if (what.empty())
        what = fmt::format("Resolve it in '{}', commit there, and resume{}", opened.path.string(),
                           is_known ? fmt::format(" ({})", resolved.problem) : "");
    resolved.problem = fmt::format("The work of '{}' and of '{}' conflicts in {}. {}", named,
                                   theirs.step, listed(conflicts), what);
    co_return resolved;
}

asio::awaitable<GitWork::Merged> GitWork::merge_all()
{
    Merged merged;
    if (is_shared()) {
        auto now = co_await repository_->resolve("refs/heads/" + branch_);
        merged.commit = std::move(now.id);
        merged.problem = std::move(now.problem);
        co_return merged;
    }
    merged = co_await merge_work(all_work());
    if (!merged.problem.empty()) co_return merged;
    merged.problem = co_await advance(merged.commit);
    co_return merged;
}

/// Moves the run's branch. Commits that others have added since the run left it are kept: a
/// sentence.
asio::awaitable<std::string> GitWork::advance(std::string commit)
{
    const auto now = co_await repository_->tip_of(branch_);
    if (now == commit) co_return std::string();
    const auto& last = state_.last_commit.empty() ? base_ : state_.last_commit;
    bool ours = now.empty() || now == last;
    if (!ours) {
        ours = co_await repository_->contains(commit, now);
    }
    if (!ours)
        co_return fmt::format(
            "The branch '{}' has commits that are not the run's: it is at {:.12} and stays there. "
            "The run's work is {:.12}; to merge it: git merge {:.12}",
            branch_, now, commit, commit);
    co_return co_await git::advance(*repository_, branch_, std::move(commit), now);
}

asio::awaitable<std::string> GitWork::merge_into_target(std::string commit)
{
    const auto& target = inputs_.options.merge_into;
    auto merging = git::merge_into(
        *repository_, target, std::move(commit),
        fmt::format("Merge workflow {}\n\nRun: {}\n", inputs_.workflow.id, log_.run_id()));
    const auto merged = co_await std::move(merging);
    if (!merged.conflicts.empty())
        co_return fmt::format(
            "'{}' conflicts with the branch '{}' in {}{}. Merge it yourself: "
            "git merge {}",
            branch_, target, merged.conflicts.front().path,
            merged.conflicts.size() > 1 ? " and more" : "", branch_);
    if (!merged.problem.empty())
        co_return fmt::format("The branch '{}' did not receive the work: {}", target,
                              merged.problem);
    co_return std::string();
}

}  // namespace autoexec::workflow
