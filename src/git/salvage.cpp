#include "git/nested.hpp"
#include "git/repository_impl.hpp"
#include "git/salvage_message.hpp"
#include "git/unfinished.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>
#include <utility>

namespace autoexec::git {
namespace {

constexpr int max_listed = 20;

// From `rev-list --parents`: commits that are no other commit's parent.
Words ends_of(std::string_view listing)
{
    std::vector<std::string> commits;
    std::set<std::string, std::less<>> parents;
    while (!listing.empty()) {
        const auto end = std::min(listing.find('\n'), listing.size());
        auto line = listing.substr(0, end);
        listing.remove_prefix(std::min(end + 1, listing.size()));
        for (bool first = true; !line.empty(); first = false) {
            const auto word = line.substr(0, std::min(line.find(' '), line.size()));
            line.remove_prefix(std::min(word.size() + 1, line.size()));
            if (first)
                commits.emplace_back(word);
            else
                parents.emplace(word);
        }
    }
    std::erase_if(commits, [&](const auto& commit) { return parents.count(commit) > 0; });
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

}  // namespace

asio::awaitable<Words> Repository::Impl::lost_commits(Words candidates, Words kept,
                                                      std::string branch)
{
    if (candidates.empty()) co_return Words();
    Words words{"rev-list", "--ignore-missing", "--parents"};
    words.insert(words.end(), candidates.begin(), candidates.end());
    words.emplace_back("--not");
    if (!branch.empty()) words.push_back("--exclude=" + branch_ref(branch));
    words.emplace_back("--glob=*");
    std::move(kept.begin(), kept.end(), std::back_inserter(words));
    const auto listing = co_await git.run(bare, std::move(words));
    // Better too many commits, or a salvage that cannot be written, than a lost one.
    if (!listing.ok() || listing.cut) co_return candidates;
    co_return ends_of(listing.output);
}

asio::awaitable<bool> Repository::Impl::has_more(std::string tree, Words others)
{
    if (tree.empty() || std::find(others.begin(), others.end(), tree) != others.end())
        co_return false;
    std::erase(others, "");
    std::map<std::string, std::size_t> missing;  // number of the other trees that have it, by path
    for (const auto& other : others) {
        const auto raw = co_await git(bare, "diff-tree", "-r", "-z", "--raw", tree, other);
        if (!raw.ok() || raw.cut) co_return true;
        for (const auto path : only_in_first(raw.output)) ++missing[std::string(path)];
    }
    co_return others.empty() || std::any_of(missing.begin(), missing.end(), [&](const auto& path) {
        return path.second == others.size();
    });
}

asio::awaitable<Salvage> Repository::Impl::salvage(std::filesystem::path tree, SalvageOptions how)
{
    Salvage saved;
    const auto entry = find_entry(common, tree);
    if (!entry) {
        saved.problem =
            fmt::format("{} is not a worktree of this repository.", shown(tree.string()));
        co_return saved;
    }
    Snapshot snapshot;
    co_return co_await save_all(*entry, std::move(how), RemovalScope(), snapshot);
}

asio::awaitable<Salvage> Repository::Impl::save_all(Entry entry, SalvageOptions how,
                                                    RemovalScope leaving, Snapshot& snapshot)
{
    SnapshotOptions all;
    all.include_ignored = how.include_ignored;
    all.max_file_bytes = options.max_file_bytes;
    snapshot = co_await take_snapshot(git, entry, all);
    Salvage nothing;
    nothing.problem = snapshot.problem;
    // If files are to be removed, unsaved ones prevent that.
    const bool files_go = leaving.entry || !leaving.branch.empty();
    if (files_go && !snapshot.repositories.empty())
        nothing.problem = repository_within(entry, snapshot.repositories.front());
    // A reset does not touch them.
    if (leaving.entry && !snapshot.large.empty())
        nothing.problem = too_large(entry, snapshot.large);
    if (!nothing.problem.empty()) co_return nothing;

    SalvageContents contents;
    contents.head = co_await head_of(entry.context());
    contents.reason = std::move(how.reason);
    contents.sides = snapshot.sides;
    if (snapshot.index != contents.head.tree) contents.index = snapshot.index;
    contents.files = snapshot.files.empty() ? snapshot.index : snapshot.files;
    contents.tips = co_await lost_tips(entry, std::move(leaving), contents.head.commit);
    bool dirty = contents.files != contents.head.tree || !contents.index.empty();
    // In a tree that was never filled, missing files are not deletions.
    if (dirty && !entry.has_index())
        dirty = co_await has_more(contents.files, Words(1, contents.head.tree));
    if (!dirty && contents.sides.empty() && contents.tips.empty()) co_return nothing;
    co_return co_await save(std::move(entry), std::move(contents));
}

asio::awaitable<Words> Repository::Impl::lost_tips(Entry entry, RemovalScope leaving,
                                                   std::string head)
{
    Words kept;
    auto candidates = leaving.entry ? commits_known_to(entry) : commits_of_unfinished(entry);
    candidates.insert(candidates.end(), leaving.also.begin(), leaving.also.end());
    candidates.push_back(std::move(head));
    std::erase(candidates, "");
    if (!leaving.commit.empty()) kept.push_back(leaving.commit);
    for (const auto& branch : {"workflow/" + entry.name(), branch_of(entry.git_dir)}) {
        if (!leaving.entry) break;
        const auto known = reflog_of(common, branch);
        kept.insert(kept.end(), known.begin(), known.end());
    }
    co_return co_await lost_commits(std::move(candidates), std::move(kept), leaving.branch);
}

asio::awaitable<Salvage> Repository::Impl::save(Entry entry, SalvageContents contents)
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
        record.index = add(co_await commit_tree(contents.index, first, "Index of " + record.tree));
    if (!contents.sides.empty())
        add(co_await commit_tree(contents.sides, first, "Sides of conflicts of " + record.tree));
    parents.insert(parents.end(), contents.tips.begin(), contents.tips.end());
    if (saved.problem.empty()) {
        const auto made =
            co_await commit_tree(contents.files, std::move(parents), salvage_message(record));
        saved.commit = made.id;
        saved.problem = made.problem;
    }
    if (saved.problem.empty()) co_await name_salvage(record.tree, saved);
    if (!saved.problem.empty())
        saved.problem =
            fmt::format("The work in {} cannot be saved: {}", record.path, saved.problem);
    co_return saved;
}

asio::awaitable<void> Repository::Impl::name_salvage(std::string tree, Salvage& saved)
{
    using namespace std::chrono;
    ProgramOutput output;
    for (int tries = 0; tries < max_listed && !output.ok(); ++tries) {
        const auto now = floor<microseconds>(options.clock->system_now()).time_since_epoch();
        last_salvage_us = std::max<std::int64_t>(now.count(), last_salvage_us + 1);
        saved.ref =
            salvage_ref(branch_part(tree), system_clock::time_point(microseconds(last_salvage_us)));
        output = co_await git(bare, "update-ref", "-m", "autoexec", saved.ref, saved.commit, "");
    }
    if (output.ok()) co_return;
    saved.problem = reason_of(output);
    saved.ref.clear();
    saved.commit.clear();
}

asio::awaitable<std::vector<SalvageInfo>> Repository::Impl::salvages()
{
    const auto listing =
        co_await git(bare, "for-each-ref", "--format=%(refname)%00%(objectname)%00%(contents)%00",
                     std::string(salvage_refs));
    std::vector<SalvageInfo> found;
    const auto parts = split_nul(listing.output);
    for (std::size_t i = 0; i + 2 < parts.size(); i += 3) {
        auto ref = parts[i];
        if (ref.starts_with('\n')) ref.remove_prefix(1);
        SalvageInfo info;
        if (!read_salvage_ref(ref, info.tree, info.time)) continue;
        info.ref = ref;
        info.commit = parts[i + 1];
        info.reason = read_salvage_message(parts[i + 2]).reason;
        found.push_back(std::move(info));
    }
    std::sort(found.begin(), found.end(),
              [](const auto& a, const auto& b) { return a.time > b.time; });
    co_return found;
}

}  // namespace autoexec::git
