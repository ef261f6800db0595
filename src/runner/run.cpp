#include "runner/cli.hpp"

#include "agent/agents_file.hpp"
#include "agent/template.hpp"
#include "autoexec/agent.hpp"
#include "autoexec/config.hpp"
#include "autoexec/diagnostic.hpp"
#include "autoexec/executor.hpp"
#include "protocol/text.hpp"
#include "records/debug_log.hpp"
#include "runner/configuration.hpp"
#include "runner/display.hpp"
#include "runner/jobs.hpp"
#include "runner/new_worktree.hpp"
#include "runner/notify.hpp"
#include "runner/project.hpp"
#include "runner/tell.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <fmt/format.h>

#include <sys/resource.h>

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <list>
#include <map>

namespace autoexec::runner {
namespace {

using std::chrono::milliseconds;
namespace fs = std::filesystem;

constexpr milliseconds redraw{200};
constexpr char own_agent[] = "autoexec run";

// Runs programs given after `--`, and command texts where the project has no agents file.
AgentDefinition make_own_agent()
{
    AgentDefinition definition;
    definition.name = own_agent;
    definition.commands.emplace_back("/bin/sh -c -- {command}");
    agent::TemplateProblem problem;
    definition.templates.push_back(
        agent::compile_template(definition.commands.front(), false, problem).value());
    definition.accept_argv = true;
    return definition;
}

/// Decides who runs what, before anything runs.
class Agents {
public:
    /// `read`: some command needs the project's agents.
    Agents(const fs::path& root, bool external, bool read) : external_(external)
    {
        if (read && !external) loaded_ = load_agents(root);
    }

    /// False when a command text needs a file that is invalid.
    [[nodiscard]] bool usable() const { return loaded_.errors.empty() || loaded_.missing; }
    [[nodiscard]] const LoadedAgents& loaded() const { return loaded_; }
    [[nodiscard]] bool own_runs_texts() const { return loaded_.missing; }

    /// Names the agent for a request; returns a sentence if there is none.
    std::string assign(CommandRequest& request, bool attempts_given) const
    {
        if (external_) return {};
        const bool own = !request.argv.empty() || (loaded_.missing && request.agent.empty());
        if (own) {
            request.agent = own_agent;
            return {};
        }
        if (loaded_.missing)
            return fmt::format(
                "there is no agent '{}': the project has no "
                ".cursor/background-agents.yaml",
                protocol::printable(request.agent));
        std::string problem;
        const auto* const definition = agent::select_agent(loaded_.file, request.agent, problem);
        if (definition == nullptr) return problem;
        request.agent = definition->name;
        if (!attempts_given && definition->retry_count)
            request.max_attempts = *definition->retry_count + 1;
        return {};
    }

