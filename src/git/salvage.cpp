#include "git/nested.hpp"
#include "git/unfinished.hpp"
#include "git/worktrees.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>
#include <utility>

namespace autoexec::git {
namespace {

// From `rev-list --parents`: commits that are no other commit's parent.
Words ends_of(std::string_view listing)
{
    Words commits;
    std::set<std::string_view> parents;
    for (const auto line : split_at('\n', listing)) {
        const auto words = split_at(' ', line);
        commits.emplace_back(words.front());
        parents.insert(words.begin() + 1, words.end());
    }
    std::erase_if(commits, [&](const auto& commit) { return parents.contains(commit); });
    return commits;
}

// From a raw diff (`:old-mode new-mode old-id new-id status`, then the path): entries of the first
// side that the second one lacks or has differently.
std::vector<std::string_view> only_in_first(std::string_view raw)
{
    std::vector<std::string_view> paths;
    const auto parts = split_nul(raw);
    for (std::size_t i = 0; i + 1 < parts.size(); i += 2)
        if (!parts[i].starts_with(":000000")) paths.push_back(parts[i + 1]);
    return paths;
}

// The commits that are lost with what is removed from a tree.
asio::awaitable<Words> lost_tips(Repository& repository, Entry entry, RemovalScope leaving,
                                 std::string head)
{
    Words kept;
    auto candidates = leaving.entry ? commits_known_to(entry) : commits_of_unfinished(entry);
    candidates.insert(candidates.end(), leaving.also.begin(), leaving.also.end());
    candidates.push_back(std::move(head));
    std::erase(candidates, "");
    if (!leaving.commit.empty()) kept.push_back(leaving.commit);
    for (const auto& branch :
         {std::string(own_branches) + entry.name(), branch_of(entry.git_dir)}) {
        if (!leaving.entry) break;
        const auto known = reflog_of(repository.common, branch);
        kept.insert(kept.end(), known.begin(), known.end());
    }
    co_return co_await lost_commits(repository, std::move(candidates), std::move(kept),
                                    leaving.branch);
}

// Sets the ref of a saved commit.
asio::awaitable<void> name_salvage(Repository& repository, std::string tree, Salvage& saved)
{
    constexpr int max_tries = 20;
    ProgramOutput output;
    for (int tries = 0; tries < max_tries && !output.ok(); ++tries) {
        auto& last = repository.last_salvage;
        const auto now =
            std::chrono::floor<std::chrono::microseconds>(repository.options.clock->system_now());
        last = std::max(now, last + std::chrono::microseconds(1));
        saved.ref = salvage_ref(branch_part(tree), last);
        output =
            co_await repository.run("update-ref", "-m", "autoexec", saved.ref, saved.commit, "");
    }
    if (output.ok()) co_return;
    saved.problem = reason_of(output);
    saved.ref.clear();
    saved.commit.clear();
}

asio::awaitable<Problem> put_in_place(Repository& repository, Entry entry, std::string base,
                                      std::string commit, std::string index)
{
    // In a sparse checkout, changed files outside the sparse part are restored, too.
    const auto written = co_await repository.git(entry.context(), "-c", "core.sparseCheckout=false",
                                                 "read-tree", "-m", "-u", base, commit);
    if (!written.ok()) co_return reason_of(written);
    const auto unstaged = co_await repository.git(entry.context(), "reset", "--quiet", "--mixed");
    if (!unstaged.ok() || index.empty()) co_return unstaged.ok() ? Problem() : reason_of(unstaged);
    const auto staged = co_await repository.git(entry.context(), "read-tree", "--reset", index);
    if (!staged.ok()) co_return reason_of(staged);
    (void)co_await repository.git(entry.context(), "update-index", "-q", "--refresh");
    co_return Problem();
}

}  // namespace

asio::awaitable<Words> lost_commits(Repository& repository, Words candidates, Words kept,
                                    std::string branch)
{
    if (candidates.empty()) co_return Words();
    Words words{"rev-list", "--ignore-missing", "--parents"};
    words.insert(words.end(), candidates.begin(), candidates.end());
    words.emplace_back("--not");
    if (!branch.empty()) words.push_back("--exclude=" + branch_ref(branch));
    words.emplace_back("--glob=*");
    std::move(kept.begin(), kept.end(), std::back_inserter(words));
    const auto listing = co_await repository.git.run(repository.bare, std::move(words));
    // Better too many commits, or a salvage that cannot be written, than a lost one.
    if (!listing.ok() || listing.cut) co_return candidates;
    co_return ends_of(listing.output);
}

asio::awaitable<bool> has_more(Repository& repository, std::string tree, Words others)
{
    if (tree.empty() || std::find(others.begin(), others.end(), tree) != others.end())
        co_return false;
    std::erase(others, "");
    std::map<std::string, std::size_t> missing;  // number of the other trees that have it, by path
    for (const auto& other : others) {
        const auto raw = co_await repository.run("diff-tree", "-r", "-z", "--raw", tree, other);
        if (!raw.ok() || raw.cut) co_return true;
        for (const auto path : only_in_first(raw.output)) ++missing[std::string(path)];
    }
    co_return others.empty() || std::any_of(missing.begin(), missing.end(), [&](const auto& path) {
        return path.second == others.size();
    });
}

SnapshotOptions snapshot_options(const Repository& repository, const SalvageOptions& options)
{
    return {options.include_ignored, repository.options.max_file_bytes};
}

Problem unsaved_files(const Repository& repository, const Entry& entry, const Words& repositories,
                      const std::vector<LargeFile>& large)
{
    if (!large.empty())
        return fmt::format(
            "In {}, {} cannot be saved, because that is {}. Move it away or raise the limit.",
            shown(entry.tree.string()), listed(large),
            limit_text(repository.options.max_file_bytes));
    return repositories.empty() ? Problem() : repository_within(entry, repositories.front());
}

asio::awaitable<Salvage> salvage(Repository& repository, fs::path tree, SalvageOptions how)
{
    Salvage saved;
    const auto entry = repository.find_tree(tree, saved.problem, true);
    if (!entry) co_return saved;
    Snapshot snapshot;
    co_return co_await save_all(repository, *entry, std::move(how), RemovalScope(), snapshot);
}

asio::awaitable<Salvage> save_all(Repository& repository, Entry entry, SalvageOptions how,
                                  RemovalScope leaving, Snapshot& snapshot)
{
    auto options = snapshot_options(repository, how);
    const auto before = co_await repository.head_of(entry.context());
    options.head_tree = before.tree;
    snapshot = co_await take_snapshot(repository.git, entry, std::move(options));
    Salvage nothing;
    nothing.problem = snapshot.problem;
    // If files are to be removed, unsaved ones prevent that. A reset does not touch large ones.
    const bool files_go = leaving.entry || !leaving.branch.empty();
    const auto large = leaving.entry ? snapshot.large : std::vector<LargeFile>();
    if (files_go) {
        auto unsaved = unsaved_files(repository, entry, snapshot.repositories, large);
        if (!unsaved.empty()) nothing.problem = std::move(unsaved);
    }
    if (!nothing.problem.empty()) co_return nothing;

    SalvageContents contents;
    contents.head = co_await repository.head_of(entry.context());  // a process may have committed
    contents.reason = std::move(how.reason);
    contents.sides = snapshot.sides;
    if (snapshot.index != contents.head.tree) contents.index = snapshot.index;
    contents.files = snapshot.files.empty() ? snapshot.index : snapshot.files;
    contents.tips = co_await lost_tips(repository, entry, std::move(leaving), contents.head.commit);
    bool dirty = contents.files != contents.head.tree || !contents.index.empty();
    // In a tree that was never filled, missing files are not deletions.
    if (dirty && !entry.has_index())
        dirty = co_await has_more(repository, contents.files, Words(1, contents.head.tree));
    if (!dirty && contents.sides.empty() && contents.tips.empty()) co_return nothing;
    co_return co_await save(repository, std::move(entry), std::move(contents));
}

asio::awaitable<Salvage> save(Repository& repository, Entry entry, SalvageContents contents)
{
    SalvageNote record;
    record.tree = entry.name();
    record.path = entry.tree.string();
    record.branch = contents.head.branch;
    record.head = contents.head.commit;
    record.reason = std::move(contents.reason);
    Words parents;
    if (!record.head.empty()) parents.push_back(record.head);
    const auto first = parents;

    Salvage saved;
    const auto add = [&](Commit commit) {
        if (saved.problem.empty()) saved.problem = std::move(commit.problem);
        parents.push_back(commit.id);
        return std::move(commit.id);
    };
    if (!contents.index.empty())
        record.index =
            add(co_await repository.commit_tree(contents.index, first, "Index of " + record.tree));
    if (!contents.sides.empty())
        add(co_await repository.commit_tree(contents.sides, first,
                                            "Sides of conflicts of " + record.tree));
    parents.insert(parents.end(), contents.tips.begin(), contents.tips.end());
    if (saved.problem.empty()) {
        const auto made = co_await repository.commit_tree(contents.files, std::move(parents),
                                                          salvage_message(record));
        saved.commit = made.id;
        saved.problem = made.problem;
    }
    if (saved.problem.empty()) co_await name_salvage(repository, record.tree, saved);
    if (!saved.problem.empty())
        saved.problem =
            fmt::format("The work in {} cannot be saved: {}", record.path, saved.problem);
    co_return saved;
}

asio::awaitable<std::vector<SalvageInfo>> list_salvages(Repository& repository)
{
    const auto refs = co_await repository.refs(std::string(salvage_refs), "%(contents)");
    std::vector<SalvageInfo> found;
    for (const auto& ref : refs) {
        SalvageInfo info;
        if (!read_salvage_ref(ref.name, info.tree, info.time)) continue;
        info.ref = ref.name;
        info.commit = ref.commit;
        info.reason = read_salvage_message(ref.detail).reason;
        found.push_back(std::move(info));
    }
    std::ranges::sort(found, std::greater(), &SalvageInfo::time);
    co_return found;
}

asio::awaitable<NewTree> restore(Repository& repository, std::string salvage, std::string name)
{
    NewTree made;
    std::optional<Ref> ref;
    if (salvage.starts_with(salvage_refs))
        ref = co_await repository.find_ref(salvage, "%(contents)");
    if (!ref) {
        made.problem = fmt::format("The salvage '{}' does not exist.", shown(salvage));
        co_return made;
    }
    const auto record = read_salvage_message(ref->detail);
    // A salvage of an unborn branch has no other base.
    const auto base = record.head.empty() ? ref->commit : record.head;
    made = co_await add_tree(repository, std::move(name), base);
    if (!made.problem.empty()) co_return made;
    const auto entry = repository.find_tree(made.path, made.problem);
    if (entry)
        made.problem = co_await put_in_place(repository, *entry, base, ref->commit, record.index);
    if (made.problem.empty()) co_return made;
    made.problem = fmt::format("{} could not be restored into {}: {}", ref->name,
                               made.path.string(), made.problem);
    co_await remove_new_tree(repository, made.path);
    co_await drop_new_branch(repository, made.branch, base);
    co_return made;
}

}  // namespace autoexec::git
