#include "autoexec/agent.hpp"

#include "agent/agents_file_reader.hpp"
#include "agent/job.hpp"
#include "agent/work_finder.hpp"
#include "files/resources.hpp"
#include "git_files/exclude.hpp"
#include "git_files/git_dir.hpp"
#include "handoff/agent_mailbox.hpp"
#include "logging/log.hpp"
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

namespace autoexec {
namespace {

namespace fs = std::filesystem;

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

// Where that fails, too, the claim is free without a result: the engine sees a lost agent.
void try_to_refuse(agent::Job& job) noexcept
{
    try {
        job.refuse("no_resources", "The agent ran out of memory.");
    } catch (const std::bad_alloc&) {
    }
}

}  // namespace

LoadedAgents load_agents(const fs::path& project_root)
{
    auto reading = agent::load_agents_file(project_root);
    LoadedAgents loaded;
    if (reading.file) loaded.file = std::move(*reading.file);
    loaded.errors = std::move(reading.errors);
    loaded.missing = reading.missing;
    return loaded;
}

struct BackgroundAgent::Impl : std::enable_shared_from_this<BackgroundAgent::Impl> {
    Impl(const asio::any_io_executor& e, AgentOptions o)
        : options(std::move(o)),
          strand(e),
          id(fmt::format("autoexec-{}", text::new_uuid())),
          trust{git_files::common_dir_of(options.project_root), options.offers},
          alarm(options.clock->make_timer(strand))
    {}

    struct Place {
        Notifier::Subscription subscription;
        std::shared_ptr<agent::Job> job;  ///< At work here.
        FileStamp told;                   ///< The foreign command file that was complained about.
        bool keep = false;                ///< Given, not found.
    };

