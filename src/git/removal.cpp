#include "files/safe_files.hpp"
#include "git/attributes.hpp"
#include "git/nested.hpp"
#include "git/repository_impl.hpp"
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

namespace fs = std::filesystem;
using files::UniqueFd;

constexpr std::size_t max_leftovers = 10'000;
// Longer than any merge.
constexpr std::chrono::hours left_behind{24};
// Not the name of a tree: none begins with a dot.
constexpr std::string_view removed_prefix = ".removed-";

Problem unfit_for_removal(const std::optional<Entry>& entry, const fs::path& tree,
                          const fs::path& folder)
{
    std::error_code ec;
    if (!entry)
        return fmt::format("{} is not a worktree of this repository.", shown(tree.string()));
    if (entry->tree.parent_path() != fs::weakly_canonical(folder, ec))
        return fmt::format("{} is not in {}, so autoexec does not remove it.",
                           shown(entry->tree.string()), folder.string());
    if (fs::exists(entry->git_dir / "locked", ec))
        return fmt::format("{} is locked. Unlock it: git worktree unlock {}", entry->tree.string(),
                           entry->tree.string());
    return {};
}

// An agent whose executor has ended may still be writing.
Problem live_agent(int folder, const Entry& entry)
{
    error_code ec;
    const std::optional<fs::path> git_dir = entry.git_dir;
    auto claims = handoff::open_claims_folder(folder, git_dir, ec);
    struct stat info {};
    if (!claims || ::fstat(folder, &info) != 0) return {};
    const auto attempt = handoff::ClaimReader(std::move(claims), info).sweep();
    if (!attempt) return {};
    return fmt::format("An agent is still working in {} (attempt {}).", entry.tree.string(),
                       shown(*attempt));
}

UniqueFd open_parent(const fs::path& folder)
{
    return UniqueFd(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
}

Words leftovers(const fs::path& folder)
{
    const auto fd = open_parent(folder);
    Words paths;
    if (!fd) return paths;
    for (const auto& name : files::list_folder(fd.get(), max_leftovers))
        if (name.starts_with(removed_prefix)) paths.push_back((folder / name).string());
    return paths;
}

}  // namespace

asio::awaitable<Salvage> Repository::Impl::remove(fs::path tree, SalvageOptions how)
{
    Salvage saved;
    const auto entry = find_entry(common, tree);
    saved.problem = unfit_for_removal(entry, tree, trees_folder());
    if (!saved.problem.empty()) co_return saved;
    // Locked as by an executor, so that none starts there meanwhile.
    const auto held = open_parent(entry->tree);
    if (held) saved.problem = co_await hold(held.get(), *entry);
    if (saved.problem.empty()) saved.problem = co_await unsalvageable_work(*entry);
    if (!saved.problem.empty()) co_return saved;

    RemovalScope leaving;
    leaving.entry = true;
    Snapshot snapshot;
    saved = co_await save_all(*entry, std::move(how), std::move(leaving), snapshot);
    if (saved.problem.empty()) saved.problem = co_await detach_and_erase(*entry);
    co_return saved;
}

asio::awaitable<Problem> Repository::Impl::removal_blocker(fs::path tree, SalvageOptions how)
{
    const auto entry = find_entry(common, tree);
    auto problem = unfit_for_removal(entry, tree, trees_folder());
    if (!problem.empty()) co_return problem;
    if (const auto held = open_parent(entry->tree)) problem = co_await hold(held.get(), *entry);
    if (problem.empty()) problem = co_await unsalvageable_work(*entry);
    if (!problem.empty() || entry->missing()) co_return problem;
    SnapshotOptions all;
    all.include_ignored = how.include_ignored;
    all.max_file_bytes = options.max_file_bytes;
    auto found = co_await other_repositories(git, entry->context(), all);
    if (found.problem.empty() && !found.paths.empty())
        found.problem = repository_within(*entry, found.paths.front());
    if (found.problem.empty() && !found.large.empty())
        found.problem = too_large(*entry, found.large);
    co_return found.problem;
}

Problem Repository::Impl::too_large(const Entry& entry, const std::vector<LargeFile>& files) const
{
    return fmt::format(
        "In {}, {} cannot be saved, because that is {}. Move it away or raise the limit.",
        shown(entry.tree.string()), listed(files), limit_text(options.max_file_bytes));
}

// Submodule contents cannot be saved here.
asio::awaitable<Problem> Repository::Impl::unsalvageable_work(Entry entry)
{
    Problem problem;
    if (!entry.missing()) problem = co_await work_in_submodules(git, entry);
    if (problem.empty()) problem = co_await commits_in_submodules(git, entry);
    co_return problem;
}

asio::awaitable<Problem> Repository::Impl::hold(int folder, Entry entry)
{
    const auto timer = options.clock->make_timer(co_await asio::this_coro::executor);
    // A process that only probes the lock holds it briefly.
    for (int tries = 0; ::flock(folder, LOCK_EX | LOCK_NB) != 0; ++tries) {
        const bool locked_by_other = errno == EWOULDBLOCK;
        const bool busy = locked_by_other ? tries == max_lock_tries
                                          : handoff::executor_holds_lock(folder, entry.tree);
        if (busy) co_return fmt::format("An executor is using {}.", entry.tree.string());
        if (!locked_by_other) break;  // this file system cannot lock folders
        co_await timer->wait_until(options.clock->now() + lock_pause);
    }
    co_return live_agent(folder, entry);
}

// The tree is renamed first, which is fast whatever its size: the lock is held briefly, and no
// partly deleted tree is visible.
asio::awaitable<Problem> Repository::Impl::detach_and_erase(Entry entry)
{
    const auto folder = entry.tree.parent_path();
    auto old = removals == 0 ? leftovers(folder) : Words();
    const auto away = folder / fmt::format("{}{}", removed_prefix, text::new_uuid());
    std::error_code ec;
    if (!entry.missing()) fs::rename(entry.tree, away, ec);
    if (ec) co_return fmt::format("{} cannot be moved: {}", entry.tree.string(), ec.message());
    Words words{"worktree", "remove", "--force", entry.tree.string()};
    const auto removed = co_await locked(std::move(words));
    if (!removed.ok()) {
        fs::rename(away, entry.tree, ec);
        co_return fmt::format("{} cannot be removed: {}", entry.tree.string(), reason_of(removed));
    }
    ++removals;
    old.push_back(away.string());
    auto problem = co_await erase(folder, std::move(old));
    --removals;
    co_return problem;
}

asio::awaitable<Problem> Repository::Impl::erase(fs::path folder, Words paths)
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

void Repository::Impl::sweep() const
{
    const auto folder = common / "autoexec";
    const auto fd = open_parent(folder);
    if (!fd) return;
    const auto now = options.clock->system_now();
    for (const auto& name : files::list_folder(fd.get(), max_leftovers)) {
        struct stat info {};
        if (!name.starts_with(AttributesFolder::prefix) ||
            ::fstatat(fd.get(), name.c_str(), &info, AT_SYMLINK_NOFOLLOW) != 0)
            continue;
        const auto changed = std::chrono::system_clock::from_time_t(info.st_mtim.tv_sec);
        std::error_code ignored;
        if (now - changed > left_behind) fs::remove_all(folder / name, ignored);
    }
}

}  // namespace autoexec::git
