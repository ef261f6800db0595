#include "autoexec/agent.hpp"

#include "agent/agents_file_reader.hpp"
#include "agent/command_job.hpp"
#include "agent/work_finder.hpp"
#include "async/launch.hpp"
#include "async/rate_limit.hpp"
#include "files/safe_files.hpp"
#include "git_files/exclude.hpp"
#include "git_files/git_dir.hpp"
#include "handoff/agent_mailbox.hpp"
#include "logging/log.hpp"
#include "protocol/error_codes.hpp"
#include "protocol/layout.hpp"
#include "records/agent_presence.hpp"
#include "text/text.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/dispatch.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/strand.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <fmt/format.h>

#include <sys/stat.h>
#include <unistd.h>

#include <map>
#include <new>
#include <optional>
#include <set>
#include <utility>

namespace autoexec::inline v1 {
namespace {

namespace fs = std::filesystem;

// For how long, and how often, the agent scans after git has begun to make a worktree.
constexpr std::chrono::seconds time_for_new_worktree{2};
constexpr std::chrono::milliseconds scan_interval_of_new{50};
// Those below the globs of watch_paths. The others are searched at intervals.
constexpr std::size_t max_glob_folders = 1000;
constexpr std::chrono::milliseconds between_glob_walks{200};
constexpr agent::WalkLimits limits_after_event{10'000};

void limit_to_agents_file(AgentOptions& o)
{
    if (o.max_parallel == 0) o.max_parallel = o.agents.max_parallel_agents;
}

void fill_in(AgentOptions& o)
{
    if (o.project_root.empty()) o.project_root = fs::current_path();
    o.project_root = fs::absolute(o.project_root).lexically_normal();
    if (!o.clock) o.clock = system_clock();
    if (!o.notifier) o.notifier = null_notifier();
    if (!o.spawner) o.spawner = supervised_spawner();
    if (!o.redactor) o.redactor = std::make_shared<const Redactor>();
    limit_to_agents_file(o);
}

// If that fails, too, the job is destroyed with its claim, whose lock ends with the program, and
// the executor reports a lost agent.
void try_to_refuse(agent::CommandJob& job) noexcept
{
    try {
        job.refuse(error_codes::no_resources, "The agent ran out of memory.");
    } catch (const std::bad_alloc&) {
    }
}

}  // namespace

struct BackgroundAgent::Impl : std::enable_shared_from_this<BackgroundAgent::Impl> {
    Impl(const asio::any_io_executor& e, AgentOptions o)
        : options(std::move(o)),
          strand(e),
          id(fmt::format("autoexec-{}", text::new_uuid())),
          trust{git_files::common_dir_of(options.project_root), options.offers},
          alarm(options.clock->make_timer(strand))
    {}

    struct WatchedTree {
        Notifier::Subscription subscription;
        std::shared_ptr<agent::CommandJob> job;  ///< The job that runs here.
        FileStamp logged;                        ///< The foreign command file that was logged last.
        bool keep = false;                       ///< Configured, not discovered.
        /// There was no scan yet, or the last one left a command that can become ours without an
        /// event.
        bool undecided = true;
        /// A program that changes its files without a pause must not keep the agent busy.
        async::RateLimit scans{1000};
    };

    asio::awaitable<void> run(std::shared_ptr<Impl> keep);
    asio::awaitable<void> stop(std::shared_ptr<Impl> keep);
    asio::awaitable<void> work(std::shared_ptr<Impl> keep, fs::path tree,
                               std::shared_ptr<agent::CommandJob> job,
                               const AgentDefinition* definition);
    void announce();
    void add(const fs::path& given, bool keep);
    void find_and_scan(bool thorough);
    void scan_soon();
    void find_trees(bool with_globs);
    std::vector<fs::path> walk_all_globs();
    void walk_changed_globs();
    [[nodiscard]] std::vector<std::string> globs() const;
    [[nodiscard]] bool is_watched(const fs::path& glob_folder) const;
    void watch_glob_folder(const fs::path& folder);
    void note_glob_change(const fs::path& folder);
    void watch_for_worktrees(bool again);
    void scan_all(bool covered_too);
    void scan_after_event(const fs::path& tree);
    void scan(const fs::path& tree);
    void claim_command(const fs::path& tree, WatchedTree& watched_tree,
                       std::unique_ptr<handoff::AgentMailbox> mailbox,
                       handoff::AgentMailbox::Found found);
    void report_shortage(const fs::path& tree);
    void log_foreign_once(const fs::path& tree, WatchedTree& watched_tree,
                          const handoff::AgentMailbox::Found& found);
    [[nodiscard]] fs::path absolute(const fs::path& tree) const;
    [[nodiscard]] bool has_room() const noexcept
    {
        return options.max_parallel <= 0 || running < options.max_parallel;
    }

