#include "git/nested.hpp"
#include "git/unfinished.hpp"
#include "git/worktrees.hpp"

#include <fmt/format.h>

#include <system_error>
#include <utility>

namespace autoexec::git {
namespace {

asio::awaitable<std::string> ignored_in_the_way(Repository& repository, Entry entry,
                                                std::string files, std::string commit)
{
    const auto added = co_await repository.run("diff-tree", "-r", "-z", "--name-only",
                                               "--diff-filter=A", files, commit);
    for (const auto path : split_nul(added.output))
        if (is_taken(entry.tree / path)) co_return std::string(path);
    co_return std::string();
}

// Only saved files are removed: ignored ones stay, and a file written since then ends the reset.
asio::awaitable<Problem> replace_files(Repository& repository, Entry entry, Snapshot snapshot,
                                       std::string commit)
{
    const auto obstacle = co_await ignored_in_the_way(repository, entry, snapshot.files, commit);
    if (!obstacle.empty())
        co_return fmt::format(
            "'{}' in {} is ignored by git, so it cannot be saved, and it blocks a file of {}. Move "
            "it away.",
            shown(obstacle), entry.tree.string(), commit.substr(0, 12));
    // A running git needs the lock only briefly; a lock that stays belongs to a dead one.
    const auto lock = entry.git_dir / "index.lock";
    const auto is_free = [&lock] { return !is_taken(lock); };
    (void)co_await repository.wait_until(is_free);
    std::error_code ec;
    fs::remove(lock, ec);
    if (!snapshot.fresh->install(entry))
        co_return fmt::format("The index of {} cannot be written.", entry.tree.string());
    const auto done =
        co_await repository.git(entry.context(), "read-tree", "-m", "-u", snapshot.files, commit);
    if (done.ok()) co_return Problem();
    co_return fmt::format("The files of {} cannot be changed: {}", entry.tree.string(),
                          reason_of(done));
}

asio::awaitable<Problem> return_to(Repository& repository, Entry entry, std::string branch)
{
    co_await end_unfinished(repository.git, entry);
    const auto attached = co_await repository.git(entry.context(), "symbolic-ref", "-m", "autoexec",
                                                  "HEAD", branch_ref(branch));
    if (!attached.ok()) co_return reason_of(attached);
    (void)co_await bring_included(repository, entry);
    co_return Problem();
}

}  // namespace

bool is_taken(const fs::path& path)
{
    std::error_code ec;
    const auto status = fs::symlink_status(path, ec);
    if (ec == std::errc::not_a_directory) return true;  // a file in the place of a folder
    return fs::exists(status) && !(fs::is_directory(status) && fs::is_empty(path, ec));
}

Problem branch_elsewhere(const Repository& repository, const Entry& entry,
                         const std::string& branch)
{
    for (const auto& other : repository.all_trees())
        if (other.git_dir != entry.git_dir && uses_branch(other.git_dir, branch))
            return fmt::format("The branch '{}' is checked out in {}.", shown(branch),
                               shown(other.tree.string()));
    return {};
}

asio::awaitable<Salvage> reset_tree(Repository& repository, fs::path tree, std::string branch,
                                    std::string commit, std::string reason)
{
    Salvage saved;
    const auto target = co_await repository.resolve(std::move(commit));
    saved.problem = target.problem;
    const auto entry = repository.find_tree(tree, saved.problem);
    if (entry && !link_to_entry(*entry))
        saved.problem =
            fmt::format("{} has become a separate repository. Move it away.", entry->tree.string());
    if (saved.problem.empty()) saved.problem = branch_elsewhere(repository, *entry, branch);
    if (saved.problem.empty()) saved.problem = co_await work_in_submodules(repository.git, *entry);
    if (!saved.problem.empty()) co_return saved;

    const auto tip = co_await repository.tip_of(branch);
    RemovalScope leaving;
    leaving.branch = branch;
    leaving.commit = target.id;
    leaving.also.push_back(tip);
    SalvageOptions how;
    how.reason = std::move(reason);
    Snapshot snapshot;
    saved = co_await save_all(repository, *entry, std::move(how), std::move(leaving), snapshot);
    if (saved.problem.empty())
        saved.problem = co_await replace_files(repository, *entry, std::move(snapshot), target.id);
    if (saved.problem.empty() && tip != target.id)
        saved.problem = co_await repository.move_branch(branch, target.id, tip);
    if (saved.problem.empty())
        saved.problem = co_await return_to(repository, *entry, std::move(branch));
    co_return saved;
}

}  // namespace autoexec::git
