#include "files/safe_files.hpp"
#include "git/merges.hpp"
#include "git/nested.hpp"
#include "git/worktrees.hpp"
#include "handoff/claims.hpp"
#include "text/text.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>

#include <cerrno>
#include <system_error>
#include <utility>

namespace autoexec::git {
namespace {

using files::UniqueFd;

constexpr std::size_t max_leftovers = 10'000;
// Longer than any merge.
constexpr std::chrono::hours left_behind{24};
// Not the name of a tree: none begins with a dot.
constexpr std::string_view removed_prefix = ".removed-";

// The entry of a tree that may be removed.
std::optional<Entry> removable(const Repository& repository, const fs::path& tree, Problem& problem)
{
    std::error_code ec;
    const auto folder = repository.trees_folder();
    auto entry = repository.find_tree(tree, problem, true);
    if (!entry) return entry;
    if (entry->tree.parent_path() != fs::weakly_canonical(folder, ec))
        problem = fmt::format("{} is not in {}, so autoexec does not remove it.",
                              shown(entry->tree.string()), folder.string());
    else if (has_path(entry->git_dir / "locked"))
        problem = fmt::format("{} is locked. Unlock it: git worktree unlock {}",
                              entry->tree.string(), entry->tree.string());
    return entry;
}

// An agent whose executor has ended may still be writing.
Problem live_agent(int folder, const Entry& entry)
{
    error_code ec;
    const std::optional<fs::path> git_dir = entry.git_dir;
    auto claims = handoff::open_claims_folder(folder, git_dir, ec);
    struct stat info {};
    if (!claims || ::fstat(folder, &info) != 0) return {};
    const auto attempt =
        handoff::ClaimReader(handoff::folder_id(info)).find_live(claims.get(), true);
    if (!attempt) return {};
    return fmt::format("An agent is still working in {} (attempt {}).", entry.tree.string(),
                       shown(*attempt));
}

// Locks the folder as an executor does, so that none starts there meanwhile.
asio::awaitable<Problem> hold(Repository& repository, int folder, Entry entry)
{
    bool busy = false;
    // A process that only probes the lock holds it briefly.
    const auto attempt = [folder, &entry, &busy] {
        if (::flock(folder, LOCK_EX | LOCK_NB) == 0) return true;
        if (errno == EWOULDBLOCK) return false;
        // This file system cannot lock folders.
        busy = handoff::executor_holds_lock(folder, entry.tree);
        return true;
    };
    const bool locked = co_await repository.wait_until(attempt);
    if (!locked || busy) co_return fmt::format("An executor is using {}.", entry.tree.string());
    co_return live_agent(folder, entry);
}

// Submodule contents cannot be saved here.
asio::awaitable<Problem> unsalvageable_work(Repository& repository, Entry entry)
{
    Problem problem;
    if (!entry.missing()) problem = co_await work_in_submodules(repository.git, entry);
    if (problem.empty()) problem = co_await commits_in_submodules(repository.git, entry);
    co_return problem;
}

Words leftovers(const fs::path& folder)
{
    const auto fd = files::open_folder(folder);
    Words paths;
    if (!fd) return paths;
    for (const auto& name : files::list_folder(fd.get(), max_leftovers))
        if (name.starts_with(removed_prefix)) paths.push_back((folder / name).string());
    return paths;
}

asio::awaitable<Problem> erase(const Git& git, fs::path folder, Words paths)
{
    const Words chmod{"chmod", "-R", "u+rwX", "--"};
    const Words rm{"rm", "-rf", "--one-file-system", "--"};
    const auto with_paths = [&paths](Words words) {
        words.insert(words.end(), paths.begin(), paths.end());
        return words;
    };
    auto done = co_await git.run_other(folder, with_paths(rm));
    if (done.ok()) co_return Problem();
    // Some package managers leave read-only folders.
    (void)co_await git.run_other(folder, with_paths(chmod));
    done = co_await git.run_other(folder, with_paths(rm));
    if (done.ok()) co_return Problem();
    co_return fmt::format("The files of a removed worktree cannot be deleted: {}", reason_of(done));
}

// The tree is renamed first, which is fast whatever its size: the lock is held briefly, and no
// partly deleted tree is visible.
asio::awaitable<Problem> detach_and_erase(Repository& repository, Entry entry)
{
    const auto folder = entry.tree.parent_path();
    auto old = repository.removals == 0 ? leftovers(folder) : Words();
    const auto away = folder / fmt::format("{}{}", removed_prefix, text::new_uuid());
    std::error_code ec;
    if (!entry.missing()) fs::rename(entry.tree, away, ec);
    if (ec) co_return fmt::format("{} cannot be moved: {}", entry.tree.string(), ec.message());
    Words words{"worktree", "remove", "--force", entry.tree.string()};
    const auto removed = co_await repository.locked(std::move(words));
    if (!removed.ok()) {
        fs::rename(away, entry.tree, ec);
        co_return fmt::format("{} cannot be removed: {}", entry.tree.string(), reason_of(removed));
    }
    ++repository.removals;
    old.push_back(away.string());
    auto problem = co_await erase(repository.git, folder, std::move(old));
    --repository.removals;
    co_return problem;
}

}  // namespace

asio::awaitable<Salvage> remove_tree(Repository& repository, fs::path tree, SalvageOptions how)
{
    Salvage saved;
    const auto entry = removable(repository, tree, saved.problem);
    if (!saved.problem.empty()) co_return saved;
    const auto held = files::open_folder(entry->tree);
    if (held) saved.problem = co_await hold(repository, held.get(), *entry);
    if (saved.problem.empty()) saved.problem = co_await unsalvageable_work(repository, *entry);
    if (!saved.problem.empty()) co_return saved;

    RemovalScope leaving;
    leaving.entry = true;
    Snapshot snapshot;
    saved = co_await save_all(repository, *entry, std::move(how), std::move(leaving), snapshot);
    if (saved.problem.empty()) saved.problem = co_await detach_and_erase(repository, *entry);
    co_return saved;
}

asio::awaitable<Problem> removal_blocker(Repository& repository, fs::path tree, SalvageOptions how)
{
    Problem problem;
    const auto entry = removable(repository, tree, problem);
    if (!problem.empty()) co_return problem;
    if (const auto held = files::open_folder(entry->tree))
        problem = co_await hold(repository, held.get(), *entry);
    if (problem.empty()) problem = co_await unsalvageable_work(repository, *entry);
    if (!problem.empty() || entry->missing()) co_return problem;
    const auto found = co_await other_repositories(repository.git, entry->context(),
                                                   snapshot_options(repository, how));
    if (!found.problem.empty()) co_return found.problem;
    co_return unsaved_files(repository, *entry, found.paths, found.large);
}

void sweep(const Repository& repository)
{
    const auto folder = repository.common / "autoexec";
    const auto fd = files::open_folder(folder);
    if (!fd) return;
    const auto now = repository.options.clock->system_now();
    for (const auto& name : files::list_folder(fd.get(), max_leftovers)) {
        struct stat info {};
        if (!name.starts_with(attributes_prefix) ||
            ::fstatat(fd.get(), name.c_str(), &info, AT_SYMLINK_NOFOLLOW) != 0)
            continue;
        const auto changed = std::chrono::system_clock::from_time_t(info.st_mtim.tv_sec);
        std::error_code ignored;
        if (now - changed > left_behind) fs::remove_all(folder / name, ignored);
    }
}

}  // namespace autoexec::git
