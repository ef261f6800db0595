#include "cli/session/command_session.hpp"

#include "agent/agents_file_reader.hpp"
#include "cli/session/notices.hpp"
#include "cli/session/notify.hpp"
#include "cli/session/output.hpp"
#include "cli/session/project.hpp"
#include "records/debug_log.hpp"
#include "records/line_writer.hpp"
#include "records/running.hpp"
#include "text/text.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <fmt/format.h>

#include <sys/resource.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <exception>
#include <utility>

namespace autoexec::cli {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds redraw_interval{200};
// After killing the programs, wait this long for their agent; then its claims stay.
constexpr milliseconds kill_timeout{2000};

std::uint64_t soft_limit_of_files()
{
    rlimit limit{};
    return ::getrlimit(RLIMIT_NOFILE, &limit) == 0 ? limit.rlim_cur : RLIM_INFINITY;
}

// Descriptors run out first: each command has its worktree, pipes, supervisor. The limit is raised
// to what is needed; programs get the old one.
std::size_t jobs_within_limits(std::size_t wanted, std::size_t commands, bool external_agent)
{
    const rlim_t of_one_command = external_agent ? 2 : 12;  // as the executor counts
    constexpr rlim_t of_the_program = 32;
    rlimit limit{};
    if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return wanted;
    if (wanted == 0 || wanted > commands) wanted = std::max<std::size_t>(commands, 1);
    const rlim_t needed = wanted * of_one_command + of_the_program;
    if (needed <= limit.rlim_cur) return wanted;
    limit.rlim_cur = std::min(needed, limit.rlim_max);
    (void)::setrlimit(RLIMIT_NOFILE, &limit);
    if (needed <= limit.rlim_cur) return wanted;
    const auto left = std::max(limit.rlim_cur, of_the_program) - of_the_program;
    const auto room = std::max<rlim_t>(left / of_one_command, 1);
    print_notice(fmt::format(
        "Running at most {} at once; to run more, raise the limit of open files (ulimit -n).\n",
        text::counted(room, "command")));
    return room;
}

// Flags override the configuration.
ExecutorOptions executor_options(const SessionFlags& flags, const AutoExecutionConfig& config,
                                 const std::filesystem::path& root)
{
    auto e = autoexec::executor_options(config, root);
    e.max_parallel = flags.jobs.value_or(e.max_parallel);
    e.limit_scope = LimitScope::project;
    if (const char* const attempt = std::getenv("AUTOEXEC_ATTEMPT_ID")) e.parent_attempt = attempt;
    if (flags.polling_interval) e.polling_interval = *flags.polling_interval;
    if (flags.total_timeout) e.total_timeout = *flags.total_timeout;
    if (flags.stop_grace) e.stop_grace = *flags.stop_grace;
    if (flags.external_agent) e.start_timeout = milliseconds{0};
    if (flags.wait_for_worktree) e.on_busy = OnBusy::wait;
    if (flags.fail_on_input) e.on_input = OnInput::fail;
    if (flags.max_cost_per_command) e.max_cost_per_command = *flags.max_cost_per_command;
    if (flags.max_tokens_per_command)
        e.max_tokens_per_command = static_cast<std::int64_t>(*flags.max_tokens_per_command);
    return e;
}

AgentOptions agent_options(const SessionFlags& flags, const AutoExecutionConfig& config,
                           const std::filesystem::path& root)
{
    auto a = autoexec::agent_options(config, root);
    a.max_parallel = 0;  // the executor has the limit
    a.heartbeat_interval = milliseconds{0};
    if (flags.stop_grace) a.stop_grace = *flags.stop_grace;
    return a;
}

// If not, the problem was reported before the work.
bool can_recover(const std::filesystem::path& root)
{
    error_code ec;
    (void)records::list_running(root, &ec);
    return !ec;
}

}  // namespace