    asio::awaitable<void> run(std::shared_ptr<Impl> keep);
    asio::awaitable<void> stop(std::shared_ptr<Impl> keep);
    asio::awaitable<void> work(std::shared_ptr<Impl> keep, fs::path tree,
                               std::shared_ptr<agent::Job> job, const AgentDefinition* definition);
    void announce();
    void add(const fs::path& given, bool keep);
    void find_trees(bool with_globs);
    void look_everywhere();
    void look(const fs::path& tree);
    void take(const fs::path& tree, Place& place, std::unique_ptr<handoff::AgentMailbox> box,
              handoff::AgentMailbox::Found found);
    void report_shortage(const fs::path& tree);
    void complain_once(const fs::path& tree, Place& place,
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
    std::map<fs::path, Place> places;
    int running = 0;
    bool stopping = false;
    bool looping = false;
    std::vector<Timer*> until_idle;
    std::optional<records::AgentPresence> presence;
    bool told_unannounced = false;
};

asio::awaitable<void> BackgroundAgent::Impl::run(std::shared_ptr<Impl>)
{
    co_await asio::this_coro::reset_cancellation_state(asio::enable_total_cancellation());
    co_await asio::this_coro::throw_if_cancelled(false);
    looping = true;
    if (!options.alone) announce();
    for (const auto& tree : options.worktrees) add(tree, true);
    auto next_globs = options.clock->now();
    while (!stopping) {
        const auto state = co_await asio::this_coro::cancellation_state;
        if (state.cancelled() != asio::cancellation_type::none) break;
        if (options.find_worktrees) {
            const bool with_globs = options.clock->now() >= next_globs;
            if (with_globs) next_globs = options.clock->now() + options.watch_paths_interval;
            find_trees(with_globs);
            const bool announced = presence && !presence->vanished();
            if (with_globs && !options.alone && !announced) announce();
        }
        look_everywhere();
        co_await alarm->wait_until(options.clock->now() + options.scan_interval);
    }
    looping = false;
    co_await stop(shared_from_this());
}

asio::awaitable<void> BackgroundAgent::Impl::stop(std::shared_ptr<Impl>)
{
    co_await asio::this_coro::reset_cancellation_state(asio::disable_cancellation());
    stopping = true;
    alarm->wake();
    for (const auto& [tree, place] : places)
        if (place.job) place.job->stop();
    const auto idle = options.clock->make_timer(strand);
    until_idle.push_back(idle.get());
    while (running > 0 || looping) co_await idle->wait_until(time_point::max());
    std::erase(until_idle, idle.get());
    for (auto* const other : until_idle) other->wake();
    places.clear();
    if (presence) presence->remove();
    presence.reset();
}

// For who wants to know whether an agent serves the project. One that works for the engine of its
// own process alone does not.
void BackgroundAgent::Impl::announce()
{
    records::AgentRecord record;
    record.agent_id = id;
    record.pid = ::getpid();
    record.host = handoff::host_name();
    record.started_at = text::iso_utc(options.clock->system_now());
    for (const auto& definition : options.agents.agents)
        if (agent::takes_commands(definition)) record.agents.push_back(definition.name);
    if (const auto git_dir = git_files::git_dir_of(options.project_root))
        (void)git_files::exclude(git_files::git_common_dir(*git_dir),
                                 git_files::control_patterns(options.status_file_name));
    error_code ec;
    presence = records::AgentPresence::create(options.project_root, record, ec);
    if (ec && !std::exchange(told_unannounced, true))
        logging::log(logging::LogLevel::warning,
                     "cannot announce this agent in {}: {}; status and health will not show it",
                     (options.project_root / layout::agents).string(), ec.message());
}

void BackgroundAgent::Impl::add(const fs::path& given, bool keep)
{
    const auto tree = absolute(given);
    auto& place = places[tree];
    place.keep |= keep;
    if (place.subscription) return;
    place.subscription = options.notifier->watch(tree, [weak = weak_from_this(), tree] {
        const auto self = weak.lock();
        if (!self) return;
        asio::post(self->strand, [weak, tree] {
            if (const auto impl = weak.lock()) impl->look(tree);
        });
    });
}

// One name for each worktree: that under which an engine says that it has changed.
fs::path BackgroundAgent::Impl::absolute(const fs::path& tree) const
{
    auto path = (options.project_root / tree).lexically_normal();
    return path.has_filename() ? path : path.parent_path();
}

void BackgroundAgent::Impl::find_trees(bool with_globs)
{
    std::set<fs::path> found;
    for (auto& tree : agent::git_worktrees(options.project_root)) found.insert(std::move(tree));
    found.insert(options.project_root);
    if (with_globs) {
        std::vector<std::string> globs;
        for (const auto& definition : options.agents.agents)
            if (agent::takes_commands(definition))
                globs.insert(globs.end(), definition.watch_paths.begin(),
                             definition.watch_paths.end());
        if (!globs.empty()) {
            auto watched = agent::watched_folders(options.project_root, globs);
            for (auto& tree : watched.folders) found.insert(std::move(tree));
        }
    }
    for (const auto& tree : found) add(tree, false);
    if (!with_globs) return;
    std::erase_if(places, [&](const auto& item) {
        return !item.second.keep && !item.second.job && !found.contains(item.first);
    });
}

void BackgroundAgent::Impl::look_everywhere()
{
    std::vector<fs::path> trees;  // a look may change the map
    trees.reserve(places.size());
    for (const auto& [tree, place] : places) trees.push_back(tree);
    for (const auto& tree : trees) look(tree);
}

void BackgroundAgent::Impl::look(const fs::path& tree)
{
    const auto where = places.find(tree);
    if (stopping || where == places.end()) return;
    auto& place = where->second;
    if (place.job) {
        place.job->wake();
        return;
    }
    if (!has_room()) return;  // left to others until there is
    auto box = handoff::AgentMailbox::open(tree, options.status_file_name, trust);
    if (!box) {
        if (!files::has_descriptors_left(1)) report_shortage(tree);
        return;
    }
    auto found = box->find(options.agents.accept_legacy);
    if (box->lacks_resources()) report_shortage(tree);
    if (found.state == handoff::AgentMailbox::Found::State::none) return;
    if (found.state == handoff::AgentMailbox::Found::State::foreign)
        complain_once(tree, place, found);
    else
        take(tree, place, std::move(box), std::move(found));
}

// An engine of this process would wait for an agent that can't even look.
void BackgroundAgent::Impl::report_shortage(const fs::path& tree)
{
    struct stat st {};
    if (!options.offers || ::stat(tree.c_str(), &st) != 0) return;
    if (options.offers->report_shortage(handoff::folder_id(st))) options.notifier->notify(tree);
}

void BackgroundAgent::Impl::take(const fs::path& tree, Place& place,
                                 std::unique_ptr<handoff::AgentMailbox> box,
                                 handoff::AgentMailbox::Found found)
{
    std::string problem;
    const auto* const definition =
        agent::select_agent(options.agents, found.command.agent, problem);
    // Where a name is wanted that we don't have, another agent may have it.
    if (definition == nullptr && !options.alone && !found.command.agent.empty()) {
        found.problem = std::move(problem);
        complain_once(tree, place, found);
        return;
    }
    if (!box->claim(found, id)) {
        if (box->lacks_resources()) report_shortage(tree);
        return;
    }
    agent::JobContext context{options, id, options.project_root};
    auto job = std::make_shared<agent::Job>(std::move(context), tree, std::move(box),
                                            std::move(found), options.clock->make_timer(strand));
    if (definition == nullptr) {
        job->refuse("no_agent", std::move(problem));
        return;
    }
    place.job = job;
    ++running;
    asio::co_spawn(strand, work(shared_from_this(), tree, std::move(job), definition),
                   asio::detached);
}

asio::awaitable<void> BackgroundAgent::Impl::work(std::shared_ptr<Impl>, fs::path tree,
                                                  std::shared_ptr<agent::Job> job,
                                                  const AgentDefinition* definition)
{
    try {
        co_await agent::Job::run(job, *definition);
    } catch (const std::bad_alloc&) {
        try_to_refuse(*job);
    }
    --running;
    if (const auto place = places.find(tree); place != places.end()) place->second.job.reset();
    if (running == 0)
        for (auto* const waiter : until_idle) waiter->wake();
    // Its place, or its slot, may be wanted already.
    if (options.max_parallel > 0) alarm->wake();
    look(tree);
}

void BackgroundAgent::Impl::complain_once(const fs::path& tree, Place& place,
                                          const handoff::AgentMailbox::Found& found)
{
    if (place.told == found.stamp) return;
    place.told = found.stamp;
    logging::log(logging::LogLevel::debug, "{}: command file left alone: {}", tree.string(),
                 options.redactor->redact(found.problem));
}

BackgroundAgent::BackgroundAgent(asio::any_io_executor ex, AgentOptions options)
{
    fill_in(options);
    impl_ = std::make_shared<Impl>(std::move(ex), std::move(options));
}

BackgroundAgent::~BackgroundAgent() = default;

asio::awaitable<void> BackgroundAgent::run()
{
    return asio::co_spawn(impl_->strand, impl_->run(impl_), asio::use_awaitable);
}

void BackgroundAgent::add_worktree(fs::path worktree)
{
    asio::dispatch(impl_->strand, [impl = impl_, tree = std::move(worktree)] {
        impl->add(tree, true);
        impl->look(impl->absolute(tree));
    });
}

void BackgroundAgent::set_options(WorkOptions options)
{
    asio::dispatch(impl_->strand, [impl = impl_, o = options] {
        static_cast<WorkOptions&>(impl->options) = o;
        limit_to_agents_file(impl->options);
        impl->alarm->wake();
    });
}

asio::awaitable<void> BackgroundAgent::async_stop()
{
    return asio::co_spawn(impl_->strand, impl_->stop(impl_), asio::use_awaitable);
}

}  // namespace autoexec
