#include "cli/cli.hpp"

#include "autoexec/config.hpp"
#include "autoexec/diagnostic.hpp"
#include "autoexec/executor.hpp"
#include "cli/session/assign.hpp"
#include "cli/session/configuration.hpp"
#include "cli/session/display.hpp"
#include "cli/session/jobs.hpp"
#include "cli/session/new_worktree.hpp"
#include "cli/session/notify.hpp"
#include "cli/session/output.hpp"
#include "cli/session/project.hpp"
#include "cli/session/session.hpp"
#include "cli/worktree/trees.hpp"
#include "protocol/layout.hpp"
#include "records/debug_log.hpp"
#include "text/text.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <exception>
#include <list>
#include <map>

namespace autoexec::cli {
namespace {

using std::chrono::milliseconds;

// Out of memory: without its end a command would be waited for without end.
void rethrow(std::exception_ptr failure)
{
    if (failure) std::rethrow_exception(std::move(failure));
}

/// A list of commands, each of which ends for itself.
class Run {
public:
    Run(const RunOptions& o, AutoExecutionConfigManager& manager, std::vector<Job> jobs,
        const Agents& agents, std::vector<std::string> notify)
        : options_(o),
          jobs_(std::move(jobs)),
          notify_(std::move(notify)),
          display_(std::make_shared<Display>(Screen::suitable_mode(o.engine.quiet), jobs_.size())),
          engine_(o.engine, manager, display_->screen(),
                  o.engine.external_agent ? std::nullopt : std::optional(agents.all()),
                  jobs_.size()),
          new_worktrees_(worktree_options(manager))
    {
        engine_.executor().subscribe(display_);
    }

    int go()
    {
        const auto begin = std::chrono::steady_clock::now();
        engine_.run(all(), [this](asio::cancellation_type type) { cancel(type); });
        if (!options_.engine.quiet) summary(std::chrono::steady_clock::now() - begin);
        return exit_code();
    }

private:
    asio::awaitable<void> all()
    {
        pending_ = jobs_.size();
        for (const auto& job : jobs_)
            if (!job.new_worktree.empty()) co_await new_worktrees_.resolve(job.new_worktree);
        for (auto& job : jobs_) {
            std::string problem;
            if (!job.new_worktree.empty() && engine_.interrupts() == 0)
                problem = co_await make_tree(job);
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
    }

    git::RepositoryOptions worktree_options(AutoExecutionConfigManager& manager) const
    {
        auto options = repository_options(engine_.root());
        options.spawner = engine_.spawner();
        options.min_free_bytes = manager.load().worktrees.min_free_bytes;
        options.interrupt = git_interrupt_;
        return options;
    }

    asio::awaitable<std::string> make_tree(Job& job)
    {
        auto making = new_worktrees_.make(job.new_worktree);
        auto made = co_await std::move(making);
        for (const auto& warning : made.warnings)
            display_->screen().say("warning: " + text::printable(warning));
        job.request.worktree = made.path;
        co_return std::move(made.problem);
    }

    void start(Job& job)
    {
        engine_.add_worktree(job.request.worktree);
        cancels_.emplace_back();
        asio::co_spawn(engine_.context(), one(job),
                       asio::bind_cancellation_slot(cancels_.back().slot(), rethrow));
    }

    asio::awaitable<void> one(Job& job)
    {
        co_await asio::this_coro::throw_if_cancelled(false);
        auto [ec, result] = co_await engine_.executor().async_execute_command(
            job.request, asio::as_tuple(asio::use_awaitable));
        co_await conclude(std::move(result), static_cast<bool>(ec));
    }

    void cancel(asio::cancellation_type type)
    {
        git_interrupt_->cancel(*system_clock(), type);
        if (type == asio::cancellation_type::partial)
            asio::co_spawn(engine_.context(), engine_.executor().async_stop(), asio::detached);
        else
            for (auto& cancel : cancels_) cancel.emit(type);
    }

    asio::awaitable<void> conclude(ExecutionResult result, bool engine_failed)
    {
        ++ends_[result.status];
        if (engine_failed && engine_.interrupts() == 0) engine_failed_ = true;
        if (auto lost = engine_.lost_output(result); !lost.empty())
            result.warnings.push_back(std::move(lost));
        auto& screen = display_->screen();
        screen.clear();
        display_->finished(result);
        if (options_.common.json)
            print_json(to_json(result));
        else
            print(result);
        screen.tick();
        if (!notify_.empty()) {
            auto folder = engine_.root() / layout::output;
            auto notifying = notify(engine_.spawner(), notify_, result, std::move(folder));
            const auto problem = co_await std::move(notifying);
            if (!problem.empty()) screen.say(problem);
        }
        if (--pending_ == 0) done_.cancel();
    }

    void print(const ExecutionResult& result) const
    {
        tell(stdout, "{}\n", result_line(result));
        for (const auto& warning : result.warnings)
            tell(stderr, "  warning: {}\n", text::printable(warning));
        if (options_.show_output && !result.output.empty())
            tell(stdout, "{}\n", text::printable(result.output, true));
    }

    static ExecutionResult refused(const Job& job, std::string problem)
    {
        ExecutionResult result;
        result.command = job.request.command;
        result.worktree = job.request.worktree;
        result.error = CommandError{std::move(problem), "worktree", false, 0};
        return result;
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
             text::format_duration(std::chrono::duration_cast<milliseconds>(took)), ends,
             shown_path(engine_.root() / layout::records));
    }

