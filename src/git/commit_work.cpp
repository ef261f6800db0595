#include "git/nested.hpp"
#include "git/unfinished.hpp"
#include "git/worktrees.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <system_error>
#include <utility>

namespace autoexec::git {
namespace {

/// Commits the work of one tree: takes a snapshot, commits it, and updates the tree's index.
class WorkCommit {
public:
    WorkCommit(Repository& repository, Entry entry, std::string branch, std::string message,
               CommitRules rules)
        : repository_(repository),
          entry_(std::move(entry)),
          branch_(std::move(branch)),
          message_(std::move(message)),
          rules_(std::move(rules))
    {}

    asio::awaitable<CommittedWork> run()
    {
        head_ = co_await repository_.head_of(entry_.context());
        tip_ = co_await repository_.tip_of(branch_);
        merge_heads_ = merge_heads(entry_);
        unfinished_ = unfinished(entry_);
        SnapshotOptions limits;
        limits.max_file_bytes = repository_.options.max_file_bytes;
        limits.head_tree = head_.tree;
        snapshot_ = co_await take_snapshot(repository_.git, entry_, limits);
        work_ = snapshot_.files;
        done_.problem = snapshot_.problem;
        if (done_.problem.empty()) done_.problem = declared_too_large();
        if (done_.problem.empty()) co_await commit();
        repository_.warn_of_identity(done_.warnings);
        co_return std::move(done_);
    }

private:
    asio::awaitable<void> commit()
    {
        // An unborn branch, made by `checkout --orphan`: its files continue our branch.
        if (head_.commit.empty()) co_await begin_at_tip();
        // With unresolved conflicts it is not a merge.
        if (!snapshot_.unmerged.empty()) merge_heads_.clear();
        if (rules_.only_declared) co_await leave_out_others();
        if (done_.problem.empty() && !rules_.laid.empty()) co_await leave_out_laid();
        if (!done_.problem.empty()) co_return;
        const bool changed = work_ != head_.tree || !merge_heads_.empty();
        if (!changed && head_.branch != branch_) {
            // Only an earlier commit was checked out; nothing was added.
            const bool behind = co_await repository_.contains(tip_, head_.commit);
            done_.commit = behind ? tip_ : std::string();
            if (behind) co_return;
        }
        done_.commit = head_.commit;
        if (changed) co_await make_commit();
        if (done_.problem.empty()) co_await salvage_rest();
        if (done_.problem.empty() && done_.commit != tip_)
            done_.problem = co_await repository_.move_branch(branch_, done_.commit, tip_);
        if (!done_.problem.empty()) {
            done_.commit.clear();
            co_return;
        }
        done_.changed = changed;
        if (!may_have_attributes(snapshot_.fresh->file(), work_.size() / 2))
            repository_.known.set_plain(done_.commit);
        co_await warn_of_findings();
        co_await update_tree();
        co_await warn_of_included();
    }

    [[nodiscard]] Problem declared_too_large() const
    {
        for (const auto& file : snapshot_.large)
            if (is_declared(file.path, rules_.declared))
                return fmt::format(
                    "{} is declared as an artifact but is {}. Raise the limit or make the file "
                    "smaller.",
                    listed({file}), limit_text(repository_.options.max_file_bytes));
        return {};
    }

    // The index becomes HEAD plus the declared paths from the files.
    asio::awaitable<void> leave_out_others()
    {
        Words paths{"."};
        for (const auto& path : rules_.declared) paths.push_back(":(exclude,top,literal)" + path);
        co_await leave_out(std::move(paths), "Undeclared files cannot be left out");
    }

    // Restored from HEAD, or removed if HEAD does not have it.
    asio::awaitable<void> leave_out(Words paths, std::string_view failing)
    {
        const PathFile file(entry_, paths);
        const auto context = entry_.context().with_index(snapshot_.fresh->file());
        const auto reset = co_await repository_.git(context, "reset", "--quiet", head_.commit,
                                                    file.option(), "--pathspec-file-nul");
        ProgramOutput written;
        if (reset.ok()) written = co_await repository_.git(context, "write-tree");
        work_ = line_of(written);
        if (!is_object_id(work_))
            done_.problem = fmt::format("{}: {}", failing, reason_of(reset.ok() ? written : reset));
    }