    [[nodiscard]] AgentsFile all() const
    {
        AgentsFile file = loaded_.file;
        file.agents.push_back(make_own_agent());
        return file;
    }

private:
    bool external_;
    LoadedAgents loaded_;
};

// Descriptors are what runs out first: each command has its worktree, records, pipes, supervisor.
// Raised only as far as needed: programs inherit it.
std::size_t jobs_within_limits(std::size_t wanted)
{
    constexpr rlim_t of_one_command = 16;
    constexpr rlim_t of_the_program = 64;
    rlimit limit{};
    if (wanted == 0 || ::getrlimit(RLIMIT_NOFILE, &limit) != 0) return wanted;
    const rlim_t needed = wanted * of_one_command + of_the_program;
    if (needed <= limit.rlim_cur) return wanted;
    limit.rlim_cur = std::min(needed, limit.rlim_max);
    (void)::setrlimit(RLIMIT_NOFILE, &limit);
    if (needed <= limit.rlim_cur) return wanted;
    const auto room = std::max<rlim_t>(limit.rlim_cur / of_one_command, 5) - 4;
    tell(stderr, "Only {} commands at once: more need more open files (ulimit -n).\n", room);
    return room;
}

// The command line wins over what is configured.
ExecutorOptions executor_options(const RunOptions& o, const AutoExecutionConfig& config,
                                 const fs::path& root)
{
    auto e = autoexec::executor_options(config, root);
    e.max_concurrency = jobs_within_limits(o.jobs.value_or(e.max_concurrency));
    if (o.polling_interval) e.polling_interval = *o.polling_interval;
    if (o.total_timeout) e.total_timeout = *o.total_timeout;
    if (o.stop_grace) e.stop_grace = *o.stop_grace;
    if (o.external_agent) e.start_timeout = milliseconds{0};
    if (o.wait_for_worktree) e.on_busy = OnBusy::wait;
    return e;
}

AgentOptions agent_options(const RunOptions& o, const AutoExecutionConfig& config,
                           const fs::path& root)
{
    auto a = autoexec::agent_options(config, root);
    a.max_parallel = 0;  // the executor keeps the limit
    a.heartbeat = milliseconds{0};
    if (o.stop_grace) a.stop_grace = *o.stop_grace;
    return a;
}

class Run {
public:
    Run(const RunOptions& o, AutoExecutionConfigManager& manager, std::vector<Job> jobs,
        AgentsFile agents)
        : options_(o),
          root_(manager.project_root()),
          jobs_(std::move(jobs)),
          signals_(ctx_, SIGINT, SIGTERM),
          ticker_(ctx_),
          display_(std::make_shared<Display>(Display::suitable_mode(o.quiet), jobs_.size())),
          executor_options_(engine_options(manager.load())),
          executor_(ctx_.get_executor(), executor_options_),
          spawner_(supervised_spawner()),
          reloader_(
              manager, executor_options_.audit,
              [this](const auto& config, const auto& changed) { take(config, changed); },
              [this](const auto& problems) { refuse(problems); })
    {
        executor_.subscribe(display_);
        executor_.subscribe(records::logging_sink());
        if (!o.external_agent)
            agent_.emplace(ctx_.get_executor(), embedded_agent(manager.load(), std::move(agents)));
    }

    int go()
    {
        asio::co_spawn(ctx_, all(), [](std::exception_ptr failure) {
            if (failure) std::rethrow_exception(failure);
        });
        ctx_.run();
        return exit_code();
    }

private:
    ExecutorOptions engine_options(const AutoExecutionConfig& config)
    {
        auto e = executor_options(options_, config, root_);
        e.notifier = local_notifier();
        e.redactor = std::make_shared<const Redactor>();
        if (e.enable_audit)
            e.audit =
                std::make_shared<AuditLogger>(ctx_.get_executor(), audit_options(config, root_));
        return e;
    }

    AgentOptions embedded_agent(const AutoExecutionConfig& config, AgentsFile agents) const
    {
        auto a = agent_options(options_, config, root_);
        a.agents = std::move(agents);
        a.agents.accept_legacy = false;
        a.agents.max_parallel_agents = 0;
        a.find_worktrees = false;
        a.alone = true;
        a.notifier = executor_options_.notifier;
        a.redactor = executor_options_.redactor;
        a.spawner = spawner_;
        return a;
    }

    // A new configuration; executions that have begun keep theirs.
    void take(const AutoExecutionConfig& config, const std::vector<std::string>& changed)
    {
        executor_.set_options(executor_options(options_, config, root_));
        if (agent_) agent_->set_options(agent_options(options_, config, root_));
        records::set_debug_log(root_, config.debug);
        display_->say(changes_sentence(changed));
    }

    void refuse(const std::vector<Diagnostic>& problems) const
    {
        display_->say(to_string(problems) + "The configuration stays as it was.");
    }

