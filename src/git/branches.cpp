#include "git/unfinished.hpp"
#include "git/worktrees.hpp"
#include "git_files/refs.hpp"

#include <fmt/format.h>

#include <system_error>
#include <utility>

namespace autoexec::git {
namespace {

constexpr std::string_view heads = "refs/heads/";
constexpr const char* symref = "%(symref)";  // of an alias of another branch

std::string blocked_by(std::string_view other, std::string_view branch)
{
    const auto above = branch.substr(0, other.size() + 1);
    return fmt::format(
        "The repository has a branch named '{0}', so no branch '{1}…' can be created. Rename it: "
        "git branch -m {0} NAME",
        other, above);
}

// Why a branch that exists is kept: it is not ours, or in use.
Problem not_removable(const Repository& repository, const std::string& branch, const Ref& ref,
                      const BranchRemovalOptions& how)
{
    if (!branch.starts_with(own_branches)) return "It was not created by autoexec.";
    if (!ref.detail.empty()) return fmt::format("It is an alias of {}.", shown(ref.detail));
    std::error_code ec;
    const auto folder = fs::weakly_canonical(repository.trees_folder(), ec);
    for (const auto& entry : repository.all_trees()) {
        const bool goes =
            entry.tree.parent_path() == folder && how.without_trees.contains(entry.name());
        if (!goes && uses_branch(entry.git_dir, branch))
            return fmt::format("It is checked out in {}.", entry.tree.string());
    }
    return {};
}

// Another branch that contains the commit; empty if there is none.
asio::awaitable<std::string> holder_of(Repository& repository, Ref ref, BranchRemovalOptions how)
{
    Words filter{"--contains", ref.commit};
    const auto others = co_await repository.refs(std::string(heads), symref, std::move(filter));
    for (const auto& other : others) {
        // A symbolic ref, perhaps to this very branch, does not hold the commits.
        if (other.name == ref.name || !other.detail.empty()) continue;
        auto name = other.name.substr(heads.size());
        const bool counts = !(how.by_users && name.starts_with(own_branches)) &&
                            !how.without_branches.contains(name);
        if (counts) co_return name;
    }
    co_return std::string();
}

}  // namespace

asio::awaitable<std::string> Repository::tip_of(std::string branch)
{
    const auto read = git_files::read_ref(common, branch_ref(branch));
    if (read && read->empty()) co_return std::string();
    const auto found = co_await resolve(read.value_or(branch_ref(branch)));
    co_return found.id;
}

asio::awaitable<Problem> Repository::move_branch(std::string branch, std::string commit,
                                                 std::string old)
{
    // An agent may have made the branch a symbolic ref; its target must not be changed.
    const auto moved = co_await run("update-ref", "--no-deref", "--create-reflog", "-m", "autoexec",
                                    branch_ref(branch), commit, old);
    if (moved.ok()) co_return Problem();
    for (auto slash = branch.find('/'); slash != std::string::npos;
         slash = branch.find('/', slash + 1)) {
        const auto above = branch.substr(0, slash);
        const auto tip = co_await tip_of(above);
        if (!tip.empty()) co_return blocked_by(above, branch);
    }
    const auto tip = co_await tip_of(branch);
    if (old.empty() && !tip.empty())
        co_return fmt::format("The branch '{}' already exists.", shown(branch));
    if (tip != old)
        co_return fmt::format("The branch '{}' was moved by another process: it is now at {}.",
                              shown(branch), tip.empty() ? "nothing" : tip.substr(0, 12));
    co_return fmt::format("The branch '{}' cannot be set: {}", shown(branch), reason_of(moved));
}

asio::awaitable<Words> list_branches(Repository& repository)
{
    const auto found = co_await repository.refs(std::string(heads).append(own_branches), symref);
    Words names;
    for (const auto& ref : found) names.push_back(ref.name.substr(heads.size()));
    co_return names;
}

asio::awaitable<RemovedBranch> remove_branch(Repository& repository, std::string branch,
                                             BranchRemovalOptions how)
{
    RemovedBranch removed;
    const auto ref = co_await repository.find_ref(branch_ref(branch), symref);
    if (!ref) co_return removed;
    removed.commit = ref->commit;
    removed.problem = not_removable(repository, branch, *ref, how);
    if (!removed.problem.empty()) co_return removed;

    auto holder = co_await holder_of(repository, *ref, how);
    if (holder.empty())
        removed.problem = how.by_users ? "Its commits are on no branch outside workflow/."
                                       : "It has commits that are on no other branch.";
    if (!removed.problem.empty()) co_return removed;
    // The reflog is deleted with the branch.
    const auto lost =
        co_await lost_commits(repository, reflog_of(repository.common, branch), Words(), branch);
    if (!lost.empty())
        removed.problem = fmt::format("The commit {} is only in its reflog.", lost.front());
    if (!removed.problem.empty()) co_return removed;

    removed.held_by = std::move(holder);
    if (how.dry_run) co_return removed;
    Words words{"update-ref", "--no-deref", "-m", "autoexec", "-d", ref->name, ref->commit};
    const auto done = co_await repository.locked(std::move(words));
    if (!done.ok()) removed.problem = fmt::format("It cannot be deleted: {}", reason_of(done));
    co_return removed;
}

}  // namespace autoexec::git
