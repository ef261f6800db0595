#include "cli/worktree/collector.hpp"

#include "text/text.hpp"
#include "workflow/journal/journal.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <system_error>
#include <utility>

namespace autoexec::cli {

using git::TreeInfo;

GcRules rules_of(const WorktreesConfig& config)
{
    GcRules rules;
    rules.older_than = text::parse_duration(config.older_than).value_or(rules.older_than);
    rules.keep = config.keep;
    rules.branches = config.delete_branches;
    return rules;
}

Collector::Collector(GcRules rules, std::filesystem::path root,
                     std::shared_ptr<git::Repository> repository, ReportTree report_tree,
                     ReportBranch report_branch, ReportArtifacts report_artifacts)
    : rules_(rules),
      root_(std::move(root)),
      repository_(std::move(repository)),
      report_tree_(std::move(report_tree)),
      report_branch_(std::move(report_branch)),
      report_artifacts_(std::move(report_artifacts))
{}

asio::awaitable<void> Collector::collect()
{
    if (!rules_.dry_run) git::sweep(*repository_);
    auto looking = git::list_trees(*repository_);
    trees_ = co_await std::move(looking);
    if (rules_.branches) {
        auto listing = git::list_branches(*repository_);
        branches_ = co_await std::move(listing);
    }
    auto finding = git::list_artifacts(*repository_);
    artifacts_ = co_await std::move(finding);
    // Last: the journal of a run exists before its worktrees.
    runs_ = runs_with_trees(root_);
    for (auto age = runs_.size(); age-- > 0;) {
        if (!is_wanted(runs_[age], age)) continue;
        auto collecting = collect_of(runs_[age]);
        co_await std::move(collecting);
    }
    if (!rules_.all) co_return;
    auto collecting = collect_of_no_run();
    co_await std::move(collecting);
}

asio::awaitable<void> Collector::collect_of_no_run()
{
    for (const auto& tree : trees_) {
        if (owner_of(tree, runs_) != nullptr || !is_wanted(tree)) continue;
        auto removing = remove(tree, {});
        co_await std::move(removing);
    }
    for (const auto& artifacts : artifacts_) {
        const bool is_of_run = std::any_of(runs_.begin(), runs_.end(), [&](const auto& run) {
            return git::branch_part(run.run_id) == artifacts.run;
        });
        const auto age = std::chrono::system_clock::now() - artifacts.time;
        if (is_of_run || age < rules_.older_than) continue;
        auto removing = remove(artifacts, {});
        co_await std::move(removing);
    }
}

bool Collector::is_wanted(const TreeRun& run, std::size_t age) const
{
    if (age < rules_.keep || run.state == "running") return false;
    // The run may have been resumed after its worktrees were listed.
    if (std::chrono::system_clock::now() - run.last < rules_.older_than) return false;
    // All others may still be resumed.
    return rules_.all || run.state == "completed";
}

bool Collector::is_wanted(const TreeInfo& tree) const
{
    return !tree.busy && std::chrono::system_clock::now() - tree.last_used >= rules_.older_than;
}

asio::awaitable<void> Collector::collect_of(const TreeRun& run)
{
    std::vector<const TreeInfo*> wanted;
    for (const auto& tree : trees_)
        if (owner_of(tree, runs_) == &run && is_wanted(tree)) wanted.push_back(&tree);
    const auto is_its_own = [&run](const auto& branch) {
        return branch == run.branch || has_branch(run, branch);
    };
    const bool has_branches = std::any_of(branches_.begin(), branches_.end(), is_its_own);
    std::vector<const git::ArtifactInfo*> kept;
    for (const auto& artifacts : artifacts_)
        if (artifacts.run == git::branch_part(run.run_id)) kept.push_back(&artifacts);
    if (wanted.empty() && !has_branches && kept.empty()) co_return;
    const auto problem = rules_.dry_run ? std::string() : hold(run);
    for (const auto* const tree : wanted) {
        auto removing = remove(*tree, problem);
        co_await std::move(removing);
    }
    for (const auto& branch : branches_without_tree(run)) {
        auto removing = remove(run, branch, problem);
        co_await std::move(removing);
    }
    for (const auto* const artifacts : kept) {
        auto removing = remove(*artifacts, problem);
        co_await std::move(removing);
    }
    held_ = files::UniqueFd();
}

// A run must not be resumed while its worktrees are removed, or have been resumed since they were
// listed.
std::string Collector::hold(const TreeRun& run)
{
    error_code ec;
    held_ = workflow::hold_run(root_, run.run_id, ec);
    if (ec == errc::worktree_busy) return "Its run is active.";
    if (ec) return fmt::format("Cannot lock the journal of its run: {}", ec.message());
    std::string problem;
    const auto now = workflow::read_run(root_, run.run_id, problem);
    if (!now) return problem;
    return now->transitions.size() == run.transitions ? std::string()
                                                      : "Its run has been resumed meanwhile.";
}

asio::awaitable<void> Collector::remove(const TreeInfo& tree, std::string problem)
{
    if (repository_->is_cancelled()) co_return;
    std::error_code ec;
    if (!tree.missing && !std::filesystem::exists(tree.path, ec))
        co_return;  // removed by another process
    git::SalvageOptions how;
    how.include_ignored = rules_.include_ignored;
    how.reason = "Before its worktree was removed";
    git::Salvage saved;
    saved.problem = std::move(problem);
    if (rules_.dry_run) {
        auto looking = git::removal_blocker(*repository_, tree.path, std::move(how));
        saved.problem = co_await std::move(looking);
    } else if (saved.problem.empty()) {
        auto removing = git::remove_tree(*repository_, tree.path, std::move(how));
        saved = co_await std::move(removing);
    }
    if (saved.problem.empty()) removed_trees_.insert(tree.name);
    report_tree_(tree, saved);
}

/// The run's own branch is last: the work of its steps may be on no other branch.
std::vector<std::string> Collector::branches_without_tree(const TreeRun& run) const
{
    std::vector<std::string> found;
    std::set<std::string> stay;
    for (const auto& tree : trees_)
        if (!removed_trees_.contains(tree.name))
            stay.insert(std::string(git::own_branches) + tree.name);
    std::set<std::string> of_removed_trees;
    for (const auto& tree : trees_)
        if (removed_trees_.contains(tree.name) && owner_of(tree, runs_) == &run)
            of_removed_trees.insert(std::string(git::own_branches) + tree.name);
    for (const auto& branch : branches_)
        if (branch != run.branch && !stay.contains(branch) &&
            (has_branch(run, branch) || of_removed_trees.contains(branch)))
            found.push_back(branch);
    // A branch that steps share is needed to resume the run.
    const bool shared = run.branches.contains(run.branch);
    if (!shared && std::find(branches_.begin(), branches_.end(), run.branch) != branches_.end())
        found.push_back(run.branch);
    return found;
}

asio::awaitable<void> Collector::remove(const TreeRun& run, const std::string& branch,
                                        std::string problem)
{
    if (repository_->is_cancelled()) co_return;
    git::BranchRemovalOptions how;
    how.by_users = branch == run.branch;
    how.dry_run = rules_.dry_run;
    if (rules_.dry_run) {
        how.without_branches = removed_branches_;
        how.without_trees = removed_trees_;
    }
    git::RemovedBranch removed;
    removed.problem = std::move(problem);
    if (removed.problem.empty()) {
        auto removing = git::remove_branch(*repository_, branch, std::move(how));
        removed = co_await std::move(removing);
        if (removed.commit.empty()) co_return;  // removed by another process
    }
    if (removed.problem.empty()) removed_branches_.insert(branch);
    // A run's branch is always kept until another branch has its work: no message.
    const bool is_kept_as_usual = branch == run.branch && removed.held_by.empty();
    if (!is_kept_as_usual) report_branch_(branch, removed);
}

asio::awaitable<void> Collector::remove(const git::ArtifactInfo& artifacts, std::string problem)
{
    if (problem.empty() && !rules_.dry_run) {
        auto dropping = repository_->drop_ref(artifacts.ref, artifacts.commit);
        problem = co_await std::move(dropping);
    }
    report_artifacts_(artifacts, problem);
}

}  // namespace autoexec::cli
