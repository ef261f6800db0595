#include "git/artifacts.hpp"
#include "git/nested.hpp"
#include "git/repository_impl.hpp"
#include "git/unfinished.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <system_error>
#include <utility>

namespace autoexec::git {
namespace {

constexpr std::chrono::milliseconds commit_lock_pause{20};
constexpr int max_commit_lock_tries = 50;

/// One commit of a tree's work, from the look at what is there to the index that follows.
class WorkCommit {
public:
    WorkCommit(Repository::Impl& impl, Entry entry, std::string branch, std::string message,
               CommitRules rules)
        : impl_(impl),
          entry_(std::move(entry)),
          branch_(std::move(branch)),
          message_(std::move(message)),
          rules_(std::move(rules))
    {}

    asio::awaitable<CommittedWork> run()
    {
        co_await impl_.settle_identity();
        impl_.tell_identity(done_.warnings);
        head_ = co_await impl_.head_of(entry_.place());
        tip_ = co_await impl_.tip_of(branch_);
        merge_heads_ = merge_heads(entry_);
        unfinished_ = unfinished(entry_);
        SnapshotOptions limits;
        limits.max_file_bytes = impl_.options.max_file_bytes;
        snapshot_ = co_await take_snapshot(impl_.git, entry_, limits);
        work_ = snapshot_.files;
        done_.problem = snapshot_.problem;
        if (done_.problem.empty()) done_.problem = declared_too_large();
        if (done_.problem.empty()) co_await commit();
        co_return std::move(done_);
    }

private:
    asio::awaitable<void> commit()
    {
        // A branch without a commit, made by `checkout --orphan`: its files go on from ours.
        if (head_.commit.empty()) co_await begin_at_tip();
        // With conflicts in it, it would be no merge.
        if (!snapshot_.unmerged.empty()) merge_heads_.clear();
        if (rules_.only_declared) co_await leave_out_others();
        if (done_.problem.empty() && !rules_.laid.empty()) co_await leave_out_laid();
        if (!done_.problem.empty()) co_return;
        const bool changed = work_ != head_.tree || !merge_heads_.empty();
        if (!changed && head_.branch != branch_) {
            // Somebody only looked at an earlier state.
            const bool behind = co_await impl_.contains(tip_, head_.commit);
            done_.commit = behind ? tip_ : std::string();
            if (behind) co_return;
        }
        done_.commit = head_.commit;
        if (changed) co_await make_commit();
        if (done_.problem.empty()) co_await keep_the_rest();
        if (done_.problem.empty() && done_.commit != tip_)
            done_.problem = co_await impl_.move_branch(branch_, done_.commit, tip_);
        if (!done_.problem.empty()) {
            done_.commit.clear();
            co_return;
        }
        done_.changed = changed;
        co_await tell_of_findings();
        co_await settle_tree();
        co_await tell_of_included();
    }

    [[nodiscard]] Problem declared_too_large() const
    {
        for (const auto& file : snapshot_.large)
            if (is_declared(file.path, rules_.declared))
                return fmt::format(
                    "{} is declared as an artifact, and is {}. Raise the limit, or make it "
                    "smaller.",
                    listed({file}), limit_text(impl_.options.max_file_bytes));
        return {};
    }

    // The index becomes HEAD with the declared paths as they are in the files.
    asio::awaitable<void> leave_out_others()
    {
        Words paths{"."};
        for (const auto& path : rules_.declared) paths.push_back(":(exclude,top,literal)" + path);
        co_await leave_out(std::move(paths), "What is not declared can't be left out");
    }

    // As HEAD has it, or not at all.
    asio::awaitable<void> leave_out(Words paths, std::string_view failing)
    {
        const PathFile file(entry_, paths);
        const auto place = entry_.place().with_index(snapshot_.fresh->file());
        const auto reset = co_await impl_.git(place, "reset", "--quiet", head_.commit,
                                              file.option(), "--pathspec-file-nul");
        ProgramOutput written;
        if (reset.ok()) written = co_await impl_.git(place, "write-tree");
        work_ = line_of(written);
        if (!is_object_id(work_))
            done_.problem = fmt::format("{}: {}", failing, reason_of(reset.ok() ? written : reset));
    }

    // The step that made them keeps them: what it ignored is not work because this tree does not
    // ignore it.
    asio::awaitable<void> leave_out_laid()
    {
        std::map<std::string, Blob> laid;
        for (auto& source : rules_.laid) {
            const auto problem =
                co_await list_blobs(impl_.git, impl_.bare, std::move(source), laid);
            if (!problem.empty()) co_return;  // then nobody could have laid it
        }
        const auto added = co_await impl_.git(impl_.bare, "diff-tree", "-r", "-z", "--no-renames",
                                              "--name-only", "--diff-filter=A", head_.tree, work_);
        Words files;
        for (const auto path : split_nul(added.output))
            if (is_file_of(laid, path) && !is_declared(path, rules_.declared))
                files.emplace_back(path);
        const auto ids = co_await hash_files(impl_.git, entry_.place(), files, false);
        if (ids.size() != files.size()) co_return;
        Words unchanged;
        for (std::size_t k = 0; k < files.size(); ++k)
            if (laid.at(files[k]).id == ids[k]) unchanged.push_back(":(top,literal)" + files[k]);
        if (unchanged.empty()) co_return;
        co_await leave_out(std::move(unchanged), "The artifacts of other steps can't be left out");
    }

