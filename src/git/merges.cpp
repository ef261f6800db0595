#include "git/merges.hpp"

#include "files/safe_files.hpp"
#include "git/unfinished.hpp"
#include "text/text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <system_error>
#include <utility>

namespace autoexec::git {
namespace {

constexpr std::string_view conflict_sign = "CONFLICT (";

// The message (`CONFLICT (add/add): Merge conflict in f`) is more specific than its type.
std::string kind_in(std::string_view type, std::string_view message)
{
    for (const auto text : {message, type}) {
        const auto begin = text.find(conflict_sign);
        if (begin == std::string_view::npos) continue;
        const auto rest = text.substr(begin + conflict_sign.size());
        return std::string(rest.substr(0, rest.find(')')));
    }
    return {};
}

Conflict& conflict_of(std::vector<Conflict>& conflicts, std::string_view path)
{
    const auto found = std::find_if(conflicts.begin(), conflicts.end(),
                                    [&](const auto& known) { return known.path == path; });
    if (found != conflicts.end()) return *found;
    conflicts.push_back({std::string(path), {}});
    return conflicts.back();
}

// Format of `merge-tree -z`: the tree; `mode id stage<tab>path` of each unmerged entry; an empty
// part; then, for each message, the number of its paths, the paths, a type and a text.
std::vector<Conflict> conflicts_in(std::string_view output)
{
    std::vector<Conflict> conflicts;
    const auto parts = split_nul(output);
    std::size_t at = 1;
    for (; at < parts.size() && !parts[at].empty(); ++at)
        conflict_of(conflicts, parts[at].substr(parts[at].find('\t') + 1));
    for (++at; at + 2 < parts.size();) {
        const auto count = static_cast<std::size_t>(std::atol(std::string(parts[at]).c_str()));
        const auto paths = at + 1;
        if (count > parts.size() || paths + count + 1 >= parts.size()) break;
        const auto kind = kind_in(parts[paths + count], parts[paths + count + 1]);
        for (std::size_t i = paths; i < paths + count && !kind.empty(); ++i) {
            auto& conflict = conflict_of(conflicts, parts[i]);
            if (conflict.kind.empty()) conflict.kind = kind;
        }
        at = paths + count + 2;
    }
    for (auto& conflict : conflicts)
        if (conflict.kind.empty()) conflict.kind = "content";
    return conflicts;
}

Problem cannot_merge(const std::string& left, const std::string& right, std::string_view reason)
{
    return fmt::format("{} and {} cannot be merged: {}", left.substr(0, 12), right.substr(0, 12),
                       reason);
}

/// Which of two commits has commits that the other one lacks.
struct Relation {
    bool left_is_ahead = false;
    bool right_is_ahead = false;
    long long younger = 0;  ///< The later of their two dates, if both are ahead.
    Problem problem;        ///< They have no common commit …
};

// `<date> <sign><id>` for each commit that only one side has, and for those where both meet.
asio::awaitable<Relation> relation_of(const Repository& repository, std::string left,
                                      std::string right)
{
    Relation relation;
    bool they_meet = false;
    const auto listing = co_await repository.run("rev-list", "--timestamp", "--left-right",
                                                 "--boundary", left + "..." + right);
    for (const auto line : split_at('\n', listing.output)) {
        const auto at = std::min(line.find(' ') + 1, line.size());
        const auto sign = line.substr(at, 1);
        they_meet |= sign == "-";
        relation.left_is_ahead |= sign == "<";
        relation.right_is_ahead |= sign == ">";
        if (line.ends_with(left) || line.ends_with(right))
            relation.younger = std::max(relation.younger, std::atoll(line.data()));
    }
    if (!listing.ok() || listing.cut)
        relation.problem = cannot_merge(left, right, reason_of(listing));
    else if (!they_meet)
        relation.problem = fmt::format("{} and {} have no common commit, so they cannot be merged.",
                                       left.substr(0, 12), right.substr(0, 12));
    co_return relation;
}

/// A folder with only the `.gitattributes` files of a commit. Git reads attributes (`merge=union`,
/// `-merge` …) from a work tree; a merge without a checkout has none, and the user's checkout may
/// have different ones. Removed on destruction.
class AttributesFolder {
public:
    explicit AttributesFolder(Repository& repository)
        : repository_(repository),
          context_(repository.common, repository.common / "autoexec" /
                                          std::string(attributes_prefix).append(text::new_uuid()))
    {
        error_code ignored;  // git reports a missing commit
        (void)files::make_folders(context_.work_tree, ignored);
    }
    ~AttributesFolder()
    {
        std::error_code ignored;
        fs::remove_all(context_.work_tree, ignored);
    }
    AttributesFolder(const AttributesFolder&) = delete;
    AttributesFolder& operator=(const AttributesFolder&) = delete;

    /// Best effort: unreadable files are skipped.
    asio::awaitable<void> fill(std::string commit)
    {
        constexpr const char* name = ".gitattributes";
        // A bound: a repository with more attribute files loses only merge drivers.
        constexpr std::size_t max_files = 200;
        if (repository_.known.is_plain(commit)) co_return;
        const auto listing = co_await repository_.git(context_, "ls-tree", "-r", "-z",
                                                      "--name-only", "--full-tree", commit);
        std::size_t count = 0;
        for (const auto path : split_nul(listing.output)) {
            const fs::path file = path;
            if (file.filename() != name || ++count > max_files) continue;
            const auto content = co_await repository_.git(context_, "cat-file", "blob",
                                                          commit + ":" + std::string(path));
            error_code ec;
            const auto folder = files::make_folders(context_.work_tree / file.parent_path(), ec);
            if (content.ok() && folder)
                (void)files::replace_file(folder.get(), name, content.output, 0600,
                                          Durability::none);
        }
        if (listing.ok() && !listing.cut && count == 0) repository_.known.set_plain(commit);
    }

