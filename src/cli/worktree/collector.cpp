#include "cli/worktree/collector.hpp"

#include "cli/session/configuration.hpp"
#include "cli/session/output.hpp"
#include "cli/worktree/trees.hpp"
#include "files/safe_files.hpp"
#include "git/work_cache.hpp"
#include "git_files/git_dir.hpp"
#include "records/queries.hpp"
#include "text/json.hpp"
#include "text/text.hpp"
#include "workflow/journal/journal.hpp"
#include "workflow/plan/plan.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <system_error>
#include <utility>

namespace autoexec::cli {
namespace {

using git::TreeInfo;

constexpr std::chrono::days max_cached_age{30};

/// Must outlive the operation.
class Collector {
public:
    Collector(GcRules rules, std::filesystem::path root,
              std::shared_ptr<git::Repository> repository,
              std::function<void(const Collected&)> report)
        : rules_(rules),
          root_(std::move(root)),
          repository_(std::move(repository)),
          report_(std::move(report))
    {}

    asio::awaitable<int> collect()
    {
        if (!rules_.dry_run) git::sweep(*repository_);
        trees_ = co_await git::list_trees(*repository_);
        if (rules_.branches) branches_ = co_await git::list_branches(*repository_);
        artifacts_ = co_await git::list_artifacts(*repository_);
        // Last: the journal of a run exists before its worktrees.
        runs_ = runs_with_trees(root_);
        const auto ages = ages_of_runs();
        for (auto k = runs_.size(); k-- > 0;)
            if (is_wanted(runs_[k], ages[k])) co_await collect_of(runs_[k]);
        if (rules_.all)
            co_await collect_of_no_run();
        else if (rules_.older_than > rules_.older_than.zero())
            co_await collect_of_commands();
        co_await collect_cached();
        co_return has_failed_ ? exit_internal : exit_completed;
    }

private:
    static bool is_active(const TreeRun& run)
    {
        return run.state == "running" || run.state == "waiting";
    }

    [[nodiscard]] const TreeRun* parent_of(const TreeRun& run) const
    {
        const auto parent = std::ranges::find(runs_, run.parent, &TreeRun::run_id);
        return parent == runs_.end() || run.parent.empty() ? nullptr : &*parent;
    }

    /// How many runs are newer. A child run is as old as its parent run, and not counted.
    [[nodiscard]] std::vector<std::size_t> ages_of_runs() const
    {
        std::vector<std::size_t> ages;
        std::size_t age = 0;
        for (const auto& run : runs_) ages.push_back(parent_of(run) == nullptr ? age++ : 0);
        for (std::size_t k = 0; k < runs_.size(); ++k)
            if (const auto* const parent = root_of(runs_[k]); parent != &runs_[k])
                ages[k] = ages[static_cast<std::size_t>(parent - runs_.data())];
        return ages;
    }

    /// The outermost run. Journals that name each other in a ring lead to one of them.
    [[nodiscard]] const TreeRun* root_of(const TreeRun& run) const
    {
        const auto* at = &run;
        for (std::size_t depth = 0; depth < workflow::max_uses_depth; ++depth)
            if (const auto* const parent = parent_of(*at)) at = parent;
        return at;
    }

    [[nodiscard]] bool is_wanted(const TreeRun& run, std::size_t age) const
    {
        // A resumption of the parent run may resume it.
        const auto* const root = root_of(run);
        if (root != &run && (is_active(*root) || (!rules_.all && root->state != "completed")))
            return false;
        if (age < rules_.keep || is_active(run)) return false;
        // The run may have been resumed after its worktrees were listed.
        if (std::chrono::system_clock::now() - run.last < rules_.older_than) return false;
        // All others may still be resumed.
        return rules_.all || run.state == "completed";
    }

    [[nodiscard]] bool is_wanted(const TreeInfo& tree) const
    {
        return !tree.busy && std::chrono::system_clock::now() - tree.last_used >= rules_.older_than;
    }

    asio::awaitable<void> collect_of_no_run()
    {
        for (const auto& tree : trees_)
            if (owner_of(tree, runs_) == nullptr && is_wanted(tree))
                co_await remove(tree, std::string());
        for (const auto& artifacts : artifacts_) {
            const bool is_of_run = std::any_of(runs_.begin(), runs_.end(), [&](const auto& run) {
                return git::branch_part(run.run_id) == artifacts.run;
            });
            const auto age = std::chrono::system_clock::now() - artifacts.time;
            if (!is_of_run && age >= rules_.older_than) co_await remove(artifacts, std::string());
        }
    }

