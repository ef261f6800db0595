#include "git/repository.hpp"

#include "async/on_cancel.hpp"
#include "git/open.hpp"
#include "git/repository_impl.hpp"
#include "git_files/exclude.hpp"
#include "protocol/control_files.hpp"
#include "protocol/layout.hpp"

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <system_error>
#include <utility>

namespace autoexec::git {
namespace {

namespace fs = std::filesystem;

template <class Result, class Kept>
asio::awaitable<Result> without_cancellation([[maybe_unused]] Kept keep,
                                             asio::awaitable<Result> work)
{
    co_await asio::this_coro::reset_cancellation_state(asio::disable_cancellation());
    co_return co_await std::move(work);
}

// Runs as a separate coroutine, so that the caller's can still be cancelled afterwards. A
// cancellation ends git calls; the operation itself continues and reports the problem.
template <class Result, class Kept>
asio::awaitable<Result> uninterrupted(Kept keep, std::shared_ptr<Interrupt> interrupt,
                                      std::shared_ptr<Clock> clock, asio::awaitable<Result> work)
{
    const auto cancellation = co_await asio::this_coro::cancellation_state;
    const async::OnCancel end_calls(
        cancellation.slot(),
        [interrupt = std::move(interrupt), clock = std::move(clock)](asio::cancellation_type type) {
            interrupt->cancel(*clock, type);
        });
    auto all = without_cancellation(std::move(keep), std::move(work));
    auto spawned = asio::co_spawn(
        co_await asio::this_coro::executor, std::move(all),
        asio::bind_cancellation_slot(asio::cancellation_slot{}, asio::use_awaitable));
    co_return co_await std::move(spawned);
}

template <class Result>
asio::awaitable<Result> uninterrupted(std::shared_ptr<Repository::Impl> impl,
                                      asio::awaitable<Result> work)
{
    auto interrupt = impl->options.interrupt;
    auto clock = impl->options.clock;
    return uninterrupted(std::move(impl), std::move(interrupt), std::move(clock), std::move(work));
}

fs::path canonical_or_same(const fs::path& path)
{
    std::error_code ec;
    auto found = fs::canonical(path, ec);
    return ec ? path : found;
}

// The common pattern is relative to the top.
void exclude_trees(const Discovery& found, const fs::path& project_root)
{
    const auto below = project_root.lexically_relative(found.project.work_tree);
    if (below == ".") return;
    (void)git_files::exclude(
        found.common, {git_files::exclude_pattern(below.string()) + '/' + layout::worktrees + '/'});
}

}  // namespace

Repository::Impl::Impl(RepositoryOptions o, Git g, GitContext p, fs::path common_dir)
    : options(std::move(o)),
      git(std::move(g)),
      project(std::move(p)),
      common(std::move(common_dir)),
      bare(common, fs::path()),
      queue(common / "autoexec" / "repository.lock", options.clock, options.lock_timeout,
            options.interrupt)
{}

Repository::Repository(std::shared_ptr<Impl> impl) : impl_(std::move(impl)) {}

void Repository::hold(int lock)
{
    impl_->git.hold(lock);
}

asio::awaitable<Repository::Opened> Repository::open(RepositoryOptions options)
{
    if (!options.interrupt) options.interrupt = std::make_shared<Interrupt>();
    auto interrupt = options.interrupt;
    auto clock = options.clock;
    return uninterrupted(nullptr, std::move(interrupt), std::move(clock),
                         open_whole(std::move(options)));
}

asio::awaitable<Repository::Opened> Repository::open_whole(RepositoryOptions options)
{
    Opened opened;
    const Git git(options.spawner, options.clock, options.interrupt);
    options.project_root = canonical_or_same(options.project_root);
    auto found = co_await discover(git, options.project_root);
    opened.problem = std::move(found.problem);
    if (!opened.problem.empty()) co_return opened;
    // Worktrees are inside the project: its own tree must not list them as new files.
    (void)git_files::exclude(found.common, git_files::control_patterns(control_files::status));
    exclude_trees(found, options.project_root);
    auto impl = std::make_shared<Impl>(std::move(options), git, std::move(found.project),
                                       std::move(found.common));
    impl->main = std::move(found.main);
    opened.repository.reset(new Repository(std::move(impl)));
    co_return opened;
}

const fs::path& Repository::common_dir() const noexcept
{
    return impl_->common;
}

fs::path Repository::trees_folder() const
{
    return impl_->trees_folder();
}

void Repository::work_for(std::string run_id)
{
    impl_->run_id = std::move(run_id);
}

bool Repository::is_cancelled() const noexcept
{
    return impl_->options.interrupt->is_requested();
}

asio::awaitable<Commit> Repository::resolve(std::string revision)
{
    return uninterrupted(impl_, impl_->resolve(std::move(revision)));
}

asio::awaitable<bool> Repository::holds(std::string commit, std::string path)
{
    return uninterrupted(impl_, impl_->holds(std::move(commit), std::move(path)));
}

asio::awaitable<Problem> Repository::set_branch(std::string branch, std::string commit,
                                                std::string old)
{
    return uninterrupted(impl_,
                         impl_->set_branch(std::move(branch), std::move(commit), std::move(old)));
}

asio::awaitable<Problem> Repository::advance(std::string branch, std::string commit,
                                             std::string old)
{
    return uninterrupted(impl_,
                         impl_->advance(std::move(branch), std::move(commit), std::move(old)));
}

asio::awaitable<bool> Repository::contains(std::string commit, std::string ancestor)
{
    return uninterrupted(impl_, impl_->contains(std::move(commit), std::move(ancestor)));
}

asio::awaitable<NewTree> Repository::add_tree(std::string name, std::string base, bool reuse)
{
    return uninterrupted(impl_, impl_->add_tree(std::move(name), std::move(base), reuse));
}

asio::awaitable<CommittedWork> Repository::commit_work(std::filesystem::path tree,
                                                       std::string branch, std::string message,
                                                       CommitRules rules)
{
    return uninterrupted(impl_, impl_->commit_work(std::move(tree), std::move(branch),
                                                   std::move(message), std::move(rules)));
}

asio::awaitable<KeptArtifacts> Repository::keep_ignored(std::filesystem::path tree, ArtifactRef ref,
                                                        std::vector<std::string> declared)
{
    return uninterrupted(impl_,
                         impl_->keep_ignored(std::move(tree), std::move(ref), std::move(declared)));
}

asio::awaitable<Problem> Repository::lay_artifacts(std::filesystem::path tree,
                                                   std::vector<ArtifactSource> sources,
                                                   bool keep_existing)
{
    return uninterrupted(impl_,
                         impl_->lay_artifacts(std::move(tree), std::move(sources), keep_existing));
}

asio::awaitable<std::vector<ArtifactInfo>> Repository::artifacts()
{
    return uninterrupted(impl_, impl_->artifacts());
}

asio::awaitable<Problem> Repository::drop(ArtifactInfo artifacts)
{
    return uninterrupted(impl_,
                         impl_->drop_ref(std::move(artifacts.ref), std::move(artifacts.commit)));
}

asio::awaitable<Merged> Repository::merge(std::string ours, std::string theirs, std::string message)
{
    return uninterrupted(impl_,
                         impl_->merge(std::move(ours), std::move(theirs), std::move(message)));
}

asio::awaitable<NewTree> Repository::open_conflict(std::string name, std::string ours,
                                                   std::string theirs, std::string message)
{
    return uninterrupted(impl_, impl_->open_conflict(std::move(name), std::move(ours),
                                                     std::move(theirs), std::move(message)));
}

asio::awaitable<Commit> Repository::resolved_conflict(std::string name, std::string ours,
                                                      std::string theirs)
{
    return uninterrupted(
        impl_, impl_->resolved_conflict(std::move(name), std::move(ours), std::move(theirs)));
}

asio::awaitable<Merged> Repository::merge_into(std::string branch, std::string commit,
                                               std::string message)
{
    return uninterrupted(
        impl_, impl_->merge_into(std::move(branch), std::move(commit), std::move(message)));
}

asio::awaitable<Salvage> Repository::salvage(std::filesystem::path tree, SalvageOptions options)
{
    return uninterrupted(impl_, impl_->salvage(std::move(tree), std::move(options)));
}

asio::awaitable<Salvage> Repository::reset(std::filesystem::path tree, std::string branch,
                                           std::string commit, std::string reason)
{
    return uninterrupted(impl_, impl_->reset(std::move(tree), std::move(branch), std::move(commit),
                                             std::move(reason)));
}

asio::awaitable<Salvage> Repository::remove(std::filesystem::path tree, SalvageOptions options)
{
    return uninterrupted(impl_, impl_->remove(std::move(tree), std::move(options)));
}

asio::awaitable<Problem> Repository::removal_blocker(std::filesystem::path tree,
                                                     SalvageOptions options)
{
    return uninterrupted(impl_, impl_->removal_blocker(std::move(tree), std::move(options)));
}

asio::awaitable<std::vector<std::string>> Repository::branches()
{
    return uninterrupted(impl_, impl_->branches());
}

asio::awaitable<RemovedBranch> Repository::remove_branch(std::string branch,
                                                         BranchRemovalOptions options)
{
    return uninterrupted(impl_, impl_->remove_branch(std::move(branch), std::move(options)));
}

asio::awaitable<Problem> Repository::drop(SalvageInfo salvage)
{
    return uninterrupted(impl_, impl_->drop(std::move(salvage)));
}

void Repository::sweep()
{
    impl_->sweep();
}

asio::awaitable<std::vector<TreeInfo>> Repository::trees()
{
    return uninterrupted(impl_, impl_->trees());
}

asio::awaitable<std::vector<SalvageInfo>> Repository::salvages()
{
    return uninterrupted(impl_, impl_->salvages());
}

asio::awaitable<NewTree> Repository::restore(std::string salvage_ref, std::string name)
{
    return uninterrupted(impl_, impl_->restore(std::move(salvage_ref), std::move(name)));
}

asio::awaitable<std::string> Repository::state_of(std::filesystem::path tree)
{
    return uninterrupted(impl_, impl_->state_of(std::move(tree)));
}

}  // namespace autoexec::git
