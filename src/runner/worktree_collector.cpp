#include "runner/worktree_collector.hpp"

#include "protocol/text.hpp"
#include "workflow/journal.hpp"

#include <fmt/format.h>

#include <utility>

namespace autoexec::runner {

using worktree::TreeInfo;

Collector::Collector(GcRules rules, std::filesystem::path root,
                     std::shared_ptr<worktree::Repository> repository, TellTree tell_tree)
    : rules_(rules),
      root_(std::move(root)),
      repository_(std::move(repository)),
      tell_tree_(std::move(tell_tree))
{}

asio::awaitable<void> Collector::collect()
{
    if (!rules_.dry_run) repository_->sweep();
    auto looking = repository_->trees();
    trees_ = co_await std::move(looking);
    // After them: the journal of a run is there before its worktrees.
    runs_ = runs_with_trees(root_);
    for (auto age = runs_.size(); age-- > 0;) {
        if (!is_wanted(runs_[age], age)) continue;
        auto collecting = collect_of(runs_[age]);
        co_await std::move(collecting);
    }
    if (!rules_.all) co_return;
    for (const auto& tree : trees_) {
        if (owner_of(tree, runs_) != nullptr || !is_wanted(tree)) continue;
        auto removing = remove(tree, {});
        co_await std::move(removing);
    }
}

bool Collector::is_wanted(const TreeRun& run, std::size_t age) const
{
    if (age < rules_.keep || run.state == "running") return false;
    // Somebody may want to go on with all others.
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
    if (wanted.empty()) co_return;
    const auto problem = rules_.dry_run ? std::string() : hold(run);
    for (const auto* const tree : wanted) {
        auto removing = remove(*tree, problem);
        co_await std::move(removing);
    }
    held_ = platform::UniqueFd();
}

// Nobody must go on with a run while its worktrees go, nor have done so since we looked.
std::string Collector::hold(const TreeRun& run)
{
    error_code ec;
    held_ = workflow::hold_run(root_, run.run_id, ec);
    if (ec == errc::worktree_busy) return "Its run is going on.";
    if (ec) return fmt::format("The journal of its run can't be locked: {}", ec.message());
    std::string problem;
    const auto now = workflow::read_run(root_, run.run_id, problem);
    if (!now) return problem;
    return now->transitions.size() == run.transitions ? std::string()
                                                      : "Its run has gone on meanwhile.";
}

asio::awaitable<void> Collector::remove(const TreeInfo& tree, std::string problem)
{
    worktree::SalvageOptions how;
    how.include_ignored = rules_.include_ignored;
    how.reason = "Before its worktree was removed";
    worktree::Salvage saved;
    saved.problem = std::move(problem);
    if (rules_.dry_run) {
        auto looking = repository_->what_keeps(tree.path, std::move(how));
        saved.problem = co_await std::move(looking);
    } else if (saved.problem.empty()) {
        auto removing = repository_->remove(tree.path, std::move(how));
        saved = co_await std::move(removing);
    }
    tell_tree_(tree, saved);
}

}  // namespace autoexec::runner