    // They belong to the step that created them, which ignores them. They are not this step's work,
    // even if this tree does not ignore them.
    asio::awaitable<void> leave_out_laid()
    {
        std::map<std::string, Blob> laid;
        for (auto& source : rules_.laid) {
            const auto problem = co_await list_blobs(repository_, std::move(source), laid);
            if (!problem.empty()) co_return;  // it cannot be a laid artifact
        }
        const auto added =
            co_await repository_.run("diff-tree", "-r", "-z", "--no-renames", "--name-only",
                                     "--diff-filter=A", head_.tree, work_);
        Words files;
        for (const auto path : split_nul(added.output))
            if (is_file_of(laid, path) && !is_declared(path, rules_.declared))
                files.emplace_back(path);
        const auto ids = co_await hash_files(repository_, entry_.context(), files, false);
        if (ids.size() != files.size()) co_return;
        Words unchanged;
        for (std::size_t k = 0; k < files.size(); ++k)
            if (laid.at(files[k]).id == ids[k]) unchanged.push_back(":(top,literal)" + files[k]);
        if (unchanged.empty()) co_return;
        co_await leave_out(std::move(unchanged), "The artifacts of other steps cannot be left out");
    }

    // Links are skipped: their content is not a file's.
    [[nodiscard]] bool is_file_of(const std::map<std::string, Blob>& laid,
                                  std::string_view path) const
    {
        std::error_code ec;
        return laid.contains(std::string(path)) &&
               fs::is_regular_file(fs::symlink_status(entry_.tree / path, ec));
    }

    asio::awaitable<void> begin_at_tip()
    {
        head_.commit = tip_;
        const auto tree =
            co_await repository_.run("rev-parse", "--verify", "--quiet", tip_ + "^{tree}");
        head_.tree = line_of(tree);
    }

    asio::awaitable<void> make_commit()
    {
        Words parents;
        if (!head_.commit.empty()) parents.push_back(head_.commit);
        parents.insert(parents.end(), merge_heads_.begin(), merge_heads_.end());
        const auto made = co_await repository_.commit_tree(work_, std::move(parents), message_);
        done_.commit = made.id;
        done_.problem = made.problem;
    }

    // Salvages the branch's old tip, staged content that differs from the files, and sides of
    // conflicts.
    asio::awaitable<void> salvage_rest()
    {
        auto candidates = commits_of_unfinished(entry_);
        if (!tip_.empty()) candidates.push_back(tip_);
        // The commit contains these, or is one of them.
        std::erase(candidates, head_.commit);
        std::erase(candidates, done_.commit);
        Words kept{done_.commit};
        SalvageContents contents;
        contents.tips =
            co_await lost_commits(repository_, std::move(candidates), std::move(kept), branch_);
        Words elsewhere{snapshot_.files, head_.tree};
        const bool staged = co_await has_more(repository_, snapshot_.index, std::move(elsewhere));
        if (staged) contents.index = snapshot_.index;
        contents.sides = snapshot_.sides;
        if (contents.tips.empty() && !staged && contents.sides.empty()) co_return;
        contents.files = snapshot_.files;
        contents.head = head_;
        contents.reason = "Work that is not in the commit of the tree's files.";
        const auto saved = co_await save(repository_, entry_, std::move(contents));
        done_.problem = saved.problem;
        if (saved.problem.empty())
            done_.warnings.push_back(
                fmt::format("Some work is not in the commit (an earlier tip of '{}', or staged "
                            "content that was changed again); it is saved as {}.",
                            branch_, saved.ref));
    }

    asio::awaitable<void> warn_of_findings()
    {
        if (!snapshot_.large.empty())
            done_.warnings.push_back(fmt::format(
                "Not committed, because each is {}: {}. The files stay in the worktree.",
                limit_text(repository_.options.max_file_bytes), listed(snapshot_.large)));
        const bool has_others = !rules_.declared.empty() && !rules_.only_declared;
        if (done_.changed && has_others && rules_.warns_of_others) co_await warn_of_other_files();
        if (snapshot_.has_submodules) {
            const auto work = co_await work_in_submodules(repository_.git, entry_);
            if (!work.empty()) done_.warnings.push_back(work);
        }
        if (!snapshot_.unmerged.empty())
            done_.warnings.push_back(
                fmt::format("Unresolved conflicts are committed with their markers: {}.",
                            shown(fmt::format("{}", fmt::join(snapshot_.unmerged, ", ")))));
        if (!unfinished_.empty())
            done_.warnings.push_back(fmt::format("An unfinished {} was ended in its current state.",
                                                 fmt::join(unfinished_, " and ")));
        auto repositories = snapshot_.repositories;
        const auto linked = co_await links_without_module();
        repositories.insert(repositories.end(), linked.begin(), linked.end());
        for (const auto& path : repositories)
            done_.warnings.push_back(fmt::format(
                "'{}' is a separate repository; its files are not committed.", shown(path)));
    }