    // Of `autoexec run --new-worktree`: kept for a time, for those who look at the work there.
    asio::awaitable<void> collect_of_commands()
    {
        for (const auto& tree : trees_)
            if (owner_of(tree, runs_) == nullptr && is_wanted(tree) && has_completed(tree))
                co_await remove(tree, std::string());
    }

    asio::awaitable<void> collect_cached()
    {
        const std::chrono::milliseconds limit = rules_.all ? rules_.older_than : max_cached_age;
        const auto all = co_await git::list_work(*repository_);
        for (const auto& entry : all)
            if (std::chrono::system_clock::now() - entry.time >= limit) co_await remove(entry);
    }

    asio::awaitable<void> remove(const git::CacheEntryInfo& entry)
    {
        std::string problem;
        if (!rules_.dry_run) problem = co_await repository_->drop_ref(entry.ref, entry.commit);
        Collected collected(Collected::Kind::cached, entry.ref, problem);
        collected.failed = !problem.empty();
        report(std::move(collected), {{"cached", entry.ref},
                                      {"commit", entry.commit},
                                      {"removed", is_removed(problem)},
                                      {"problem", text::text_or_null(problem)}});
    }

    // Whether the last command there has completed.
    [[nodiscard]] bool has_completed(const TreeInfo& tree) const
    {
        MetricsFilter filter;
        filter.worktree = tree.path.string();
        filter.limit = 1;
        const auto folder = records::Folder::of({}, root_, "metrics");
        const auto last = records::read_metrics(folder, filter).metrics;
        return !last.empty() && last.front().status == ExecutionStatus::completed;
    }

    asio::awaitable<void> collect_of(const TreeRun& run)
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
        for (const auto* const tree : wanted) co_await remove(*tree, problem);
        for (const auto& branch : branches_without_tree(run)) co_await remove(run, branch, problem);
        for (const auto* const artifacts : kept) co_await remove(*artifacts, problem);
        held_ = files::UniqueFd();
    }

    // A run must not be resumed while its worktrees are removed, or have been resumed since they
    // were listed.
    std::string hold(const TreeRun& run)
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

    asio::awaitable<void> remove(const TreeInfo& tree, std::string problem)
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
        Collected collected(Collected::Kind::worktree, tree.name, saved.problem);
        if (rules_.dry_run && tree.dirty) collected.remark = ", and save its uncommitted work";
        collected.saved = !saved.ref.empty();
        if (collected.saved) collected.remark = "; saved as " + text::printable(saved.ref);
        collected.failed = !rules_.dry_run && !saved.problem.empty();
        report(std::move(collected), {{"name", tree.name},
                                      {"path", tree.path.string()},
                                      {"branch", text::text_or_null(tree.branch)},
                                      {"dirty", tree.dirty},
                                      {"removed", is_removed(saved.problem)},
                                      {"saved_as", text::text_or_null(saved.ref)},
                                      {"problem", text::text_or_null(saved.problem)}});
    }

    // The run's own branch is last: the work of its steps may be on no other branch.
    [[nodiscard]] std::vector<std::string> branches_without_tree(const TreeRun& run) const
    {
        std::map<std::string, const TreeInfo*> trees;
        for (const auto& tree : trees_)
            trees.emplace(std::string(git::own_branches) + tree.name, &tree);
        const auto is_free = [&](const std::string& branch) {
            const auto tree = trees.find(branch);
            if (tree == trees.end()) return has_branch(run, branch);
            return removed_trees_.contains(tree->second->name) &&
                   (has_branch(run, branch) || owner_of(*tree->second, runs_) == &run);
        };
        std::vector<std::string> found;
        bool has_own = false;
        for (const auto& branch : branches_) {
            if (branch == run.branch)
                has_own = true;
            else if (is_free(branch))
                found.push_back(branch);
        }
        // A branch that steps share is needed to resume the run.
        if (has_own && !run.branches.contains(run.branch)) found.push_back(run.branch);
        return found;
    }

