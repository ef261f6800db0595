#include "files/safe_files.hpp"
#include "git/nested.hpp"
#include "git/repository_impl.hpp"
#include "protocol/layout.hpp"

#include <fmt/format.h>
#include <sys/statvfs.h>

#include <algorithm>
#include <system_error>
#include <utility>

namespace autoexec::git {
namespace {

namespace fs = std::filesystem;

constexpr std::uint64_t mebibyte = 1024 * 1024;

Problem unfit_name(const std::string& name)
{
    if (is_branch_part(name)) return {};
    return fmt::format(
        "'{}' is not a valid worktree name: use at most 80 letters, digits, '.', '_' and '-'; no "
        "'-' or '.' at either end or twice in a row; and no '.lock' at the end.",
        shown(name));
}

bool holds_something(const fs::path& path)
{
    std::error_code ec;
    const auto status = fs::symlink_status(path, ec);
    return fs::exists(status) && !(fs::is_directory(status) && fs::is_empty(path, ec));
}

// Git would write to and delete the target of a link, wherever that is.
Problem link_above(const fs::path& folder)
{
    for (const auto& path : {folder.parent_path(), folder}) {
        std::error_code ec;
        if (fs::is_symlink(path, ec))
            return fmt::format(
                "{0} is a symbolic link, and worktrees are created only in the project's own "
                "folder. Replace it with a folder; to keep worktrees on another disk, mount it "
                "there: mount --bind OTHER_FOLDER {0}",
                path.string());
    }
    return {};
}

}  // namespace

fs::path Repository::Impl::trees_folder() const
{
    return options.project_root / layout::worktrees;
}

Problem Repository::Impl::lack_of_space() const
{
    if (options.min_free_bytes == 0) return {};
    std::error_code ec;
    auto folder = trees_folder();
    while (!fs::exists(folder, ec) && folder.has_relative_path()) folder = folder.parent_path();
    struct statvfs space {};
    if (::statvfs(folder.c_str(), &space) != 0) return {};
    const auto free = static_cast<std::uint64_t>(space.f_bavail) * space.f_frsize;
    if (free >= options.min_free_bytes) return {};
    return fmt::format(
        "Only {} MiB are free in {}; a new worktree needs {} MiB. Remove unused worktrees: "
        "autoexec worktree gc",
        free / mebibyte, folder.string(), options.min_free_bytes / mebibyte);
}

asio::awaitable<NewTree> Repository::Impl::add_tree(std::string name, std::string base, bool reuse)
{
    NewTree made;
    made.problem = unfit_name(name);
    if (made.problem.empty()) made.problem = link_above(trees_folder());
    if (!made.problem.empty()) co_return made;
    made.path = trees_folder() / name;
    made.branch = "workflow/" + name;

    const auto left = find_entry(common, made.path);
    if (left && !left->missing() && reuse) co_return co_await reuse_tree(*left, std::move(made));
    if (holds_something(made.path))
        made.problem = fmt::format("{} already exists.", made.path.string());
    if (made.problem.empty()) made.problem = lack_of_space();
    if (!made.problem.empty()) co_return made;

    const auto start = co_await resolve(std::move(base));
    made.problem = start.problem;
    if (made.problem.empty() && left) made.problem = co_await forget(*left, made.warnings);
    if (!made.problem.empty()) co_return made;

    const auto tip = co_await tip_of(made.branch);
    if (tip.empty() || !reuse) made.problem = co_await move_branch(made.branch, start.id, "");
    if (!made.problem.empty()) co_return made;
    made.problem = co_await make_tree(made);
    // The branch is new: it has no work on it.
    if (!made.problem.empty() && tip.empty()) {
        auto going = drop_new_branch(made.branch, start.id);
        co_await std::move(going);
    }
    co_return made;
}

asio::awaitable<NewTree> Repository::Impl::reuse_tree(Entry entry, NewTree made)
{
    // An agent may have detached HEAD, for example to rebase; its work still belongs to this
    // branch.
    const auto there = branch_of(entry.git_dir);
    if (!there.empty() && there != made.branch)
        made.problem = fmt::format("{} has the branch '{}' checked out, not '{}'.",
                                   entry.tree.string(), shown(there), made.branch);
    if (!made.problem.empty()) co_return made;
    (void)link_to_entry(entry);
    if (!run_id.empty() && run_of(entry).empty()) record_run(entry, run_id);
    sweep_temporary_indexes(entry);
    // Its creation was interrupted, so it has no work in it.
    made.reused = entry.has_index();
    if (!made.reused) made.problem = co_await fill(entry, made.warnings);
    co_return made;
}

asio::awaitable<Problem> Repository::Impl::forget(Entry entry, std::vector<std::string>& warnings)
{
    auto problem = co_await commits_in_submodules(git, entry);
    if (!problem.empty()) co_return problem;
    SalvageOptions how;
    how.reason = "The folder was missing.";
    RemovalScope leaving;
    leaving.entry = true;
    Snapshot snapshot;
    const auto saved = co_await save_all(entry, std::move(how), std::move(leaving), snapshot);
    if (!saved.problem.empty()) co_return saved.problem;
    if (!saved.ref.empty())
        warnings.push_back(
            fmt::format("The folder {} was missing; its commits and index are saved as {}.",
                        entry.tree.string(), saved.ref));
    Words words{"worktree", "remove", "--force", entry.tree.string()};
    const auto done = co_await locked(std::move(words));
    if (done.ok()) co_return Problem();
    co_return fmt::format("Git's record of {} cannot be removed: {}", entry.tree.string(),
                          reason_of(done));
}

asio::awaitable<Problem> Repository::Impl::make_tree(NewTree& made)
{
    error_code ec;
    (void)files::make_folders(made.path.parent_path(), ec);
    // Files are checked out later: that is the slow part, and it needs no lock.
    Words words{"worktree", "add", "--quiet", "--no-checkout", made.path.string(), made.branch};
    const auto added = co_await locked(std::move(words));
    Problem problem;
    std::optional<Entry> entry;
    if (added.ok()) entry = find_entry(common, made.path);
    if (!entry)
        problem = fmt::format("The worktree {} cannot be created: {}", made.path.string(),
                              ec ? ec.message() : reason_of(added));
    if (entry && !run_id.empty()) record_run(*entry, run_id);
    if (entry) problem = co_await fill(*entry, made.warnings);
    if (entry && !problem.empty()) {
        auto removing = remove_new_tree(made.path);
        co_await std::move(removing);
    }
    co_return problem;
}

asio::awaitable<Problem> Repository::Impl::fill(Entry entry, std::vector<std::string>& warnings)
{
    std::error_code ignored;
    fs::remove(entry.git_dir / "index.lock", ignored);
    const auto filled =
        co_await git(entry.context(), "reset", "--hard", "--quiet", "--no-recurse-submodules");
    if (!filled.ok())
        co_return fmt::format("The files of {} cannot be written: {}", entry.tree.string(),
                              reason_of(filled));
    auto copy_warnings = co_await bring_included(entry);
    std::move(copy_warnings.begin(), copy_warnings.end(), std::back_inserter(warnings));
    co_return Problem();
}

asio::awaitable<ProgramOutput> Repository::Impl::locked_by(Git caller, Words words)
{
    ProgramOutput output;
    output.exit.error = co_await queue.acquire(caller.interrupt());
    if (!output.exit.error.empty()) co_return output;
    const Lock lock(queue);
    output = co_await caller.run(project, std::move(words), queue.descriptor());
    co_return output;
}

// A cancelled creation must leave no partial tree, which would block the next one. The time limits
// of the calls still apply.
asio::awaitable<void> Repository::Impl::remove_new_tree(fs::path tree)
{
    auto caller = git.uninterrupted();
    Words words{"worktree", "remove", "--force", tree.string()};
    (void)co_await locked_by(std::move(caller), std::move(words));
}

asio::awaitable<void> Repository::Impl::drop_new_branch(std::string branch, std::string commit)
{
    const auto caller = git.uninterrupted();
    (void)co_await caller(bare, "update-ref", "--no-deref", "-d", branch_ref(branch), commit);
}

}  // namespace autoexec::git