    asio::awaitable<void> all()
    {
        const auto begin = std::chrono::steady_clock::now();
        asio::co_spawn(ctx_, watch_signals(), asio::detached);
        asio::co_spawn(ctx_, redraw_often(), asio::detached);
        keep_configuration_fresh(ctx_.get_executor(), reloader_);
        if (agent_) asio::co_spawn(ctx_, agent_->run(), asio::detached);
        for (const auto& attempt : co_await executor_.recover())
            display_->say(fmt::format("interrupted: {} in {} (its engine had ended){}",
                                      short_id(attempt.execution_id), shown_path(attempt.worktree),
                                      attempt.agent_alive ? "; its agent was told to stop" : ""));

        pending_ = jobs_.size();
        for (auto& job : jobs_) {
            std::string problem;
            if (!job.new_worktree.empty() && interrupts_ == 0) problem = co_await make_tree(job);
            if (!problem.empty())
                co_await conclude(refused(job, std::move(problem)), true);
            else
                start(job);
        }
        while (pending_ > 0) {
            error_code ignored;
            asio::steady_timer& done = done_;
            co_await done.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
        }
        co_await executor_.async_stop();
        if (agent_ && interrupts_ < 2) co_await agent_->async_stop();
        display_->clear();
        if (!options_.quiet) summary(std::chrono::steady_clock::now() - begin);
        ctx_.stop();
    }

    asio::awaitable<std::string> make_tree(Job& job)
    {
        auto made = co_await make_worktree(spawner_, root_, job.new_worktree);
        job.request.worktree = made.path;
        co_return made.problem;
    }

    void start(Job& job)
    {
        if (agent_) agent_->add_worktree(job.request.worktree);
        cancels_.emplace_back();
        asio::co_spawn(ctx_, one(job),
                       asio::bind_cancellation_slot(cancels_.back().slot(), asio::detached));
    }

    asio::awaitable<void> one(Job& job)
    {
        co_await asio::this_coro::throw_if_cancelled(false);
        auto [ec, result] = co_await executor_.async_execute_command(
            job.request, asio::as_tuple(asio::use_awaitable));
        co_await conclude(std::move(result), static_cast<bool>(ec));
    }

    asio::awaitable<void> conclude(ExecutionResult result, bool engine_failed)
    {
        ++ends_[result.status];
        if (engine_failed && !(interrupts_ > 0)) engine_failed_ = true;
        display_->clear();
        display_->finished(result);
        if (options_.common.json)
            print_json(to_json(result));
        else
            print(result);
        display_->tick();
        if (!options_.notify.empty()) {
            const auto folder = root_ / ".tapps-agents" / "output";
            const auto problem = co_await notify(spawner_, options_.notify, result, folder);
            if (!problem.empty()) display_->say(problem);
        }
        if (--pending_ == 0) done_.cancel();
    }

    void print(const ExecutionResult& result) const
    {
        tell(stdout, "{}\n", result_line(result));
        for (const auto& warning : result.warnings)
            tell(stderr, "  warning: {}\n", protocol::printable(warning));
        if (options_.show_output && !result.output.empty())
            tell(stdout, "{}\n", protocol::printable(result.output, true));
    }

    static ExecutionResult refused(const Job& job, std::string problem)
    {
        ExecutionResult result;
        result.command = job.request.command;
        result.worktree = job.request.worktree;
        result.error = CommandError{std::move(problem), "worktree", false, 0};
        return result;
    }

    asio::awaitable<void> watch_signals()
    {
        for (;;) {
            error_code ec;
            co_await signals_.async_wait(asio::redirect_error(asio::use_awaitable, ec));
            if (ec) co_return;
            if (++interrupts_ == 1) {
                display_->say(fmt::format(
                    "Cancelling: agents are told to stop, at most {} s. Once more ends at once.",
                    (executor_options_.stop_grace.count() + 5000) / 1000));
                asio::co_spawn(ctx_, executor_.async_stop(), asio::detached);
            } else {
                display_->say("Ending now; what still runs is killed.");
                for (auto& cancel : cancels_) cancel.emit(asio::cancellation_type::terminal);
                signals_.clear();  // a third one finds the system's default
                co_return;
            }
        }
    }