    asio::awaitable<void> remove(const TreeRun& run, std::string branch, std::string problem)
    {
        if (repository_->is_cancelled()) co_return;
        git::BranchRemovalOptions how;
        // The branch of the parent run has the work of a child run.
        how.by_users = branch == run.branch && root_of(run) == &run;
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
        if (branch == run.branch && removed.held_by.empty()) co_return;
        Collected collected(Collected::Kind::branch, "branch " + branch, removed.problem);
        collected.remark = fmt::format(": {} has its work", text::printable(removed.held_by));
        // Keeping a branch because its work is on no other branch is not a failure.
        collected.failed =
            !removed.problem.empty() && (removed.commit.empty() || !removed.held_by.empty());
        report(std::move(collected), {{"branch", branch},
                                      {"commit", text::text_or_null(removed.commit)},
                                      {"removed", is_removed(removed.problem)},
                                      {"held_by", text::text_or_null(removed.held_by)},
                                      {"problem", text::text_or_null(removed.problem)}});
    }

    asio::awaitable<void> remove(const git::ArtifactInfo& artifacts, std::string problem)
    {
        if (problem.empty() && !rules_.dry_run)
            problem = co_await repository_->drop_ref(artifacts.ref, artifacts.commit);
        Collected collected(Collected::Kind::artifacts, artifacts.ref, problem);
        collected.failed = !problem.empty();
        report(std::move(collected), {{"artifacts", artifacts.ref},
                                      {"commit", artifacts.commit},
                                      {"removed", is_removed(problem)},
                                      {"problem", text::text_or_null(problem)}});
    }

    [[nodiscard]] bool is_removed(const std::string& problem) const
    {
        return !rules_.dry_run && problem.empty();
    }

    void report(Collected collected, boost::json::object json)
    {
        collected.json = std::move(json);
        has_failed_ |= collected.failed;
        report_(collected);
    }

    GcRules rules_;
    std::filesystem::path root_;
    std::shared_ptr<git::Repository> repository_;
    std::function<void(const Collected&)> report_;
    std::vector<TreeRun> runs_;
    std::vector<TreeInfo> trees_;
    std::vector<std::string> branches_;
    std::vector<git::ArtifactInfo> artifacts_;
    std::set<std::string> removed_trees_;  // or would be removed
    std::set<std::string> removed_branches_;
    files::UniqueFd held_;  // the journal of the run whose worktrees are removed
    bool has_failed_ = false;
};

}  // namespace

GcRules rules_of(const WorktreesConfig& config)
{
    GcRules rules;
    rules.older_than = text::parse_duration(config.older_than).value_or(rules.older_than);
    rules.keep = config.keep;
    rules.branches = config.delete_branches;
    return rules;
}

int collect_worktrees(const std::filesystem::path& root, const WorktreesConfig& config,
                      GcRules rules, std::function<void(const Collected&)> report)
{
    auto options = repository_options(root);
    options.max_file_bytes = config.max_file_bytes;
    std::optional<Collector> collector;
    return with_repository(std::move(options), "worktree gc", [&](auto repository) {
        return collector.emplace(rules, root, std::move(repository), std::move(report)).collect();
    });
}

void collect_after_run(AutoExecutionConfigManager& manager, bool quiet)
{
    const auto& root = manager.project_root();
    WorktreesConfig config;
    try {
        config = load_configuration(manager, true).worktrees;
    } catch (const Failure&) {
        return;  // the run has completed all the same
    }
    if (!config.auto_gc || !git_files::git_dir_of(root)) return;
    std::size_t removed = 0;
    std::size_t branches = 0;
    std::size_t saved = 0;
    std::size_t kept = 0;
    (void)collect_worktrees(root, config, rules_of(config), [&](const Collected& collected) {
        if (collected.kind == Collected::Kind::branch) branches += collected.problem.empty();
        if (collected.kind != Collected::Kind::worktree) return;
        ++(collected.problem.empty() ? removed : kept);
        saved += collected.problem.empty() && collected.saved;
    });
    if (quiet || removed + branches + kept == 0) return;
    auto text = "Removed " + text::counted(removed, "worktree");
    if (branches > 0) text += " and " + text::counted(branches, "branch", "branches");
    text += " of completed runs";
    if (saved > 0)
        text += fmt::format("; saved the work in {} (see autoexec worktree list)", saved);
    if (kept > 0)
        text += fmt::format("; kept {} (for the reasons, run autoexec worktree gc)", kept);
    print_message("{}.\n", text);
}

}  // namespace autoexec::cli
