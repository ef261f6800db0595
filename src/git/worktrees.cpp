#include "git/worktrees.hpp"

#include "files/safe_files.hpp"
#include "git/nested.hpp"
#include "git_files/git_dir.hpp"
#include "handoff/claims.hpp"
#include "text/text.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include <algorithm>
#include <system_error>
#include <utility>

namespace autoexec::git {
namespace {

constexpr std::uint64_t mebibyte = 1024 * 1024;

Problem unfit_name(const std::string& name)
{
    if (is_branch_part(name)) return {};
    return fmt::format(
        "'{}' is not a valid worktree name: use at most 80 letters, digits, '.', '_' and '-'; no "
        "'-' or '.' at either end or twice in a row; and no '.lock' at the end.",
        shown(name));
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

Problem lack_of_space(const Repository& repository)
{
    const auto wanted = repository.options.min_free_bytes;
    if (wanted == 0) return {};
    auto folder = repository.trees_folder();
    while (!has_path(folder) && folder.has_relative_path()) folder = folder.parent_path();
    struct statvfs space {};
    if (::statvfs(folder.c_str(), &space) != 0) return {};
    const auto free = static_cast<std::uint64_t>(space.f_bavail) * space.f_frsize;
    if (free >= wanted) return {};
    return fmt::format(
        "Only {} MiB are free in {}; a new worktree needs {} MiB. Remove unused worktrees: "
        "autoexec worktree gc",
        free / mebibyte, folder.string(), wanted / mebibyte);
}

Words removal_of(const fs::path& tree)
{
    return {"worktree", "remove", "--force", tree.string()};
}

// Writes the files of HEAD.
asio::awaitable<Problem> fill(Repository& repository, Entry entry, Words& warnings)
{
    std::error_code ignored;
    fs::remove(entry.git_dir / "index.lock", ignored);
    const auto filled = co_await repository.git(entry.context(), "reset", "--hard", "--quiet",
                                                "--no-recurse-submodules");
    if (!filled.ok())
        co_return fmt::format("The files of {} cannot be written: {}", entry.tree.string(),
                              reason_of(filled));
    auto copy_warnings = co_await bring_included(repository, entry);
    std::ranges::move(copy_warnings, std::back_inserter(warnings));
    co_return Problem();
}

asio::awaitable<NewTree> reuse_tree(Repository& repository, Entry entry, NewTree made)
{
    // An agent may have detached HEAD, for example to rebase; its work still belongs to this
    // branch.
    const auto there = branch_of(entry.git_dir);
    if (!there.empty() && there != made.branch)
        made.problem = fmt::format("{} has the branch '{}' checked out, not '{}'.",
                                   entry.tree.string(), shown(there), made.branch);
    if (!made.problem.empty()) co_return made;
    (void)link_to_entry(entry);
    if (!repository.run_id.empty() && run_of(entry).empty()) record_run(entry, repository.run_id);
    sweep_temporary_indexes(entry);
    // Its creation was interrupted, so it has no work in it.
    made.reused = entry.has_index();
    if (!made.reused) made.problem = co_await fill(repository, entry, made.warnings);
    co_return made;
}

// Removes the record of a tree whose folder is missing.
asio::awaitable<Problem> forget(Repository& repository, Entry entry, Words& warnings)
{
    auto problem = co_await commits_in_submodules(repository.git, entry);
    if (!problem.empty()) co_return problem;
    SalvageOptions how;
    how.reason = "The folder was missing.";
    RemovalScope leaving;
    leaving.entry = true;
    Snapshot snapshot;
    const auto saved =
        co_await save_all(repository, entry, std::move(how), std::move(leaving), snapshot);
    if (!saved.problem.empty()) co_return saved.problem;
    if (!saved.ref.empty())
        warnings.push_back(
            fmt::format("The folder {} was missing; its commits and index are saved as {}.",
                        entry.tree.string(), saved.ref));
    auto words = removal_of(entry.tree);
    const auto done = co_await repository.locked(std::move(words));
    if (done.ok()) co_return Problem();
    co_return fmt::format("Git's record of {} cannot be removed: {}", entry.tree.string(),
                          reason_of(done));
}

asio::awaitable<Problem> make_tree(Repository& repository, NewTree& made)
{
    error_code ec;
    (void)files::make_folders(made.path.parent_path(), ec);
    // Files are checked out later: that is the slow part, and it needs no lock.
    Words words{"worktree", "add", "--quiet", "--no-checkout", made.path.string(), made.branch};
    const auto added = co_await repository.locked(std::move(words));
    std::optional<Entry> entry;
    if (added.ok()) entry = find_entry(repository.common, made.path);
    if (!entry)
        co_return fmt::format("The worktree {} cannot be created: {}", made.path.string(),
                              ec ? ec.message() : reason_of(added));
    if (!repository.run_id.empty()) record_run(*entry, repository.run_id);
    auto problem = co_await fill(repository, *entry, made.warnings);
    if (!problem.empty()) co_await remove_new_tree(repository, made.path);
    co_return problem;
}

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
    const auto fd = files::open_folder(tree);
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

asio::awaitable<NewTree> add_tree(Repository& repository, std::string name, std::string base,
                                  bool reuse)
{
    NewTree made;
    made.problem = unfit_name(name);
    if (made.problem.empty()) made.problem = link_above(repository.trees_folder());
    if (!made.problem.empty()) co_return made;
    made.path = repository.trees_folder() / name;
    made.branch = std::string(own_branches).append(name);

    const auto left = find_entry(repository.common, made.path);
    if (left && !left->missing() && reuse)
        co_return co_await reuse_tree(repository, *left, std::move(made));
    if (is_taken(made.path)) made.problem = fmt::format("{} already exists.", made.path.string());
    if (made.problem.empty()) made.problem = lack_of_space(repository);
    if (!made.problem.empty()) co_return made;

    const auto start = co_await repository.resolve(std::move(base));
    made.problem = start.problem;
    if (made.problem.empty() && left)
        made.problem = co_await forget(repository, *left, made.warnings);
    if (!made.problem.empty()) co_return made;

    const auto tip = co_await repository.tip_of(made.branch);
    if (tip.empty() || !reuse)
        made.problem = co_await repository.move_branch(made.branch, start.id, "");
    if (!made.problem.empty()) co_return made;
    made.problem = co_await make_tree(repository, made);
    // The branch is new: it has no work on it.
    if (!made.problem.empty() && tip.empty())
        co_await drop_new_branch(repository, made.branch, start.id);
    co_return made;
}

asio::awaitable<void> remove_new_tree(Repository& repository, fs::path tree)
{
    auto caller = repository.git.uninterrupted();
    auto words = removal_of(tree);
    (void)co_await repository.locked(std::move(caller), std::move(words));
}

asio::awaitable<void> drop_new_branch(Repository& repository, std::string branch,
                                      std::string commit)
{
    const auto caller = repository.git.uninterrupted();
    (void)co_await caller(repository.bare, "update-ref", "--no-deref", "-d", branch_ref(branch),
                          commit);
}

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