    asio::awaitable<void> redraw_often()
    {
        for (;;) {
            error_code ec;
            ticker_.expires_after(redraw);
            co_await ticker_.async_wait(asio::redirect_error(asio::use_awaitable, ec));
            if (ec) co_return;
            display_->tick();
        }
    }

    void summary(std::chrono::steady_clock::duration took) const
    {
        std::string ends;
        for (const auto& [status, count] : ends_)
            ends +=
                fmt::format("{}{} {}", ends.empty() ? "" : ", ", count,
                            status == ExecutionStatus::timeout ? "timed out" : to_string(status));
        tell(stderr, "{} {} in {}: {}. Records and outputs: {}\n", jobs_.size(),
             jobs_.size() == 1 ? "command" : "commands",
             protocol::format_duration(std::chrono::duration_cast<milliseconds>(took)), ends,
             shown_path(root_ / ".tapps-agents"));
    }

    [[nodiscard]] int exit_code() const
    {
        if (interrupts_ > 0) return exit_cancelled;
        if (engine_failed_) return exit_engine;
        if (ends_.contains(ExecutionStatus::failed) || ends_.contains(ExecutionStatus::timeout))
            return exit_failed;
        return ends_.contains(ExecutionStatus::cancelled) ? exit_cancelled : exit_completed;
    }

    const RunOptions& options_;
    fs::path root_;
    std::vector<Job> jobs_;

    asio::io_context ctx_{1};
    std::list<asio::cancellation_signal> cancels_;
    asio::signal_set signals_;
    asio::steady_timer ticker_;
    asio::steady_timer done_{ctx_, asio::steady_timer::time_point::max()};
    std::shared_ptr<Display> display_;
    ExecutorOptions executor_options_;
    BackgroundAgentAutoExecutor executor_;
    std::shared_ptr<Spawner> spawner_;
    std::optional<BackgroundAgent> agent_;
    config::Reloader reloader_;

    std::map<ExecutionStatus, int> ends_;
    std::size_t pending_ = 0;
    int interrupts_ = 0;
    bool engine_failed_ = false;
};

void print_problems(const std::vector<std::string>& problems)
{
    for (const auto& problem : problems) tell(stderr, "autoexec run: {}\n", problem);
}

}  // namespace

int run(const RunOptions& options)
{
    std::vector<std::string> problems;
    auto jobs = collect_jobs(options, problems);
    if (!problems.empty()) {
        print_problems(problems);
        tell(stderr, "autoexec run --help shows examples.\n");
        return exit_usage;
    }
    const auto root = project_root(options.common);
    AutoExecutionConfigManager manager({}, root);
    const auto config = load_configuration(manager, options.quiet);
    if (!config) return exit_invalid;
    records::set_debug_log(root, config->debug);
    const bool any_text = std::any_of(jobs.begin(), jobs.end(),
                                      [](const Job& job) { return job.request.argv.empty(); });
    const Agents agents(root, options.external_agent, any_text);
    if (!agents.usable()) {
        tell(stderr, "{}", to_string(agents.loaded().errors));
        return exit_invalid;
    }
    if (!options.quiet) tell(stderr, "{}", to_string(agents.loaded().file.warnings));
    bool own_shell = false;
    for (auto& job : jobs) {
        const bool text = job.request.argv.empty();
        auto problem = agents.assign(job.request, job.request.max_attempts.has_value());
        if (!problem.empty()) problems.push_back(std::move(problem));
        own_shell |= text && !options.external_agent && agents.own_runs_texts();
    }
    if (!problems.empty()) {
        print_problems(problems);
        return exit_invalid;
    }
    if (own_shell && !options.quiet)
        tell(stderr, "No .cursor/background-agents.yaml in {}: /bin/sh runs the commands.\n",
             shown_path(root));
    return Run(options, manager, std::move(jobs), agents.all()).go();
}

}  // namespace autoexec::runner
