#include "autoexec/session.hpp"

#include "agent/agents_file_reader.hpp"
#include "async/launch.hpp"
#include "async/short_names.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/bind_executor.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <new>
#include <span>
#include <string>
#include <vector>

namespace autoexec::inline v1 {
namespace {

namespace fs = std::filesystem;
using Outcome = async::OperationResult<ExecutionResult>;

AgentsFile agents_of(const fs::path& project_root)
{
    auto loaded = load_agents(project_root);
    if (loaded.missing) return shell_agents();
    if (!loaded.errors.empty())
        throw system_error(errc::invalid_agents_file,
                           to_string(std::span<const Diagnostic>(loaded.errors)));
    return std::move(loaded.file);
}

// Both sides of a command are in this process, and agree about it.
SessionOptions connected(SessionOptions o)
{
    auto& e = o.executor;
    auto& a = o.agent;
    if (e.project_root.empty()) e.project_root = fs::current_path();
    if (!o.agents) o.agents = agents_of(e.project_root);
    if (!e.clock) e.clock = system_clock();
    if (!e.notifier) e.notifier = local_notifier();
    if (!e.offers) e.offers = local_offers();
    if (!e.redactor) e.redactor = std::make_shared<const Redactor>();
    if (e.max_parallel == 0 && o.agents->max_parallel_agents > 0)
        e.max_parallel = static_cast<std::size_t>(o.agents->max_parallel_agents);
    if (e.agent_limits.empty()) e.agent_limits = agent::limits_of(*o.agents);
    e.agent_in_process = true;

    a.agents = *o.agents;
    a.agents.accept_legacy = false;
    a.agents.max_parallel_agents = 0;  // the executor has that limit
    a.project_root = e.project_root;
    a.status_file_name = e.status_file_name;
    a.worktrees.clear();
    a.find_worktrees = false;
    a.alone = true;
    a.clock = e.clock;
    a.notifier = e.notifier;
    a.offers = e.offers;
    a.redactor = e.redactor;
    if (e.audit) a.sinks.push_back(e.audit);
    if (!a.spawner) a.spawner = supervised_spawner();
    std::string several;
    const auto* const only = agent::select_agent(*o.agents, {}, several);
    if (e.default_agent.empty() && only != nullptr) e.default_agent = only->name;
    return o;
}

std::string sentence_of(const ExecutionResult& result)
{
    return result.error ? result.error->message : std::string();
}

}  // namespace

struct Session::Impl : std::enable_shared_from_this<Session::Impl> {
    Impl(asio::any_io_executor e, SessionOptions o)
        : options(connected(std::move(o))), strand(e), executor(e, options.executor)
    {
        agent::check(*options.agents);
    }

    asio::awaitable<Outcome> run(std::shared_ptr<Impl> keep, CommandRequest request);
    asio::awaitable<void> stop(std::shared_ptr<Impl> keep);
    void enter(const fs::path& worktree);
    void leave();
    void wake_if_idle();
    [[nodiscard]] bool idle() const noexcept { return commands == 0 && agents == 0; }

    SessionOptions options;
    async::Strand strand;
    BackgroundAgentAutoExecutor executor;
    std::shared_ptr<BackgroundAgent> agent;  ///< While commands run.
    std::size_t commands = 0;
    std::size_t agents = 0;  ///< That one, and those that are being stopped.
    std::vector<Timer*> until_idle;
};

void Session::Impl::enter(const fs::path& worktree)
{
    if (!agent) {
        agent = std::make_shared<BackgroundAgent>(strand.get_inner_executor(), options.agent);
        ++agents;
        const auto ended = [self = shared_from_this()](error_code) {
            --self->agents;
            self->wake_if_idle();
        };
        agent->async_run(asio::bind_executor(strand, ended));
    }
    agent->add_worktree(worktree);
}

// Not in a destructor: a coroutine that is destroyed with its context can start nothing.
void Session::Impl::leave()
{
    if (--commands > 0) return;
    if (agent) agent->async_stop(asio::detached);
    agent.reset();
    wake_if_idle();
}

void Session::Impl::wake_if_idle()
{
    if (!idle()) return;
    for (auto* const waiter : until_idle) waiter->wake();
}

asio::awaitable<Outcome> Session::Impl::run(std::shared_ptr<Impl>, CommandRequest request)
{
    co_await asio::this_coro::reset_cancellation_state(asio::enable_total_cancellation());
    co_await asio::this_coro::throw_if_cancelled(false);
    Outcome outcome{};
    ++commands;
    try {
        std::string problem;  // an agent that does not exist is a result, by the agent's side
        if (const auto* const definition =
                agent::select_agent(*options.agents, request.agent, problem))
            agent::complete_request(*options.agents, *definition, request);
        enter(request.worktree);
        auto operation =
            executor.async_execute_command(std::move(request), asio::as_tuple(asio::use_awaitable));
        auto [ec, result] = co_await std::move(operation);
        outcome.ec = ec;
        outcome.result = std::move(result);
    } catch (const std::bad_alloc&) {
        outcome.ec = errc::no_resources;
    }
    leave();
    co_return outcome;
}

asio::awaitable<void> Session::Impl::stop(std::shared_ptr<Impl>)
{
    co_await asio::this_coro::reset_cancellation_state(asio::disable_cancellation());
    co_await executor.stop();
    const auto waiter = options.executor.clock->make_timer(strand);
    until_idle.push_back(waiter.get());
    while (!idle()) co_await waiter->wait_until(time_point::max());
    std::erase(until_idle, waiter.get());
}

Session::Session(executor_type ex, SessionOptions options)
    : impl_(std::make_shared<Impl>(std::move(ex), std::move(options)))
{}

Session::Session(executor_type ex) : Session(std::move(ex), SessionOptions()) {}

Session::~Session() = default;

void Session::start_run(
    std::shared_ptr<Impl> impl, CommandRequest request,
    boost::asio::any_completion_handler<void(error_code, ExecutionResult)> handler)
{
    auto& i = *impl;
    async::launch(i.strand, i.run(std::move(impl), std::move(request)), std::move(handler));
}

void Session::start_stop(std::shared_ptr<Impl> impl,
                         boost::asio::any_completion_handler<void(error_code)> handler)
{
    auto& i = *impl;
    async::launch(i.strand, async::no_error(i.stop(std::move(impl))), std::move(handler));
}

asio::awaitable<ExecutionResult> Session::run(CommandRequest request)
{
    return async::unwrap(impl_->strand, impl_->run(impl_, std::move(request)), sentence_of);
}

asio::awaitable<void> Session::stop()
{
    return asio::co_spawn(impl_->strand, impl_->stop(impl_), asio::use_awaitable);
}

BackgroundAgentAutoExecutor& Session::executor() noexcept
{
    return impl_->executor;
}

const AgentsFile& Session::agents() const noexcept
{
    return *impl_->options.agents;
}

asio::any_io_executor Session::get_executor() const noexcept
{
    return impl_->strand.get_inner_executor();
}

}  // namespace autoexec::inline v1
