#include "git/include_file.hpp"

#include "files/safe_files.hpp"
#include "git/repository_impl.hpp"
#include "git_files/exclude.hpp"
#include "text/text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <system_error>

namespace autoexec::git {
namespace {

namespace fs = std::filesystem;

constexpr const char* include_name = ".worktreeinclude";

void record(const Entry& entry, const std::vector<std::string>& paths)
{
    auto all = included_paths(entry);
    all.insert(all.end(), paths.begin(), paths.end());
    std::sort(all.begin(), all.end());
    all.erase(std::unique(all.begin(), all.end()), all.end());
    std::string text;
    for (const auto& path : all) text.append(path).push_back('\0');
    error_code ec;
    const auto folder = files::make_folders(entry.records(), ec);
    if (folder)
        (void)files::replace_file(folder.get(), "included", text, 0600, Durability::process);
}

}  // namespace

asio::awaitable<std::vector<std::string>> Repository::Impl::bring_included(Entry entry)
{
    std::error_code ignored;
    const auto& top = project.work_tree;
    if (!fs::is_regular_file(top / include_name, ignored)) co_return std::vector<std::string>();
    // All untracked files, ignored or not.
    const auto listing = co_await git(project, "ls-files", "-z", "--others", "--ignored",
                                      "--exclude-from=" + (top / include_name).string());
    std::vector<std::string> warnings;
    if (!listing.ok()) {
        warnings.push_back(
            fmt::format("{} cannot be followed: {}", include_name, reason_of(listing)));
        co_return warnings;
    }
    std::vector<std::string> paths;
    for (const auto path : split_nul(listing.output)) paths.emplace_back(path);
    const IncludeLimits limits;
    auto included = co_await copy_included(top, entry.tree, std::move(paths), limits);
    warnings = std::move(included.warnings);
    if (included.paths.empty()) co_return warnings;
    record(entry, included.paths);
    const auto open = co_await not_ignored(entry, std::move(included.paths));
    if (open.empty()) co_return warnings;

    std::vector<std::string> patterns;
    for (const auto& path : open)
        if (text::printable(path) == path) patterns.push_back(git_files::exclude_pattern(path));
    const auto* const done = git_files::exclude(common, patterns)
                                 ? "they are now listed in .git/info/exclude"
                                 : "an agent could commit them";
    warnings.push_back(
        fmt::format("{} files named by {} are not ignored by git, for example '{}': {}.",
                    open.size(), include_name, shown(open.front()), done));
    co_return warnings;
}

asio::awaitable<Words> Repository::Impl::not_ignored(Entry entry, Words paths)
{
    const auto listing =
        co_await git(entry.context(), "ls-files", "-z", "--others", "--exclude-standard");
    std::sort(paths.begin(), paths.end());
    Words found;
    for (const auto path : split_nul(listing.output))
        if (std::binary_search(paths.begin(), paths.end(), path)) found.emplace_back(path);
    co_return found;
}

}  // namespace autoexec::git