    AgentOptions options;
    asio::strand<asio::any_io_executor> strand;
    std::string id;
    handoff::AgentMailbox::Trust trust;
    std::unique_ptr<Timer> alarm;
    std::map<fs::path, WatchedTree> watched_trees;
    Notifier::Subscription new_worktrees;
    std::map<fs::path, Notifier::Subscription> glob_folders;  ///< Where a command may appear.
    std::set<fs::path> changed_globs;                         ///< Those to search again.
    time_point next_glob_walk{};
    time_point next_scan{};
    time_point expect_worktrees_until{};
    int running = 0;
    bool stopping = false;
    bool looping = false;
    std::vector<Timer*> until_idle;
    std::optional<records::AgentPresence> presence;
    bool announce_failure_logged = false;
};

asio::awaitable<void> BackgroundAgent::Impl::run(std::shared_ptr<Impl>)
{
    co_await asio::this_coro::reset_cancellation_state(asio::enable_total_cancellation());
    co_await asio::this_coro::throw_if_cancelled(false);
    looping = true;
    if (!options.alone) announce();
    for (const auto& tree : options.worktrees) add(tree, true);
    auto next_thorough = options.clock->now();
    while (!stopping) {
        const auto state = co_await asio::this_coro::cancellation_state;
        if (state.cancelled() != asio::cancellation_type::none) break;
        const auto now = options.clock->now();
        if (!changed_globs.empty() && now >= next_glob_walk) walk_changed_globs();
        if (now >= next_scan) {
            const bool thorough = now >= next_thorough;
            if (thorough) next_thorough = now + options.watch_paths_interval;
            find_and_scan(thorough);
            const bool soon = now < expect_worktrees_until;
            next_scan = now + (soon ? std::min(options.scan_interval, scan_interval_of_new)
                                    : options.scan_interval);
        }
        const auto next = changed_globs.empty() ? next_scan : std::min(next_scan, next_glob_walk);
        co_await alarm->wait_until(next);
    }
    new_worktrees.reset();
    glob_folders.clear();
    looping = false;
    co_await stop(shared_from_this());
}

void BackgroundAgent::Impl::find_and_scan(bool thorough)
{
    if (options.find_worktrees) {
        find_trees(thorough);
        watch_for_worktrees(thorough);
        const bool announced = presence && !presence->is_removed();
        if (thorough && !options.alone && !announced) announce();
    }
    scan_all(thorough);
}

void BackgroundAgent::Impl::scan_soon()
{
    next_scan = options.clock->now();
    alarm->wake();
}

asio::awaitable<void> BackgroundAgent::Impl::stop(std::shared_ptr<Impl>)
{
    co_await asio::this_coro::reset_cancellation_state(asio::disable_cancellation());
    stopping = true;
    alarm->wake();
    for (const auto& [tree, watched_tree] : watched_trees)
        if (watched_tree.job) watched_tree.job->stop();
    const auto idle = options.clock->make_timer(strand);
    until_idle.push_back(idle.get());
    while (running > 0 || looping) co_await idle->wait_until(time_point::max());
    std::erase(until_idle, idle.get());
    for (auto* const other : until_idle) other->wake();
    watched_trees.clear();
    if (presence) presence->remove();
    presence.reset();
}

// Lets other processes see that an agent serves the project. An agent that serves only the executor
// of its own process is not announced.
void BackgroundAgent::Impl::announce()
{
    protocol::AgentRecord record;
    record.agent_id = id;
    record.pid = ::getpid();
    record.host = handoff::host_name();
    record.started_at = options.clock->system_now();
    for (const auto& definition : options.agents.agents)
        if (agent::accepts_commands(definition)) record.agents.push_back(definition.name);
    if (const auto git_dir = git_files::git_dir_of(options.project_root))
        (void)git_files::exclude(git_files::git_common_dir(*git_dir),
                                 git_files::control_patterns(options.status_file_name));
    error_code ec;
    presence = records::AgentPresence::create(options.project_root, record, ec);
    if (ec && !std::exchange(announce_failure_logged, true))
        logging::log(logging::LogLevel::warning,
                     "cannot announce this agent in {}: {}; status and health will not show it",
                     (options.project_root / layout::agents).string(), ec.message());
}

void BackgroundAgent::Impl::add(const fs::path& given, bool keep)
{
    const auto tree = absolute(given);
    auto& watched_tree = watched_trees[tree];
    watched_tree.keep |= keep;
    if (watched_tree.subscription) return;
    watched_tree.subscription =
        options.notifier->watch_commands(tree, [weak = weak_from_this(), tree] {
            const auto self = weak.lock();
            if (!self) return;
            asio::post(self->strand, [weak, tree] {
                if (const auto impl = weak.lock()) impl->scan_after_event(tree);
            });
        });
}

// One name for each worktree: the one that an executor uses in notifications.
fs::path BackgroundAgent::Impl::absolute(const fs::path& tree) const
{
    fs::path path = files::normal_path(tree.is_absolute() ? tree : options.project_root / tree);
    return path.has_filename() ? path : path.parent_path();
}

void BackgroundAgent::Impl::find_trees(bool with_globs)
{
    std::set<fs::path> found;
    for (auto& tree : agent::git_worktrees(options.project_root)) found.insert(std::move(tree));
    found.insert(options.project_root);
    if (with_globs)
        for (auto& tree : walk_all_globs()) found.insert(std::move(tree));
    for (const auto& tree : found) add(tree, false);
    if (!with_globs) return;
    std::erase_if(watched_trees, [&](const auto& item) {
        return !item.second.keep && !item.second.job && !found.contains(item.first);
    });
}

std::vector<std::string> BackgroundAgent::Impl::globs() const
{
    std::vector<std::string> all;
    for (const auto& definition : options.agents.agents)
        if (agent::accepts_commands(definition))
            all.insert(all.end(), definition.watch_paths.begin(), definition.watch_paths.end());
    return all;
}

// Each folder is watched before it is read, so that nothing new in it is missed.
std::vector<fs::path> BackgroundAgent::Impl::walk_all_globs()
{
    std::set<fs::path> entered;
    changed_globs.clear();
    auto found =
        agent::watched_folders(options.project_root, globs(), {}, {{}, [&](const auto& f) {
                                                                       entered.insert(f);
                                                                       watch_glob_folder(f);
                                                                       return true;
                                                                   }});
    std::erase_if(glob_folders, [&](const auto& item) { return !entered.contains(item.first); });
    return found;
}

// The folders with a change, and those below that are new.
void BackgroundAgent::Impl::walk_changed_globs()
{
    next_glob_walk = options.clock->now() + between_glob_walks;
    const auto changed = std::exchange(changed_globs, {});
    const auto found = agent::watched_folders(options.project_root, globs(), limits_after_event,
                                              {changed, [&](const fs::path& folder) {
                                                   if (is_watched(folder))
                                                       return changed.contains(folder);
                                                   watch_glob_folder(folder);
                                                   return true;
                                               }});
    for (const auto& tree : found) {
        add(tree, false);
        if (watched_trees.at(tree).undecided) scan(tree);
    }
}

bool BackgroundAgent::Impl::is_watched(const fs::path& glob_folder) const
{
    return glob_folders.contains(glob_folder) &&
           options.notifier->coverage(glob_folder) == Coverage::all;
}

void BackgroundAgent::Impl::watch_glob_folder(const fs::path& folder)
{
    if (is_watched(folder)) return;
    glob_folders.erase(folder);
    if (glob_folders.size() >= max_glob_folders) return;
    auto subscription = options.notifier->watch(folder, [weak = weak_from_this(), folder] {
        const auto self = weak.lock();
        if (!self) return;
        asio::post(self->strand, [weak, folder] {
            if (const auto impl = weak.lock()) impl->note_glob_change(folder);
        });
    });
    if (options.notifier->coverage(folder) == Coverage::all)
        glob_folders.emplace(folder, std::move(subscription));
}

void BackgroundAgent::Impl::note_glob_change(const fs::path& folder)
{
    const bool is_first = changed_globs.empty();
    changed_globs.insert(folder);
    if (is_first) alarm->wake();
}

// git makes the entry of a worktree, and the worktree a moment later.
void BackgroundAgent::Impl::watch_for_worktrees(bool again)
{
    if (!trust.common_dir || (new_worktrees && !again)) return;
    const auto entries = *trust.common_dir / "worktrees";
    if (new_worktrees && options.notifier->coverage(entries) == Coverage::all) return;
    std::error_code ec;
    if (!fs::is_directory(entries, ec)) return;
    new_worktrees = options.notifier->watch_folder(entries, [weak = weak_from_this()] {
        const auto self = weak.lock();
        if (!self) return;
        asio::post(self->strand, [weak] {
            const auto impl = weak.lock();
            if (!impl) return;
            impl->expect_worktrees_until = impl->options.clock->now() + time_for_new_worktree;
            impl->scan_soon();
        });
    });
}

void BackgroundAgent::Impl::scan_all(bool covered_too)
{
    std::vector<fs::path> trees;  // scanning may change the map
    trees.reserve(watched_trees.size());
    for (const auto& [tree, watched_tree] : watched_trees)
        if (covered_too || watched_tree.undecided ||
            options.notifier->coverage(tree) != Coverage::all)
            trees.push_back(tree);
    for (const auto& tree : trees) scan(tree);
}

void BackgroundAgent::Impl::scan_after_event(const fs::path& tree)
{
    const auto found = watched_trees.find(tree);
    if (found == watched_trees.end()) return;
    const auto now = options.clock->now();
    if (found->second.scans.next(now) == now)
        scan(tree);
    else
        found->second.undecided = true;  // the next scan of all worktrees includes it
}

void BackgroundAgent::Impl::scan(const fs::path& tree)
{
    const auto found_tree = watched_trees.find(tree);
    if (stopping || found_tree == watched_trees.end()) return;
    auto& watched_tree = found_tree->second;
    if (watched_tree.job) {
        watched_tree.job->wake();
        return;
    }
    watched_tree.undecided = handoff::AgentMailbox::may_have_command(tree);
    if (!watched_tree.undecided || !has_room()) return;  // leave the command to other agents
    auto mailbox = handoff::AgentMailbox::open(tree, options.status_file_name, trust);
    if (!mailbox) {
        if (!files::has_descriptors_left(1)) report_shortage(tree);
        return;
    }
    auto found = mailbox->find(options.agents.accept_legacy);
    if (mailbox->lacks_resources()) report_shortage(tree);
    watched_tree.undecided =
        mailbox->lacks_resources() || found.state == handoff::AgentMailbox::Found::State::foreign;
    if (found.state == handoff::AgentMailbox::Found::State::none) return;
    if (found.state == handoff::AgentMailbox::Found::State::foreign)
        log_foreign_once(tree, watched_tree, found);
    else
        claim_command(tree, watched_tree, std::move(mailbox), std::move(found));
}

// Otherwise an executor of this process would wait for an agent that cannot read the command.
void BackgroundAgent::Impl::report_shortage(const fs::path& tree)
{
    struct stat st {};
    if (!options.offers || ::stat(tree.c_str(), &st) != 0) return;
    if (options.offers->report_shortage(handoff::folder_id(st)))
        options.notifier->notify_report(tree);
}

void BackgroundAgent::Impl::claim_command(const fs::path& tree, WatchedTree& watched_tree,
                                          std::unique_ptr<handoff::AgentMailbox> mailbox,
                                          handoff::AgentMailbox::Found found)
{
    std::string problem;
    const auto* const definition = agent::select_agent(
        options.agents, options.accept_any_name ? "" : found.command.agent, problem);
    // Another agent process may have the requested name.
    if (definition == nullptr && !options.alone && !found.command.agent.empty()) {
        found.problem = std::move(problem);
        log_foreign_once(tree, watched_tree, found);
        return;
    }
    if (!mailbox->claim(found, id)) {
        if (mailbox->lacks_resources()) report_shortage(tree);
        return;
    }
    auto job = std::make_shared<agent::CommandJob>(
        options, id, tree, std::move(mailbox), std::move(found), options.clock->make_timer(strand));
    if (definition == nullptr) {
        job->refuse("no_agent", std::move(problem));
        return;
    }
    watched_tree.job = job;
    ++running;
    asio::co_spawn(strand, work(shared_from_this(), tree, std::move(job), definition),
                   asio::detached);
}

asio::awaitable<void> BackgroundAgent::Impl::work(std::shared_ptr<Impl>, fs::path tree,
                                                  std::shared_ptr<agent::CommandJob> job,
                                                  const AgentDefinition* definition)
{
    try {
        co_await agent::CommandJob::run(job, *definition);
    } catch (const std::bad_alloc&) {
        try_to_refuse(*job);
    }
    --running;
    if (const auto watched_tree = watched_trees.find(tree); watched_tree != watched_trees.end())
        watched_tree->second.job.reset();
    if (running == 0)
        for (auto* const waiter : until_idle) waiter->wake();
    // Another command may be waiting for this worktree or slot.
    if (options.max_parallel > 0) scan_soon();
    scan(tree);
}

void BackgroundAgent::Impl::log_foreign_once(const fs::path& tree, WatchedTree& watched_tree,
                                             const handoff::AgentMailbox::Found& found)
{
    if (watched_tree.logged == found.stamp) return;
    watched_tree.logged = found.stamp;
    logging::log(logging::LogLevel::debug, "{}: command file left alone: {}", tree.string(),
                 options.redactor->redact(found.problem));
}

BackgroundAgent::BackgroundAgent(asio::any_io_executor ex, AgentOptions options)
{
    agent::check(options.agents);
    fill_in(options);
    impl_ = std::make_shared<Impl>(std::move(ex), std::move(options));
}

BackgroundAgent::~BackgroundAgent() = default;

void BackgroundAgent::start_run(std::shared_ptr<Impl> impl, Handler handler)
{
    auto& i = *impl;
    async::launch(i.strand, async::no_error(i.run(std::move(impl))), std::move(handler));
}

void BackgroundAgent::start_stop(std::shared_ptr<Impl> impl, Handler handler)
{
    auto& i = *impl;
    async::launch(i.strand, async::no_error(i.stop(std::move(impl))), std::move(handler));
}

asio::awaitable<void> BackgroundAgent::run()
{
    return asio::co_spawn(impl_->strand, impl_->run(impl_), asio::use_awaitable);
}

void BackgroundAgent::add_worktree(fs::path worktree)
{
    asio::dispatch(impl_->strand, [impl = impl_, tree = std::move(worktree)] {
        impl->add(tree, true);
        impl->scan(impl->absolute(tree));
    });
}

void BackgroundAgent::set_options(WorkOptions options)
{
    asio::dispatch(impl_->strand, [impl = impl_, o = options] {
        static_cast<WorkOptions&>(impl->options) = o;
        limit_to_agents_file(impl->options);
        impl->scan_soon();
    });
}

asio::awaitable<void> BackgroundAgent::stop()
{
    return asio::co_spawn(impl_->strand, impl_->stop(impl_), asio::use_awaitable);
}

asio::any_io_executor BackgroundAgent::get_executor() const noexcept
{
    return impl_->strand.get_inner_executor();
}

}  // namespace autoexec::inline v1
