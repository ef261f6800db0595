#include "git/nested.hpp"

#include "git/temporary_index.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <system_error>
#include <utility>
#include <vector>

namespace autoexec::git {
namespace {

namespace fs = std::filesystem;

constexpr int most_depth = 8;
constexpr std::string_view gitlink = "160000 ";

// `1 .M S.M. …`: a submodule, with changed or untracked files.
bool is_dirty_submodule(std::string_view line)
{
    return line.size() > 9 && line[0] != '?' && line[5] == 'S' &&
           (line[7] == 'M' || line[8] == 'U');
}

// After eight fields.
std::string_view path_of(std::string_view line)
{
    constexpr int fields = 8;
    for (int i = 0; i < fields; ++i) line.remove_prefix(std::min(line.find(' ') + 1, line.size()));
    return line;
}

bool is_repository(const fs::path& folder)
{
    std::error_code ec;
    return fs::exists(folder / "HEAD", ec) && fs::is_directory(folder / "objects", ec) &&
           fs::is_directory(folder / "refs", ec);
}

// A submodule's name may hold slashes, and each may have submodules of its own.
void find_repositories(const fs::path& folder, int depth, std::vector<fs::path>& found)
{
    if (depth == 0) return;
    const bool is_one = is_repository(folder);
    if (is_one) found.push_back(folder);
    std::error_code ec;
    const auto inner = is_one ? folder / "modules" : folder;
    for (fs::directory_iterator at(inner, ec), end; !ec && at != end; at.increment(ec))
        if (at->is_directory(ec) && !at->is_symlink(ec))
            find_repositories(at->path(), depth - 1, found);
}

// Repositories that stand within the tree as what the index calls submodules.
asio::awaitable<std::vector<fs::path>> repositories_within(const Git& git, Entry entry)
{
    std::vector<fs::path> found;
    const auto listing = co_await git(entry.place(), "ls-files", "-s", "-z");
    for (const auto line : split_nul(listing.output)) {
        if (!line.starts_with(gitlink)) continue;
        const auto folder = entry.tree / line.substr(line.find('\t') + 1) / ".git";
        if (is_repository(folder)) found.push_back(folder);
    }
    co_return found;
}

}  // namespace

asio::awaitable<std::string> work_in_submodules(const Git& git, Entry entry)
{
    const Words words{"status",
                      "--porcelain=v2",
                      "-z",
                      "--untracked-files=normal",
                      "--ignore-submodules=none",
                      "--no-renames"};
    auto status = co_await git.run(entry.place(), words);
    const TemporaryIndex index(entry);
    if (!status.ok()) {  // an index that can't be read
        const auto place = entry.place().with_index(index.file());
        (void)co_await git(place, "read-tree", "HEAD");
        status = co_await git.run(place, words);
    }
    if (!status.ok())
        co_return fmt::format("Git can't tell what was changed in {}: {}", entry.tree.string(),
                              reason_of(status));
    for (const auto line : split_nul(status.output))
        if (is_dirty_submodule(line))
            co_return fmt::format(
                "The submodule '{}' in {} has changes that are not committed, and they can't be "
                "saved from here. Commit and push them, or discard them.",
                shown(path_of(line)), entry.tree.string());
    co_return std::string();
}

asio::awaitable<std::string> commits_in_submodules(const Git& git, Entry entry)
{
    if (is_repository(entry.tree / ".git"))
        co_return fmt::format("{} has become a repository of its own. Move it away.",
                              entry.tree.string());
    auto found = co_await repositories_within(git, entry);
    find_repositories(entry.git_dir / "modules", most_depth, found);
    for (const auto& folder : found) {
        const Place place(folder, folder);
        const auto commits =
            co_await git(place, "rev-list", "--max-count=1", "--all", "--not", "--remotes");
        if (!commits.ok() || !commits.output.empty())
            co_return fmt::format(
                "A submodule of {} has commits that none of its remotes has; they are in {}. Push "
                "them first.",
                entry.tree.string(), shown(folder.string()));
    }
    co_return std::string();
}

std::string repository_within(const Entry& entry, std::string_view path)
{
    return fmt::format("'{}' in {} is a repository of its own, which can't be saved. Move it away.",
                       shown(path), entry.tree.string());
}

}  // namespace autoexec::git
