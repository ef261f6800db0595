#include "git/repository_impl.hpp"
#include "git/unfinished.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <utility>

namespace autoexec::git {
namespace {

constexpr std::size_t max_paths = 10;

// From `status --porcelain=v2 -z`: paths with conflicts, or all changed paths.
Words paths_in(std::string_view status, bool unmerged)
{
    constexpr int fields_of_unmerged = 10;
    Words paths;
    for (auto line : split_nul(status)) {
        if ((line.starts_with("u ")) != unmerged) continue;
        const int fields = unmerged ? fields_of_unmerged : line.starts_with("? ") ? 1 : 8;
        for (int i = 0; i < fields; ++i)
            line.remove_prefix(std::min(line.find(' ') + 1, line.size()));
        paths.push_back(shown(line));
    }
    return paths;
}

std::string some_of(Words paths)
{
    const auto count = paths.size();
    paths.resize(std::min(count, max_paths));
    auto text = fmt::format("{}", fmt::join(paths, ", "));
    return count > max_paths ? fmt::format("{} and {} more", text, count - max_paths) : text;
}

}  // namespace

asio::awaitable<NewTree> Repository::Impl::open_conflict(std::string name, std::string ours,
                                                         std::string theirs, std::string message)
{
    NewTree made;
    const auto left = co_await resolve(std::move(ours));
    const auto right = co_await resolve(std::move(theirs));
    made.problem = left.problem.empty() ? right.problem : left.problem;
    if (!made.problem.empty()) co_return made;
    made = co_await add_tree(std::move(name), left.id, true);
    if (!made.problem.empty()) co_return made;
    const auto entry = find_entry(common, made.path);
    if (!entry) made.problem = fmt::format("The worktree {} is missing.", made.path.string());
    if (entry) made.problem = co_await begin_merge(*entry, left.id, right.id, std::move(message));
    // Files of an aborted merge would be taken for a person's work.
    if (entry && !made.problem.empty() && !made.reused) {
        auto removing = remove_new_tree(made.path);
        co_await std::move(removing);
    }
    co_return made;
}

asio::awaitable<Problem> Repository::Impl::begin_merge(Entry entry, std::string ours,
                                                       std::string theirs, std::string message)
{
    const auto head = co_await head_of(entry.context());
    const auto sides = merge_heads(entry);
    const bool same_merge = head.commit == ours && sides == Words(1, theirs);
    if (same_merge) co_return Problem();
    const bool resolved = sides.empty() && (co_await contains_both(head.commit, ours, theirs));
    if (resolved) co_return Problem();
    const auto state =
        co_await git(entry.context(), "status", "--porcelain=v2", "-z", "--untracked-files=normal",
                     "--ignore-submodules=dirty", "--no-renames");
    if (head.commit != ours || !state.ok() || !state.output.empty())
        co_return fmt::format("{} contains work other than this merge.", entry.tree.string());

    const auto done = co_await git(entry.context(), "merge", "--no-commit", "--no-ff", "--no-stat",
                                   "--no-verify-signatures", "-m", message, theirs);
    if (merge_heads(entry) == Words(1, theirs)) co_return Problem();
    co_return fmt::format("The merge cannot be started in {}: {}", entry.tree.string(),
                          reason_of(done));
}

asio::awaitable<Commit> Repository::Impl::resolved_conflict(std::string name, std::string ours,
                                                            std::string theirs)
{
    Commit resolved;
    const auto path = trees_folder() / name;
    const auto entry = find_entry(common, path);
    const auto left = co_await resolve(std::move(ours));
    const auto right = co_await resolve(std::move(theirs));
    resolved.problem = left.problem.empty() ? right.problem : left.problem;
    if (!resolved.problem.empty()) co_return resolved;
    if (!entry || entry->missing()) {
        // Commits that were made there stay on their branch.
        const auto tip = co_await tip_of("workflow/" + name);
        const bool holds = co_await contains_both(tip, left.id, right.id);
        if (holds) resolved.id = tip;
        if (!holds) resolved.problem = fmt::format("The worktree {} is missing.", path.string());
        co_return resolved;
    }

    resolved.problem = co_await unresolved(*entry);
    const auto head = co_await head_of(entry->context());
    const bool holds_both = co_await contains_both(head.commit, left.id, right.id);
    if (resolved.problem.empty() && !holds_both)
        resolved.problem = fmt::format(
            "The commit checked out in {} does not contain both sides of the merge ({} and {}).",
            path.string(), left.id.substr(0, 12), right.id.substr(0, 12));
    if (resolved.problem.empty()) resolved.id = head.commit;
    co_return resolved;
}

asio::awaitable<Problem> Repository::Impl::unresolved(Entry entry)
{
    const auto status =
        co_await git(entry.context(), "status", "--porcelain=v2", "-z", "--untracked-files=normal",
                     "--ignore-submodules=dirty", "--no-renames");
    const auto path = entry.tree.string();
    if (!status.ok())
        co_return fmt::format("Git cannot read the state of {}: {}", path, reason_of(status));
    const auto conflicts = paths_in(status.output, true);
    if (!conflicts.empty())
        co_return fmt::format("{} has conflicts: {}. Resolve them, then: git add FILE; git commit",
                              path, some_of(conflicts));
    const auto begun = unfinished(entry);
    if (!begun.empty())
        co_return fmt::format(
            "The conflicts in {} are resolved, but the {} is not committed: git "
            "commit",
            path, begun.front());
    const auto changes = paths_in(status.output, false);
    if (!changes.empty())
        co_return fmt::format("{} has uncommitted changes: {}.", path, some_of(changes));
    co_return Problem();
}

}  // namespace autoexec::git
