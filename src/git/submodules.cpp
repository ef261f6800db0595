#include "git/submodules.hpp"

#include "git/index.hpp"
#include "git/nested_repository.hpp"
#include "git/temporary_files.hpp"

#include <fmt/format.h>

#include <system_error>
#include <utility>
#include <vector>

namespace autoexec::git {
namespace {

namespace fs = std::filesystem;

constexpr int max_depth = 8;

// A submodule's name may contain slashes, and submodules can be nested.
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

// The index, or HEAD where the index cannot be read.
asio::awaitable<IndexFacts> read_index_or_head(const Git& git, Entry entry)
{
    auto facts = co_await read_index(git, entry.context(), entry.is_sparse());
    if (facts.readable()) co_return facts;
    const TemporaryIndex index(entry);
    const auto context = entry.context().with_index(index.file());
    (void)co_await git(context, "read-tree", "HEAD");
    co_return co_await read_index(git, context, entry.is_sparse());
}

/// Looks for changes in submodules, recursively.
class ChangeFinder {
public:
    ChangeFinder(const Git& git, Entry entry) : git_(git), entry_(std::move(entry)) {}

    asio::awaitable<std::string> search(fs::path tree, std::vector<IndexEntry> gitlinks, int depth)
    {
        for (const auto& link : gitlinks) {
            const auto folder = populated(tree, link.path);
            if (!folder) continue;
            if (depth == 0) co_return unknown(*folder, "they are nested too deeply");
            auto searching = search_in(*folder, depth);
            auto problem = co_await std::move(searching);
            if (!problem.empty()) co_return problem;
        }
        co_return std::string();
    }

private:
    asio::awaitable<std::string> search_in(fs::path folder, int depth)
    {
        const auto git_dir = nested_git_dir(folder);
        if (!git_dir) co_return unknown(folder, "its git directory cannot be found");
        const auto files = read_nested(*git_dir);
        const NestedView view(entry_, files);
        std::error_code ec;
        const bool sparse = fs::exists(files.git_dir / "info" / "sparse-checkout", ec);
        const auto facts = co_await read_index(git_, view.context(folder), sparse);
        if (!facts.readable() || !view.has_index())
            co_return unknown(folder, "its index cannot be read");
        if (facts.hides_changes) co_return unknown(folder, "its index hides some of its files");
        const auto status = co_await changes_in(git_, view.context(folder));
        if (!status.ok()) co_return unknown(folder, reason_of(status));
        if (!status.output.empty())
            co_return fmt::format(
                "The submodule '{}' in {} has uncommitted changes, which cannot be saved. Commit "
                "and push them, or discard them.",
                name_of(folder), entry_.tree.string());
        auto searching = search(folder, facts.gitlinks, depth - 1);
        co_return co_await std::move(searching);
    }

    [[nodiscard]] std::string name_of(const fs::path& folder) const
    {
        return shown(folder.lexically_relative(entry_.tree).string());
    }

    [[nodiscard]] std::string unknown(const fs::path& folder, std::string_view reason) const
    {
        return fmt::format("Changes in the submodule '{}' in {} cannot be determined: {}.",
                           name_of(folder), entry_.tree.string(), reason);
    }

    const Git& git_;
    Entry entry_;
};

}  // namespace

asio::awaitable<std::string> work_in_submodules(const Git& git, Entry entry)
{
    const auto facts = co_await read_index_or_head(git, entry);
    if (!facts.readable())
        co_return fmt::format("Changes in {} cannot be determined: {}", entry.tree.string(),
                              facts.problem);
    ChangeFinder finder(git, entry);
    auto searching = finder.search(entry.tree, facts.gitlinks, max_depth);
    co_return co_await std::move(searching);
}

asio::awaitable<std::string> commits_in_submodules(const Git& git, Entry entry)
{
    if (is_repository(entry.tree / ".git"))
        co_return fmt::format("{} has become a separate repository. Move it away.",
                              entry.tree.string());
    std::vector<fs::path> found;
    const auto facts = co_await read_index(git, entry.context(), entry.is_sparse());
    for (const auto& link : facts.gitlinks) {
        const auto folder = populated(entry.tree, link.path);
        if (folder && is_repository(*folder / ".git")) found.push_back(*folder / ".git");
    }
    find_repositories(entry.git_dir / "modules", max_depth, found);
    for (const auto& folder : found) {
        const NestedView view(entry, read_nested(folder));
        const auto commits = co_await git(view.context(), "rev-list", "--max-count=1", "--all",
                                          "--not", "--remotes");
        if (!commits.ok() || !commits.output.empty())
            co_return fmt::format("A submodule of {} has unpushed commits, in {}. Push them first.",
                                  entry.tree.string(), shown(folder.string()));
    }
    co_return std::string();
}

std::string repository_within(const Entry& entry, std::string_view path)
{
    return fmt::format("'{}' in {} is a separate repository, which cannot be saved. Move it away.",
                       shown(path), entry.tree.string());
}

}  // namespace autoexec::git