    [[nodiscard]] int exit_code() const
    {
        if (engine_.interrupts() > 0) return exit_cancelled;
        if (engine_failed_ || engine_.records_lost()) return exit_engine;
        if (ends_.contains(ExecutionStatus::failed) || ends_.contains(ExecutionStatus::timeout))
            return exit_failed;
        return ends_.contains(ExecutionStatus::cancelled) ? exit_cancelled : exit_completed;
    }

    const RunOptions& options_;
    std::vector<Job> jobs_;
    std::vector<std::string> notify_;  ///< The words of the program; empty: none.
    std::shared_ptr<Display> display_;
    Engine engine_;
    std::shared_ptr<git::Interrupt> git_interrupt_ = std::make_shared<git::Interrupt>();
    NewWorktrees new_worktrees_;
    std::list<asio::cancellation_signal> cancels_;
    asio::steady_timer done_{engine_.context(), asio::steady_timer::time_point::max()};

    std::map<ExecutionStatus, int> ends_;
    std::size_t pending_ = 0;
    bool engine_failed_ = false;
};

void print_problems(const std::vector<std::string>& problems)
{
    for (const auto& problem : problems) tell(stderr, "autoexec run: {}\n", problem);
}

}  // namespace

int run(const RunOptions& options)
{
    const auto& flags = options.engine;
    std::vector<std::string> problems;
    auto jobs = collect_jobs(options, problems);
    std::vector<std::string> notify;
    if (!options.notify.empty()) {
        std::string problem;
        notify = notify_words(options.notify, problem);
        if (!problem.empty()) problems.push_back(std::move(problem));
    }
    if (!problems.empty()) {
        print_problems(problems);
        tell(stderr, "Run 'autoexec run --help' for examples.\n");
        return exit_usage;
    }
    const auto root = project_root(options.common);
    AutoExecutionConfigManager manager({}, root);
    const auto config = load_configuration(manager, flags.quiet);
    if (!config) return exit_invalid;
    records::set_debug_log(root, config->debug);
    const bool any_text = std::any_of(jobs.begin(), jobs.end(),
                                      [](const Job& job) { return job.request.argv.empty(); });
    const bool needs_file = std::any_of(jobs.begin(), jobs.end(), [](const Job& job) {
        return job.request.argv.empty() || !job.request.agent.empty();
    });
    const Agents agents(root, flags.external_agent, needs_file && !flags.external_agent);
    if (!agents.usable()) {
        tell(stderr, "{}", to_string(agents.loaded().errors));
        return exit_invalid;
    }
    if (!flags.quiet) tell(stderr, "{}", to_string(agents.loaded().file.warnings));
    for (auto& job : jobs) {
        auto problem = agents.assign(job.request);
        if (!problem.empty()) problems.push_back(std::move(problem));
    }
    if (!problems.empty()) {
        print_problems(problems);
        return exit_invalid;
    }
    if (any_text && agents.own_runs_texts() && !flags.quiet) tell(stderr, no_agents_file_notice);
    return Run(options, manager, std::move(jobs), agents, std::move(notify)).go();
}

}  // namespace autoexec::cli