    // A link is not asked for: its content is no path's.
    [[nodiscard]] bool is_file_of(const std::map<std::string, Blob>& laid,
                                  std::string_view path) const
    {
        std::error_code ec;
        return laid.contains(std::string(path)) &&
               std::filesystem::is_regular_file(
                   std::filesystem::symlink_status(entry_.tree / path, ec));
    }

    asio::awaitable<void> begin_at_tip()
    {
        head_.commit = tip_;
        const auto tree =
            co_await impl_.git(impl_.bare, "rev-parse", "--verify", "--quiet", tip_ + "^{tree}");
        head_.tree = line_of(tree);
    }

    asio::awaitable<void> make_commit()
    {
        Words parents;
        if (!head_.commit.empty()) parents.push_back(head_.commit);
        parents.insert(parents.end(), merge_heads_.begin(), merge_heads_.end());
        const auto made = co_await impl_.commit_tree(work_, std::move(parents), message_);
        done_.commit = made.id;
        done_.problem = made.problem;
    }

    // The branch's old tip, what is staged and not in the files, sides of conflicts.
    asio::awaitable<void> keep_the_rest()
    {
        auto candidates = commits_of_unfinished(entry_);
        if (!tip_.empty()) candidates.push_back(tip_);
        Words kept{done_.commit};
        SalvageContents remains;
        remains.tips = co_await impl_.lost_commits(std::move(candidates), std::move(kept), branch_);
        Words elsewhere{snapshot_.files, head_.tree};
        const bool staged = co_await impl_.has_more(snapshot_.index, std::move(elsewhere));
        if (staged) remains.index = snapshot_.index;
        remains.sides = snapshot_.sides;
        if (remains.tips.empty() && !staged && remains.sides.empty()) co_return;
        remains.files = snapshot_.files;
        remains.head = head_;
        remains.reason = "What the commit of the tree's files does not hold.";
        const auto saved = co_await impl_.save(entry_, std::move(remains));
        done_.problem = saved.problem;
        if (saved.problem.empty())
            done_.warnings.push_back(fmt::format(
                "There was work that the commit does not hold (an earlier tip of '{}', or what was "
                "staged and changed again); it is saved as {}.",
                branch_, saved.ref));
    }

    asio::awaitable<void> tell_of_findings()
    {
        if (!snapshot_.large.empty())
            done_.warnings.push_back(
                fmt::format("Not committed, for each is {}: {}. They stay in the worktree.",
                            limit_text(impl_.options.max_file_bytes), listed(snapshot_.large)));
        if (done_.changed && !rules_.declared.empty() && !rules_.only_declared)
            co_await tell_of_others();
        if (snapshot_.has_submodules) {
            const auto work = co_await work_in_submodules(impl_.git, entry_);
            if (!work.empty()) done_.warnings.push_back(work);
        }
        if (!snapshot_.unmerged.empty())
            done_.warnings.push_back(
                fmt::format("Conflicts are committed as they stand in {}.",
                            shown(fmt::format("{}", fmt::join(snapshot_.unmerged, ", ")))));
        if (!unfinished_.empty())
            done_.warnings.push_back(fmt::format("An unfinished {} was ended where it stood.",
                                                 fmt::join(unfinished_, " and ")));
        auto repositories = snapshot_.repositories;
        const auto linked = co_await links_without_module();
        repositories.insert(repositories.end(), linked.begin(), linked.end());
        for (const auto& path : repositories)
            done_.warnings.push_back(fmt::format(
                "'{}' is a repository of its own; its files are not committed.", shown(path)));
    }

    asio::awaitable<void> tell_of_others()
    {
        constexpr std::size_t max_named = 10;
        const auto changes = co_await impl_.git(impl_.bare, "diff-tree", "-r", "-z", "--no-renames",
                                                "--name-only", head_.commit, done_.commit);
        Words named;
        std::size_t count = 0;
        for (const auto path : split_nul(changes.output)) {
            if (is_declared(path, rules_.declared)) continue;
            if (++count <= max_named) named.push_back(shown(path));
        }
        if (count == 0) co_return;
        done_.warnings.push_back(fmt::format(
            "Also committed, beside what the step creates: {}{}. 'commit: creates' leaves them "
            "out.",
            fmt::join(named, ", "),
            count > max_named ? fmt::format(" and {} more", count - max_named) : ""));
    }

