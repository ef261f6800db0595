#include "git/unfinished.hpp"

#include <algorithm>
#include <array>
#include <set>
#include <system_error>
#include <utility>

namespace autoexec::git {
namespace {

// A call takes a limited number of arguments, and older commits were checked earlier.
constexpr std::size_t max_commits = 8'000;

constexpr std::array<std::pair<const char*, const char*>, 6> signs{{
    {"MERGE_HEAD", "merge"},
    {"CHERRY_PICK_HEAD", "cherry-pick"},
    {"REVERT_HEAD", "revert"},
    {"sequencer", "cherry-pick"},
    {"rebase-merge", "rebase"},
    {"rebase-apply", "rebase"},
}};

constexpr std::array<const char*, 14> commit_files{
    "MERGE_HEAD",
    "MERGE_AUTOSTASH",
    "CHERRY_PICK_HEAD",
    "REVERT_HEAD",
    "REBASE_HEAD",
    "sequencer/head",
    "sequencer/abort-safety",
    "rebase-merge/orig-head",
    "rebase-merge/onto",
    "rebase-merge/autostash",
    "rebase-merge/stopped-sha",
    "rebase-merge/amend",
    "rebase-apply/orig-head",
    "rebase-apply/autostash",
};

// Collects each word that is an object id, except the null id.
void collect(std::string_view text, Words& ids)
{
    while (!text.empty()) {
        const auto end = std::min(text.find_first_of(" \t\n"), text.size());
        const auto word = text.substr(0, end);
        if (is_object_id(word) && word.find_first_not_of('0') != word.npos) ids.emplace_back(word);
        text.remove_prefix(std::min(end + 1, text.size()));
    }
}

void collect_file(const fs::path& file, Words& ids)
{
    const auto text = read_git_file(file);
    collect(text, ids);
}

// `old new who when<tab>what` on each line.
void collect_reflog(const fs::path& file, Words& ids)
{
    const auto text = read_git_file(file);
    Words found;
    for (std::string_view rest = text; !rest.empty();) {
        const auto end = std::min(rest.find('\n'), rest.size());
        const auto line = rest.substr(0, end);
        const auto first = std::min(line.find(' '), line.size());
        collect(line.substr(0, std::min(line.find(' ', first + 1), line.size())), found);
        rest.remove_prefix(std::min(end + 1, rest.size()));
    }
    ids.insert(ids.end(), found.rbegin(), found.rend());
}

template <class Collect>
void collect_folder(const fs::path& folder, Collect one, Words& ids)
{
    std::error_code ec;
    for (fs::recursive_directory_iterator at(folder, ec), end; !ec && at != end; at.increment(ec))
        if (at->is_regular_file(ec)) one(at->path(), ids);
}

Words without_repetition(Words ids)
{
    std::set<std::string> seen;
    std::erase_if(ids, [&](const auto& id) { return !seen.insert(id).second; });
    if (ids.size() > max_commits) ids.resize(max_commits);
    return ids;
}

}  // namespace

Words unfinished(const Entry& entry)
{
    Words found;
    for (const auto& [name, what] : signs)
        if (has_path(entry.git_dir / name) &&
            std::find(found.begin(), found.end(), what) == found.end())
            found.emplace_back(what);
    return found;
}

Words commits_of_unfinished(const Entry& entry)
{
    Words ids;
    for (const auto* const name : commit_files) collect_file(entry.git_dir / name, ids);
    return without_repetition(std::move(ids));
}

Words merge_heads(const Entry& entry)
{
    Words ids;
    collect_file(entry.git_dir / "MERGE_HEAD", ids);
    return ids;
}

Words commits_known_to(const Entry& entry)
{
    auto ids = commits_of_unfinished(entry);
    collect_file(entry.git_dir / "HEAD", ids);
    collect_file(entry.git_dir / "ORIG_HEAD", ids);
    collect_folder(entry.git_dir / "refs", collect_file, ids);
    collect_folder(entry.git_dir / "logs", collect_reflog, ids);
    return without_repetition(std::move(ids));
}

Words reflog_of(const fs::path& common_dir, std::string_view branch)
{
    Words ids;
    collect_reflog(common_dir / "logs" / branch_ref(branch), ids);
    return without_repetition(std::move(ids));
}

asio::awaitable<void> end_unfinished(const Git& git, Entry entry)
{
    // Each of them may hold an automatic stash.
    if (has_path(entry.git_dir / "rebase-merge") ||
        has_path(entry.git_dir / "rebase-apply/rebasing"))
        (void)co_await git(entry.context(), "rebase", "--quit");
    if (has_path(entry.git_dir / "rebase-apply"))
        (void)co_await git(entry.context(), "am", "--quit");
    if (has_path(entry.git_dir / "MERGE_HEAD"))
        (void)co_await git(entry.context(), "merge", "--quit");
    const auto left = unfinished(entry);
    if (!left.empty()) (void)co_await git(entry.context(), "cherry-pick", "--quit");
}

}  // namespace autoexec::git
