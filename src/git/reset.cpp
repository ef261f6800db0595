#include "git/nested.hpp"
#include "git/repository_impl.hpp"
#include "git/unfinished.hpp"

#include <fmt/format.h>

#include <system_error>
#include <utility>

namespace autoexec::git {
namespace {

namespace fs = std::filesystem;

bool is_taken(const fs::path& path)
{
    std::error_code ec;
    const auto status = fs::symlink_status(path, ec);
    if (ec == std::errc::not_a_directory) return true;  // a file in the place of a folder
    return fs::exists(status) && !(fs::is_directory(status) && fs::is_empty(path, ec));
}

}  // namespace

asio::awaitable<Salvage> Repository::Impl::reset(fs::path tree, std::string branch,
                                                 std::string commit, std::string reason)
{
    Salvage saved;
    const auto entry = find_entry(common, tree);
    const auto target = co_await resolve(std::move(commit));
    saved.problem = target.problem;
    if (!entry || entry->missing())
        saved.problem =
            fmt::format("{} is not a worktree of this repository.", shown(tree.string()));
    else if (!link_to_entry(*entry))
        saved.problem =
            fmt::format("{} has become a separate repository. Move it away.", entry->tree.string());
    if (saved.problem.empty()) saved.problem = branch_elsewhere(*entry, branch);
    if (saved.problem.empty()) saved.problem = co_await work_in_submodules(git, *entry);
    if (!saved.problem.empty()) co_return saved;

    const auto tip = co_await tip_of(branch);
    RemovalScope leaving;
    leaving.branch = branch;
    leaving.commit = target.id;
    leaving.also.push_back(tip);
    SalvageOptions how;
    how.reason = std::move(reason);
    Snapshot snapshot;
    saved = co_await save_all(*entry, std::move(how), std::move(leaving), snapshot);
    if (saved.problem.empty())
        saved.problem = co_await replace_files(*entry, std::move(snapshot), target.id);
    if (saved.problem.empty() && tip != target.id)
        saved.problem = co_await move_branch(branch, target.id, tip);
    if (saved.problem.empty()) saved.problem = co_await return_to(*entry, std::move(branch));
    co_return saved;
}

Problem Repository::Impl::branch_elsewhere(const Entry& entry, const std::string& branch) const
{
    for (const auto& other : all_trees())
        if (other.git_dir != entry.git_dir && uses_branch(other.git_dir, branch))
            return fmt::format("The branch '{}' is checked out in {}.", shown(branch),
                               shown(other.tree.string()));
    return {};
}

// Only saved files are removed: ignored ones stay, and a file written since then ends the reset.
asio::awaitable<Problem> Repository::Impl::replace_files(Entry entry, Snapshot snapshot,
                                                         std::string commit)
{
    const auto obstacle = co_await ignored_in_the_way(entry, snapshot.files, commit);
    if (!obstacle.empty())
        co_return fmt::format(
            "'{}' in {} is ignored by git, so it cannot be saved, and it blocks a file of {}. Move "
            "it away.",
            shown(obstacle), entry.tree.string(), commit.substr(0, 12));
    co_await wait_for_index(entry);
    if (!snapshot.fresh->install(entry))
        co_return fmt::format("The index of {} cannot be written.", entry.tree.string());
    const auto done =
        co_await git(entry.context(), "read-tree", "-m", "-u", snapshot.files, commit);
    if (done.ok()) co_return Problem();
    co_return fmt::format("The files of {} cannot be changed: {}", entry.tree.string(),
                          reason_of(done));
}

asio::awaitable<std::string> Repository::Impl::ignored_in_the_way(Entry entry, std::string files,
                                                                  std::string commit)
{
    const auto added = co_await git(bare, "diff-tree", "-r", "-z", "--name-only", "--diff-filter=A",
                                    files, commit);
    for (const auto path : split_nul(added.output))
        if (is_taken(entry.tree / path)) co_return std::string(path);
    co_return std::string();
}

asio::awaitable<Problem> Repository::Impl::return_to(Entry entry, std::string branch)
{
    co_await end_unfinished(git, entry);
    const auto attached =
        co_await git(entry.context(), "symbolic-ref", "-m", "autoexec", "HEAD", branch_ref(branch));
    if (!attached.ok()) co_return reason_of(attached);
    (void)co_await bring_included(entry);
    co_return Problem();
}

// A running git needs the lock only briefly; a lock that stays belongs to a dead one.
asio::awaitable<void> Repository::Impl::wait_for_index(Entry entry)
{
    const auto file = entry.git_dir / "index.lock";
    const auto timer = options.clock->make_timer(co_await asio::this_coro::executor);
    std::error_code ec;
    for (int tries = 0; tries < max_lock_tries && fs::exists(file, ec); ++tries)
        co_await timer->wait_until(options.clock->now() + lock_pause);
    fs::remove(file, ec);
}

}  // namespace autoexec::git
