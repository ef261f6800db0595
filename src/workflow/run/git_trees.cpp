#include "workflow/run/git_trees.hpp"

#include "text/text.hpp"

#include <fmt/format.h>

#include <algorithm>

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

GitTrees::GitTrees(std::shared_ptr<git::Repository> repository, Names names, std::string base)
    : repository_(std::move(repository)),
      names_(std::move(names)),
      base_(std::move(base)),
      branch_("workflow/" + git::branch_part(names_.run_id))
{
    repository_->work_for(names_.run_id);
}

std::string GitTrees::shared_name() const
{
    return git::branch_part(names_.run_id);
}

std::filesystem::path GitTrees::path_of(const std::string& name) const
{
    return repository_->trees_folder() / name;
}

std::string GitTrees::trailer() const
{
    return fmt::format("\n\nWorkflow: {}\nRun: {}\n",
                       names_.workflow_name.empty() ? names_.workflow_id : names_.workflow_name,
                       names_.run_id);
}

asio::awaitable<GitTrees::Opened> GitTrees::open(git::RepositoryOptions options, Names names,
                                                 std::string revision)
{
    Opened opened;
    auto found = co_await git::Repository::open(std::move(options));
    opened.problem = std::move(found.problem);
    if (!opened.problem.empty()) co_return opened;
    auto base = co_await found.repository->resolve(std::move(revision));
    opened.problem = std::move(base.problem);
    if (opened.problem.empty())
        opened.trees.reset(
            new GitTrees(std::move(found.repository), std::move(names), std::move(base.id)));
    co_return opened;
}

void GitTrees::name_after(std::string run_id)
{
    names_.run_id = std::move(run_id);
    repository_->work_for(names_.run_id);
    branch_ = "workflow/" + git::branch_part(names_.run_id);
}

asio::awaitable<std::string> GitTrees::begin()
{
    return repository_->set_branch(branch_, base_, {});
}

asio::awaitable<MergeResult> GitTrees::merge_all(std::vector<Parent> parents)
{
    MergeResult all;
    all.commit = base_;
    for (auto& parent : parents) {
        auto message = fmt::format("Merge the work of {}{}", parent.step, trailer());
        auto merging = repository_->merge(all.commit, parent.commit, std::move(message));
        auto merged = co_await std::move(merging);
        if (!merged.problem.empty()) {
            all.problem =
                fmt::format("The work of '{}' cannot be merged with that of {}: {}", parent.step,
                            all.ours.empty() ? "the base" : all.ours, merged.problem);
            co_return all;
        }
        if (!merged.conflicts.empty()) {
            all.conflicts = std::move(merged.conflicts);
            auto resolving = conflict(std::move(all), parent);
            all = co_await std::move(resolving);
            if (!all.problem.empty()) co_return all;
        } else {
            all.commit = std::move(merged.commit);
        }
        all.ours += (all.ours.empty() ? "" : ", ") + parent.step;
    }
    co_return all;
}

// Returns the resolution that a person has committed, or opens a worktree for it.
asio::awaitable<MergeResult> GitTrees::conflict(MergeResult so_far, Parent next)
{
    // Named after the two sides alone, so that every merge of them finds the same worktree.
    const auto name = git::tree_name(
        names_.run_id, fmt::format("merge-{}-{:.8}-{:.8}", next.step, so_far.commit, next.commit));
    auto looking = repository_->resolved_conflict(name, so_far.commit, next.commit);
    auto resolved = co_await std::move(looking);
    if (resolved.problem.empty()) {
        so_far.commit = std::move(resolved.id);
        so_far.conflicts.clear();
        co_return so_far;
    }
    so_far.theirs = next.step;
    std::error_code ec;
    const bool is_known = std::filesystem::exists(path_of(name), ec);
    auto message = fmt::format("Merge the work of {} into that of {}{}", next.step,
                               so_far.ours.empty() ? "the base" : so_far.ours, trailer());
    auto opening = repository_->open_conflict(name, so_far.commit, next.commit, std::move(message));
    auto opened = co_await std::move(opening);
    so_far.where = opened.path;
    so_far.problem = fmt::format("The work of '{}' and of '{}' conflicts in {}. ", so_far.ours,
                                 next.step, listed(so_far.conflicts));
    so_far.problem +=
        opened.problem.empty()
            ? fmt::format("Resolve it in '{}', commit there, and resume", opened.path.string())
            : opened.problem;
    if (is_known && opened.problem.empty())
        so_far.problem += fmt::format(" ({})", resolved.problem);
    co_return so_far;
}

asio::awaitable<git::NewTree> GitTrees::tree_for(std::string name, std::string base, bool reuse)
{
    return repository_->add_tree(std::move(name), std::move(base), reuse);
}

asio::awaitable<git::CommittedWork> GitTrees::commit(std::filesystem::path tree, std::string branch,
                                                     std::string step, int round, int attempt,
                                                     std::string execution_id,
                                                     git::CommitRules rules)
{
    auto message = fmt::format("{}: {} (attempt {}){}Step: {}\nRound: {}\nAttempt: {}\n",
                               names_.workflow_id, step, attempt, trailer(), step, round, attempt);
    if (!execution_id.empty()) message += fmt::format("Execution: {}\n", execution_id);
    return repository_->commit_work(std::move(tree), std::move(branch), std::move(message),
                                    std::move(rules));
}

asio::awaitable<git::KeptArtifacts> GitTrees::keep_ignored(std::filesystem::path tree,
                                                           std::string step, int round,
                                                           std::vector<std::string> artifacts)
{
    git::ArtifactRef ref{names_.run_id, std::move(step), round};
    return repository_->keep_ignored(std::move(tree), std::move(ref), std::move(artifacts));
}

asio::awaitable<std::string> GitTrees::advance(std::string commit, std::string last)
{
    auto looking = repository_->resolve("refs/heads/" + branch_);
    auto now = co_await std::move(looking);
    if (now.id == commit) co_return std::string();
    if (last.empty()) last = base_;
    bool ours = now.id.empty() || now.id == last;
    if (!ours) {
        auto asking = repository_->contains(commit, now.id);
        ours = co_await std::move(asking);
    }
    if (!ours)
        co_return fmt::format(
            "The branch '{}' has commits that are not the run's: it is at {:.12} and stays there. "
            "The run's work is {:.12}; to merge it: git merge {:.12}",
            branch_, now.id, commit, commit);
    auto moving = repository_->advance(branch_, std::move(commit), now.id);
    co_return co_await std::move(moving);
}

}  // namespace autoexec::workflow