    // An agent's `git add` makes a link of a repository within, and no `.gitmodules` says whose.
    asio::awaitable<Words> links_without_module()
    {
        constexpr std::string_view new_link = ":000000 160000 ";
        Words found;
        if (!snapshot_.has_submodules) co_return found;
        const auto start = co_await impl_.git(impl_.bare, "merge-base", done_.commit, "HEAD");
        const auto changes = co_await impl_.git(impl_.bare, "diff-tree", "-r", "-z", "--no-renames",
                                                line_of(start), done_.commit);
        const auto modules =
            co_await impl_.git(impl_.bare, "config", "--blob", done_.commit + ":.gitmodules",
                               "--get-regexp", "^submodule\\..*\\.path$");
        const auto parts = split_nul(changes.output);
        for (std::size_t k = 0; k + 1 < parts.size(); k += 2)
            if (parts[k].starts_with(new_link) &&
                modules.output.find(fmt::format(" {}\n", parts[k + 1])) == std::string::npos)
                found.emplace_back(parts[k + 1]);
        co_return found;
    }

    // From here on only the bookkeeping of the tree follows: files stay as they are.
    asio::awaitable<void> settle_tree()
    {
        if (!link_to_entry(entry_))
            done_.warnings.push_back(fmt::format("{} is a repository of its own now.",
                                                 shown((entry_.tree / ".git").string())));
        co_await quit_unfinished(impl_.git, entry_);
        if (head_.branch != branch_) co_await return_to_branch();
        if (branch_of(entry_.git_dir) == branch_) co_await follow_with_index();
    }

    asio::awaitable<void> return_to_branch()
    {
        if (!impl_.branch_elsewhere(entry_, branch_).empty()) co_return;
        (void)co_await impl_.git(entry_.place(), "symbolic-ref", "-m", "autoexec", "HEAD",
                                 branch_ref(branch_));
    }

    asio::awaitable<void> follow_with_index()
    {
        const auto timer = impl_.options.clock->make_timer(co_await asio::this_coro::executor);
        for (int tries = 0; tries < max_commit_lock_tries; ++tries) {
            if (snapshot_.fresh->install(entry_)) break;
            if (tries + 1 == max_commit_lock_tries) co_return tell_of_lock();
            co_await timer->wait_until(impl_.options.clock->now() + commit_lock_pause);
        }
        if (snapshot_.fresh_keeps_sparse) co_return;
        // From nothing, git works out again which files are left out on purpose.
        std::error_code ignored;
        std::filesystem::remove(entry_.git_dir / "index", ignored);
        const auto reset = co_await impl_.git(entry_.place(), "reset", "--quiet", "--mixed");
        if (reset.ok()) co_return;
        done_.warnings.push_back(fmt::format(
            "The index of {0} can't be rebuilt: {1}. All work is committed, but git shows changes "
            "that do not exist. To rebuild it, run: git -C '{0}' reset --mixed",
            shown(entry_.tree.string()), reason_of(reset)));
    }

    void tell_of_lock()
    {
        done_.warnings.push_back(fmt::format(
            "{} is there: a git that was killed may have left it. All is committed, but git will "
            "not work there until that file is removed.",
            (entry_.git_dir / "index.lock").string()));
    }

    asio::awaitable<void> tell_of_included()
    {
        const auto paths = included_paths(entry_);
        if (paths.empty()) co_return;
        const auto listing = co_await impl_.git(impl_.bare, "ls-tree", "-r", "-z", "--name-only",
                                                "--full-tree", done_.commit);
        for (const auto path : split_nul(listing.output))
            if (std::binary_search(paths.begin(), paths.end(), path))
                done_.warnings.push_back(fmt::format(
                    "'{}', which .worktreeinclude brought, is in a commit that was made in the "
                    "tree.",
                    shown(path)));
    }

    Repository::Impl& impl_;
    Entry entry_;
    std::string branch_;
    std::string message_;
    CommitRules rules_;
    Head head_;
    std::string tip_;
    Words merge_heads_;
    Words unfinished_;
    Snapshot snapshot_;
    std::string work_;  ///< The tree that is committed.
    CommittedWork done_;
};

}  // namespace

asio::awaitable<CommittedWork> Repository::Impl::commit_work(std::filesystem::path tree,
                                                             std::string branch,
                                                             std::string message, CommitRules rules)
{
    const auto entry = find_entry(common, tree);
    CommittedWork done;
    if (!entry)
        done.problem = fmt::format("{} is no worktree of this repository.", shown(tree.string()));
    else if (entry->missing())
        done.problem = fmt::format("The worktree {} is gone.", shown(tree.string()));
    if (!done.problem.empty()) co_return done;
    sweep_temporary_indexes(*entry);
    WorkCommit work(*this, *entry, std::move(branch), std::move(message), std::move(rules));
    co_return co_await work.run();
}

}  // namespace autoexec::git
