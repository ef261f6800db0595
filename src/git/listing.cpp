#include "files/safe_files.hpp"
#include "git/submodules.hpp"
#include "git/worktrees.hpp"
#include "git_files/git_dir.hpp"
#include "handoff/claims.hpp"
#include "text/text.hpp"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <system_error>

namespace autoexec::git {
namespace {

namespace fs = std::filesystem;
using std::chrono::system_clock;

constexpr std::size_t max_listed_state = 4096;

system_clock::time_point changed_at(const fs::path& path)
{
    struct stat info {};
    if (::stat(path.c_str(), &info) != 0) return {};
    return system_clock::from_time_t(info.st_mtim.tv_sec);
}

// Files that change when the tree is used.
system_clock::time_point last_used(const Entry& entry)
{
    auto latest = changed_at(entry.tree);
    for (const auto* const name : {"index", "HEAD", "logs/HEAD", "gitdir", "autoexec/claims"})
        latest = std::max(latest, changed_at(entry.git_dir / name));
    return latest;
}

bool leads_elsewhere(const Entry& entry)
{
    error_code shortage;
    const auto found = git_files::find_tree(entry.tree, shortage);
    return !shortage && !(found && found->git_dir == entry.git_dir);
}

bool is_busy(const fs::path& tree)
{
    const files::UniqueFd fd(::open(tree.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    return fd && handoff::executor_holds_lock(fd.get(), tree);
}

asio::awaitable<TreeInfo> describe(Repository& repository, Entry entry)
{
    TreeInfo info;
    info.path = entry.tree;
    info.name = entry.name();
    info.branch = branch_of(entry.git_dir);
    info.missing = entry.missing();
    info.run_id = run_of(entry);
    info.last_used = last_used(entry);
    const auto head = co_await repository.head_of(entry.context());
    info.head = head.commit;
    if (info.missing) co_return info;
    info.busy = is_busy(entry.tree);
    info.replaced = leads_elsewhere(entry);
    const auto status = co_await changes_in(repository.git, entry.context());
    // A tree that git cannot read is not clean.
    info.dirty = entry.has_index() && (!status.ok() || !status.output.empty());
    if (entry.has_index() && !info.dirty)
        info.dirty = !(co_await work_in_submodules(repository.git, entry)).empty();
    co_return info;
}

}  // namespace

asio::awaitable<std::vector<TreeInfo>> list_trees(Repository& repository)
{
    std::error_code ec;
    const auto folder = fs::weakly_canonical(repository.trees_folder(), ec);
    std::vector<TreeInfo> found;
    for (const auto& entry : entries_of(repository.common))
        if (entry.tree.parent_path() == folder)
            found.push_back(co_await describe(repository, entry));
    std::sort(found.begin(), found.end(),
              [](const auto& a, const auto& b) { return a.name < b.name; });
    co_return found;
}

asio::awaitable<std::string> state_of(Repository& repository, fs::path tree)
{
    auto found = find_entry(repository.common, tree);
    std::error_code ec;
    const auto& main = repository.main;
    if (!found && main && fs::equivalent(main->tree, tree, ec)) found = main;
    if (!found || found->missing()) co_return std::string();
    const auto status = co_await repository.git(found->context(), "status", "--short", "--branch",
                                                "--ignore-submodules=dirty");
    if (!status.ok()) co_return std::string();
    co_return text::valid_utf8(status.output.substr(0, max_listed_state));
}

}  // namespace autoexec::git
