#include "git/merges.hpp"
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

asio::awaitable<bool> contains_both(Repository& repository, std::string commit, std::string one,
                                    std::string other)
{
    const bool first = co_await repository.contains(commit, std::move(one));
    if (!first) co_return false;
    co_return co_await repository.contains(std::move(commit), std::move(other));
}

asio::awaitable<Problem> begin_merge(Repository& repository, Entry entry, std::string ours,
                                     std::string theirs, std::string message)
{
    const auto head = co_await repository.head_of(entry.context());
    const auto sides = merge_heads(entry);
    const bool same_merge = head.commit == ours && sides == Words(1, theirs);
    if (same_merge) co_return Problem();
    const bool resolved =
        sides.empty() && (co_await contains_both(repository, head.commit, ours, theirs));
    if (resolved) co_return Problem();
    const auto state = co_await changes_in(repository.git, entry.context());
    if (head.commit != ours || !state.ok() || !state.output.empty())
        co_return fmt::format("{} contains work other than this merge.", entry.tree.string());

    const auto done =
        co_await repository.git(entry.context(), "merge", "--no-commit", "--no-ff", "--no-stat",
                                "--no-verify-signatures", "-m", message, theirs);
    if (merge_heads(entry) == Words(1, theirs)) co_return Problem();
    co_return fmt::format("The merge cannot be started in {}: {}", entry.tree.string(),
                          reason_of(done));
}

asio::awaitable<Problem> unresolved(Repository& repository, Entry entry)
{
    const auto status = co_await changes_in(repository.git, entry.context());
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

}  // namespace

asio::awaitable<NewTree> open_conflict(Repository& repository, std::string name, std::string ours,
                                       std::string theirs, std::string message)
{
    NewTree made;
    const auto [left, right] =
        co_await resolve_both(repository, std::move(ours), std::move(theirs), made.problem);
    if (!made.problem.empty()) co_return made;
    made = co_await add_tree(repository, std::move(name), left, true);
    if (!made.problem.empty()) co_return made;
    const auto entry = find_entry(repository.common, made.path);
    if (!entry) made.problem = fmt::format("The worktree {} is missing.", made.path.string());
    if (entry)
        made.problem = co_await begin_merge(repository, *entry, left, right, std::move(message));
    // Files of an aborted merge would be taken for a person's work.
    if (entry && !made.problem.empty() && !made.reused)
        co_await remove_new_tree(repository, made.path);
    co_return made;
}

asio::awaitable<Commit> resolved_conflict(Repository& repository, std::string name,
                                          std::string ours, std::string theirs)
{
    Commit resolved;
    const auto path = repository.trees_folder() / name;
    const auto entry = find_entry(repository.common, path);
    const auto [left, right] =
        co_await resolve_both(repository, std::move(ours), std::move(theirs), resolved.problem);
    if (!resolved.problem.empty()) co_return resolved;
    if (!entry || entry->missing()) {
        // Commits that were made there stay on their branch.
        const auto tip = co_await repository.tip_of(std::string(own_branches).append(name));
        const bool holds = co_await contains_both(repository, tip, left, right);
        if (holds) resolved.id = tip;
        if (!holds) resolved.problem = fmt::format("The worktree {} is missing.", path.string());
        co_return resolved;
    }

    resolved.problem = co_await unresolved(repository, *entry);
    const auto head = co_await repository.head_of(entry->context());
    const bool holds_both = co_await contains_both(repository, head.commit, left, right);
    if (resolved.problem.empty() && !holds_both)
        resolved.problem = fmt::format(
            "The commit checked out in {} does not contain both sides of the merge ({} and {}).",
            path.string(), left.substr(0, 12), right.substr(0, 12));
    if (resolved.problem.empty()) resolved.id = head.commit;
    co_return resolved;
}

}  // namespace autoexec::git