CommandSession::CommandSession(const SessionFlags& flags, AutoExecutionConfigManager& manager,
                               Screen& screen, std::optional<AgentsFile> agents,
                               std::size_t commands, int checked_attempt)
    : flags_(flags),
      commands_(commands),
      manager_(manager),
      screen_(screen),
      root_(manager.project_root()),
      budget_(budget_limits(flags, manager.load()), manager.load().executor.prices,
              records::Folder::of({}, root_, "metrics")),
      signals_(ctx_, SIGINT, SIGTERM),
      records_(ctx_.get_executor(), manager.load(), root_),
      max_open_files_(soft_limit_of_files()),
      options_(make_executor_options(agents, checked_attempt)),
      max_parallel_(jobs_within_limits(options_.max_parallel, commands, flags.external_agent)),
      executor_(ctx_.get_executor(), options_),
      spawner_(supervised_spawner({}, max_open_files_)),
      notifications_(std::make_shared<notify::Notifications>(
          ctx_.get_executor(), notifications_options(manager.load().notify, root_, spawner_))),
      agent_spawner_(std::make_shared<KillingSpawner>(spawner_)),
      reloader_(
          manager, options_.audit,
          [this](const auto& config, const auto& changed) { apply(config, changed); },
          [this](const auto& problems) { reject(problems); })
{
    require_reader();
    executor_.subscribe(records::logging_sink());
    executor_.subscribe(budget_sink(budget_));
    executor_.subscribe(pause_notice());
    executor_.subscribe(notifications_);
    if (flags.external_agent) executor_.subscribe(std::make_shared<UnclaimedNotice>(root_));
    if (agents) agent_.emplace(ctx_.get_executor(), embedded_agent(*std::move(agents)));
}

ExecutorOptions CommandSession::make_executor_options(const std::optional<AgentsFile>& agents,
                                                      int checked_attempt)
{
    const bool embeds_agent = agents.has_value();
    auto e = executor_options(flags_, manager_.load(), root_);
    e.agent_in_process = embeds_agent;
    if (embeds_agent) e.agent_limits = agent::limits_of(*agents);
    e.refuse_attempt = [this, checked_attempt](int attempt) {
        return attempt < checked_attempt ? std::string() : budget_refusal();
    };
    FileNotifierOptions events;
    events.project_root = root_;
    events.status_file_name = e.status_file_name;
    // What the embedded agent changes needs no file events; the requests of other processes do.
    events.worktrees = e.file_events == FileEvents::on || !embeds_agent;
    e.notifier = e.file_events == FileEvents::off
                     ? local_notifier()
                     : file_notifier(ctx_.get_executor(), std::move(events));
    e.offers = local_offers();
    e.redactor = std::make_shared<const Redactor>();
    e.audit = records_.audit;
    e.metrics = records_.metrics;
    return e;
}

std::string CommandSession::budget_refusal()
{
    const auto now = std::chrono::system_clock::now();
    auto refusal = budget_.refusal(now);
    if (!refusal.empty()) notifications_->add(notify::notification_of_budget(refusal, now));
    return refusal;
}

AgentOptions CommandSession::embedded_agent(AgentsFile agents) const
{
    auto a = agent_options(flags_, manager_.load(), root_);
    a.agents = std::move(agents);
    a.agents.accept_legacy = false;
    a.agents.max_parallel_agents = 0;
    a.find_worktrees = false;
    a.alone = true;
    a.notifier = options_.notifier;
    a.offers = options_.offers;
    a.redactor = options_.redactor;
    a.spawner = agent_spawner_;
    if (records_.audit) a.sinks.push_back(records_.audit);
    return a;
}

// Applies a new configuration; running executions keep theirs.
void CommandSession::apply(const AutoExecutionConfig& config,
                           const std::vector<std::string>& changed)
{
    auto options = executor_options(flags_, config, root_);
    max_parallel_ = jobs_within_limits(options.max_parallel, commands_, flags_.external_agent);
    executor_.set_options(std::move(options));
    budget_.set_limits(budget_limits(flags_, config), config.executor.prices);
    notifications_->set_config(config.notify);
    if (agent_) agent_->set_options(agent_options(flags_, config, root_));
    records::set_debug_log(root_, config.debug);
    print_message("{}\n", changes_sentence(changed));
}

void CommandSession::reject(const std::vector<Diagnostic>& problems)
{
    print_message("{}The previous configuration stays in effect.\n", to_string(problems));
}

void CommandSession::add_worktree(const std::filesystem::path& worktree)
{
    if (agent_) agent_->add_worktree(worktree);
}

