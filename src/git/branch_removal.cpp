#include "git/repository_impl.hpp"
#include "git/unfinished.hpp"

#include <fmt/format.h>

#include <system_error>
#include <utility>

namespace autoexec::git {
namespace {

constexpr std::string_view heads = "refs/heads/";
constexpr const char* format = "--format=%(refname)%00%(objectname)%00%(symref)%00";

struct Ref {
    std::string_view name;
    std::string_view commit;
    std::string_view leads_to;  // an alias of another branch
};

std::vector<Ref> refs_in(std::string_view listing)
{
    std::vector<Ref> refs;
    const auto parts = split_nul(listing);
    for (std::size_t i = 0; i + 2 < parts.size(); i += 3) {
        Ref ref{parts[i], parts[i + 1], parts[i + 2]};
        if (ref.name.starts_with('\n')) ref.name.remove_prefix(1);
        refs.push_back(ref);
    }
    return refs;
}

}  // namespace

asio::awaitable<std::vector<std::string>> Repository::Impl::branches()
{
    const auto listing =
        co_await git(bare, "for-each-ref", format, std::string(heads) + std::string(own_branches));
    std::vector<std::string> names;
    for (const auto& ref : refs_in(listing.output))
        names.emplace_back(ref.name.substr(heads.size()));
    co_return names;
}

asio::awaitable<RemovedBranch> Repository::Impl::remove_branch(std::string branch,
                                                               BranchRemovalOptions how)
{
    RemovedBranch removed;
    const auto ref = branch_ref(branch);
    const auto found = co_await git(bare, "for-each-ref", "--count=1", format, ref);
    const auto refs = refs_in(found.output);
    // Git also lists refs below the name.
    if (!found.ok() || refs.empty() || refs.front().name != ref) co_return removed;
    removed.commit = refs.front().commit;
    if (!branch.starts_with(own_branches))
        removed.problem = "It was not created by autoexec.";
    else if (!refs.front().leads_to.empty())
        removed.problem = fmt::format("It is an alias of {}.", shown(refs.front().leads_to));
    else
        removed.problem = checked_out(branch, how);
    if (!removed.problem.empty()) co_return removed;

    auto holder = co_await holder_of(ref, removed.commit, how);
    if (holder.empty())
        removed.problem = how.by_users ? "Its commits are on no branch outside workflow/."
                                       : "It has commits that are on no other branch.";
    if (!removed.problem.empty()) co_return removed;
    // The reflog is deleted with the branch.
    const auto lost = co_await lost_commits(reflog_of(common, branch), Words(), branch);
    if (!lost.empty())
        removed.problem = fmt::format("The commit {} is only in its reflog.", lost.front());
    if (!removed.problem.empty()) co_return removed;

    removed.held_by = std::move(holder);
    if (how.dry_run) co_return removed;
    Words words{"update-ref", "--no-deref", "-m", "autoexec", "-d", ref, removed.commit};
    const auto done = co_await locked(std::move(words));
    if (!done.ok()) removed.problem = fmt::format("It cannot be deleted: {}", reason_of(done));
    co_return removed;
}

Problem Repository::Impl::checked_out(const std::string& branch,
                                      const BranchRemovalOptions& how) const
{
    std::error_code ec;
    const auto folder = std::filesystem::weakly_canonical(trees_folder(), ec);
    for (const auto& entry : all_trees()) {
        const bool goes =
            entry.tree.parent_path() == folder && how.without_trees.contains(entry.name());
        if (!goes && uses_branch(entry.git_dir, branch))
            return fmt::format("It is checked out in {}.", entry.tree.string());
    }
    return {};
}

/// Another branch that contains the commit; empty if there is none.
asio::awaitable<std::string> Repository::Impl::holder_of(std::string ref, std::string commit,
                                                         BranchRemovalOptions how)
{
    const auto listing =
        co_await git(bare, "for-each-ref", "--contains", commit, format, std::string(heads));
    if (!listing.ok()) co_return std::string();
    for (const auto& other : refs_in(listing.output)) {
        // A symbolic ref, perhaps to this very branch, does not hold the commits.
        if (other.name == ref || !other.leads_to.empty()) continue;
        std::string name(other.name.substr(heads.size()));
        const bool counts = !(how.by_users && name.starts_with(own_branches)) &&
                            !how.without_branches.contains(name);
        if (counts) co_return name;
    }
    co_return std::string();
}

asio::awaitable<Problem> Repository::Impl::drop(SalvageInfo salvage)
{
    co_return co_await drop_ref(std::move(salvage.ref), std::move(salvage.commit));
}

asio::awaitable<Problem> Repository::Impl::drop_ref(std::string ref, std::string commit)
{
    const auto done = co_await git(bare, "update-ref", "--no-deref", "-d", ref, commit);
    if (done.ok()) co_return Problem();
    co_return fmt::format("{} cannot be dropped: {}", shown(ref), reason_of(done));
}

}  // namespace autoexec::git