    asio::awaitable<void> warn_of_other_files()
    {
        const auto changes = co_await repository_.run("diff-tree", "-r", "-z", "--no-renames",
                                                      "--name-only", head_.commit, done_.commit);
        Words others;
        for (const auto path : split_nul(changes.output))
            if (!is_declared(path, rules_.declared)) others.push_back(shown(path));
        if (others.empty()) co_return;
        done_.warnings.push_back(fmt::format(
            "Also committed, although not in 'creates': {}. 'commit: creates' leaves them out.",
            some_of(std::move(others))));
    }

    // `git add` of a nested repository stores a gitlink without an entry in `.gitmodules`.
    asio::awaitable<Words> links_without_module()
    {
        constexpr std::string_view new_link = ":000000 160000 ";
        Words found;
        if (!snapshot_.has_submodules) co_return found;
        const auto start = co_await repository_.run("merge-base", done_.commit, "HEAD");
        const auto changes = co_await repository_.run("diff-tree", "-r", "-z", "--no-renames",
                                                      line_of(start), done_.commit);
        const auto modules =
            co_await repository_.run("config", "--blob", done_.commit + ":.gitmodules",
                                     "--get-regexp", "^submodule\\..*\\.path$");
        const auto parts = split_nul(changes.output);
        for (std::size_t k = 0; k + 1 < parts.size(); k += 2)
            if (parts[k].starts_with(new_link) &&
                modules.output.find(fmt::format(" {}\n", parts[k + 1])) == std::string::npos)
                found.emplace_back(parts[k + 1]);
        co_return found;
    }

    // The work is committed. From here only HEAD and the index are updated; files are not changed.
    asio::awaitable<void> update_tree()
    {
        if (!link_to_entry(entry_))
            done_.warnings.push_back(fmt::format("{} is now a separate repository.",
                                                 shown((entry_.tree / ".git").string())));
        co_await end_unfinished(repository_.git, entry_);
        if (head_.branch != branch_) co_await return_to_branch();
        if (branch_of(entry_.git_dir) == branch_) co_await follow_with_index();
    }

    asio::awaitable<void> return_to_branch()
    {
        if (!branch_elsewhere(repository_, entry_, branch_).empty()) co_return;
        (void)co_await repository_.git(entry_.context(), "symbolic-ref", "-m", "autoexec", "HEAD",
                                       branch_ref(branch_));
    }

    asio::awaitable<void> follow_with_index()
    {
        const auto install = [this] { return snapshot_.fresh->install(entry_); };
        const bool installed = co_await repository_.wait_until(install);
        if (!installed) co_return warn_of_lock();
        if (snapshot_.fresh_keeps_sparse) co_return;
        // An empty index makes git recompute the files that sparse-checkout omits.
        std::error_code ignored;
        fs::remove(entry_.git_dir / "index", ignored);
        const auto reset =
            co_await repository_.git(entry_.context(), "reset", "--quiet", "--mixed");
        if (reset.ok()) co_return;
        done_.warnings.push_back(
            fmt::format("The index of {0} cannot be rebuilt: {1}. All work is committed, but git "
                        "shows changes that do not exist. Rebuild it: git -C '{0}' reset --mixed",
                        shown(entry_.tree.string()), reason_of(reset)));
    }

    void warn_of_lock()
    {
        done_.warnings.push_back(
            fmt::format("{} exists; a killed git process may have left it. All work is committed, "
                        "but git will not work there until you remove that file.",
                        (entry_.git_dir / "index.lock").string()));
    }

    asio::awaitable<void> warn_of_included()
    {
        const auto paths = included_paths(entry_);
        if (paths.empty()) co_return;
        const auto listing = co_await repository_.run("ls-tree", "-r", "-z", "--name-only",
                                                      "--full-tree", done_.commit);
        for (const auto path : split_nul(listing.output))
            if (std::binary_search(paths.begin(), paths.end(), path))
                done_.warnings.push_back(fmt::format(
                    "'{}', copied by .worktreeinclude, is in a commit that was made in the tree.",
                    shown(path)));
    }

    Repository& repository_;
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

asio::awaitable<CommittedWork> commit_work(Repository& repository, fs::path tree,
                                           std::string branch, std::string message,
                                           CommitRules rules)
{
    const auto entry = find_entry(repository.common, tree);
    CommittedWork done;
    if (!entry)
        done.problem =
            fmt::format("{} is not a worktree of this repository.", shown(tree.string()));
    else if (entry->missing())
        done.problem = fmt::format("The worktree {} is missing.", shown(tree.string()));
    if (!done.problem.empty()) co_return done;
    sweep_temporary_indexes(*entry);
    WorkCommit work(repository, *entry, std::move(branch), std::move(message), std::move(rules));
    co_return co_await work.run();
}

}  // namespace autoexec::git