void CommandSession::run(asio::awaitable<void> work, Cancel cancel, Recovery recovery)
{
    cancel_ = std::move(cancel);
    asio::co_spawn(ctx_, run_all(std::move(work), recovery), [](std::exception_ptr failure) {
        if (failure) std::rethrow_exception(failure);
    });
    ctx_.run();
}

asio::awaitable<void> CommandSession::run_all(asio::awaitable<void> work, Recovery recovery)
{
    asio::co_spawn(ctx_, watch_signals(), asio::detached);
    asio::co_spawn(ctx_, redraw_periodically(), asio::detached);
    watch_configuration(ctx_.get_executor(), reloader_);
    if (agent_) asio::co_spawn(ctx_, agent_->run(), asio::detached);
    if (recovery == Recovery::before) co_await recover();
    co_await std::move(work);
    // Again: an agent that the first recovery asked to stop may have ended.
    if (recovery == Recovery::after || (interrupts_ < 2 && can_recover(root_))) co_await recover();
    co_await executor_.stop();
    if (agent_ && interrupts_ < 2) co_await agent_->stop();
    // After a second signal, do not wait for a log that another process holds.
    if (interrupts_ < 2) co_await stop_records();
    if (interrupts_ < 2) co_await notifications_->drain();
    screen_.hide();
    ctx_.stop();
}

asio::awaitable<void> CommandSession::stop_records()
{
    co_await records_.stop();
    for (const auto& loss : records_.losses()) {
        records_lost_ = true;
        print_message("{}\n", loss);
    }
}

std::string CommandSession::lost_output(const ExecutionResult& result)
{
    if (!agent_) return {};
    auto sentence = cli::lost_output(root_, result);
    records_lost_ |= !sentence.empty();
    return sentence;
}

asio::awaitable<void> CommandSession::recover()
{
    std::vector<InterruptedAttempt> interrupted;
    try {
        interrupted = co_await executor_.recover();
    } catch (const system_error& e) {
        print_message("Earlier runs could not be recovered: {}\n",
                      records::unreadable_sentence(root_, e.code()));
    }
    for (const auto& attempt : interrupted)
        print_message("interrupted: {} in {} (its executor had ended){}\n",
                      short_id(attempt.execution_id), shown_path(attempt.worktree),
                      attempt.agent_alive ? "; its agent was asked to stop" : "");
}

asio::awaitable<void> CommandSession::watch_signals()
{
    for (;;) {
        error_code ec;
        co_await signals_.async_wait(asio::redirect_error(asio::use_awaitable, ec));
        if (ec) co_return;
        if (notifications_->is_draining()) {
            notifications_->abandon();
            co_return;
        }
        if (interrupts_ == 0) {
            interrupt();
        } else {
            ++interrupts_;
            print_message("Killing the running commands.\n");
            signals_.clear();  // the default action handles a third one
            co_await kill_programs();
            cancel_(asio::cancellation_type::terminal);
            co_return;
        }
    }
}

void CommandSession::interrupt()
{
    if (interrupts_ > 0) return;
    interrupts_ = 1;
    print_message("Cancelling: agents have {} s to stop. Press Ctrl-C again to kill them.\n",
                  (options_.stop_grace.count() + 5000) / 1000);
    cancel_(asio::cancellation_type::partial);
}

// Waits until the agent has reported the results and released its claims: then all control files
// can be removed.
asio::awaitable<void> CommandSession::kill_programs()
{
    if (!agent_) co_return;
    agent_spawner_->kill_all();
    const auto kill_timer = std::make_shared<asio::steady_timer>(ctx_, kill_timeout);
    asio::co_spawn(ctx_, agent_->stop(),
                   [kill_timer](const std::exception_ptr&) { kill_timer->expires_after({}); });
    error_code ignored;
    co_await kill_timer->async_wait(asio::redirect_error(asio::use_awaitable, ignored));
}

asio::awaitable<void> CommandSession::redraw_periodically()
{
    asio::steady_timer ticker(ctx_);
    for (;;) {
        error_code ec;
        ticker.expires_after(redraw_interval);
        co_await ticker.async_wait(asio::redirect_error(asio::use_awaitable, ec));
        if (ec) co_return;
        screen_.redraw();
    }
}

}  // namespace autoexec::cli