    /// The repository with this folder as its work tree.
    [[nodiscard]] const GitContext& context() const { return context_; }

private:
    Repository& repository_;
    GitContext context_;
};

// Each of the two has commits that the other one lacks.
asio::awaitable<Merged> merge_sides(Repository& repository, std::string left, std::string right,
                                    std::string message, std::string date)
{
    Merged merged;
    AttributesFolder attributes(repository);
    co_await attributes.fill(left);
    const auto tree = co_await repository.git(attributes.context(), "merge-tree", "--write-tree",
                                              "-z", "--messages", left, right);
    if (tree.exit.exit_code == 1) merged.conflicts = conflicts_in(tree.output);
    if (!tree.ok() && merged.conflicts.empty())
        merged.problem = cannot_merge(left, right, reason_of(tree));
    if (!tree.ok()) co_return merged;

    Words parents{left, right};
    const auto parts = split_nul(tree.output);
    std::string result(parts.empty() ? std::string_view() : parts.front());
    auto made = co_await repository.commit_tree(std::move(result), std::move(parents),
                                                std::move(message), std::move(date));
    // A clean merge has no file name that both sides lack.
    if (repository.known.is_plain(left) && repository.known.is_plain(right))
        repository.known.set_plain(made.id);
    merged.commit = std::move(made.id);
    merged.problem = std::move(made.problem);
    co_return merged;
}

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

asio::awaitable<std::pair<std::string, std::string>> resolve_both(Repository& repository,
                                                                  std::string ours,
                                                                  std::string theirs,
                                                                  Problem& problem)
{
    auto left = co_await repository.resolve(std::move(ours));
    auto right = co_await repository.resolve(std::move(theirs));
    problem = left.problem.empty() ? right.problem : left.problem;
    co_return std::pair(std::move(left.id), std::move(right.id));
}

asio::awaitable<Merged> merge(Repository& repository, std::string ours, std::string theirs,
                              std::string message)
{
    Merged merged;
    const auto [left, right] =
        co_await resolve_both(repository, std::move(ours), std::move(theirs), merged.problem);
    if (!merged.problem.empty()) co_return merged;
    if (repository.known.descends(left, right)) merged.commit = left;
    if (repository.known.descends(right, left)) merged.commit = right;
    if (!merged.commit.empty()) co_return merged;
    const auto relation = co_await relation_of(repository, left, right);
    merged.problem = relation.problem;
    if (!merged.problem.empty()) co_return merged;
    if (!relation.left_is_ahead) merged.commit = right;
    if (!relation.right_is_ahead) merged.commit = left;
    if (!merged.commit.empty()) co_return merged;
    // Dated like the younger side, so the same two sides always give the same commit.
    auto date = relation.younger > 0 ? fmt::format("{} +0000", relation.younger) : std::string();
    co_return co_await merge_sides(repository, left, right, std::move(message), std::move(date));
}

asio::awaitable<Merged> merge_into(Repository& repository, std::string branch, std::string commit,
                                   std::string message)
{
    constexpr int max_tries = 10;
    for (int tries = 1;; ++tries) {
        Merged merged;
        const auto tip = co_await repository.tip_of(branch);
        if (tip.empty()) {
            merged.problem = fmt::format("The branch '{}' does not exist.", shown(branch));
            co_return merged;
        }
        merged = co_await merge(repository, tip, commit, message);
        if (merged.commit.empty() || merged.commit == tip) co_return merged;
        merged.problem = co_await advance(repository, branch, merged.commit, tip);
        if (merged.problem.empty()) co_return merged;
        merged.commit.clear();
        // Another process moved the branch: merge again with its new tip.
        const auto now = co_await repository.tip_of(branch);
        if (now == tip || tries == max_tries) co_return merged;
    }
}

asio::awaitable<Problem> advance(Repository& repository, std::string branch, std::string commit,
                                 std::string old)
{
    for (const auto& tree : repository.all_trees()) {
        if (!uses_branch(tree.git_dir, branch) || tree.missing()) continue;
        if (branch_of(tree.git_dir) != branch)
            co_return fmt::format("'{}' is being rebased in {}; finish or abort the rebase first.",
                                  shown(branch), shown(tree.tree.string()));
        if (!has_path(tree.tree / ".git"))
            co_return fmt::format("'{}' is checked out in an unknown place: {} is not a worktree.",
                                  shown(branch), shown(tree.tree.string()));
        const auto done =
            co_await repository.git(tree.context(), "merge", "--ff-only", "--quiet", "--no-stat",
                                    "--no-autostash", "--no-overwrite-ignore", commit);
        if (done.ok()) co_return Problem();
        co_return fmt::format("'{}' is checked out in {}, which cannot be updated: {}",
                              shown(branch), shown(tree.tree.string()), reason_of(done));
    }
    co_return co_await repository.move_branch(std::move(branch), std::move(commit), std::move(old));
}

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
