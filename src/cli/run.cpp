#include "cli/batch_run.hpp"

#include "autoexec/executor.hpp"
#include "cli/queue/foreground_queue.hpp"
#include "cli/queue/submission.hpp"
#include "cli/records/record_removal.hpp"
#include "cli/session/agents.hpp"
#include "cli/session/batch_outcome.hpp"
#include "cli/session/command_session.hpp"
#include "cli/session/configuration.hpp"
#include "cli/session/display.hpp"
#include "cli/session/jobs.hpp"
#include "cli/session/new_worktrees.hpp"
#include "cli/session/notify.hpp"
#include "cli/subcommand.hpp"
#include "protocol/layout.hpp"
#include "protocol/usage.hpp"
#include "records/debug_log.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <algorithm>
#include <exception>
#include <functional>
#include <iterator>
#include <list>
#include <map>

namespace autoexec::cli {
namespace {

using std::chrono::milliseconds;

// How often commands that wait are looked for in the queue.
constexpr milliseconds cancel_interval{1000};

constexpr char run_examples[] = R"(
Examples:
  autoexec run "make test"                                # in the current folder
  autoexec run "make test" --worktree ../a --worktree ../b
  autoexec run "fix issue 12" --new-worktree issue-12 --agent coder
  autoexec run --new-worktree a@v1.0 --new-worktree b -- make -j4 all
  autoexec run --list commands.jsonl -j 4 --json > results.jsonl
  autoexec run --detach "fix issue 12" --new-worktree issue-12 --agent coder

Each line of a list is a JSON object; only the command is required:
  {"command": "make", "argv": ["make"], "worktree": "DIR", "new_worktree": "NAME@REF",
   "timeout": "90s", "expect": ["FILE"], "retry": 2, "idempotent": true, "agent": "NAME",
   "env": ["VARIABLE"], "priority": 1, "max_cost": 0.5, "max_tokens": 200000,
   "workflow_id": "w", "step_id": "s"}

Exit codes: 0 all commands completed, 1 a command failed or timed out, 2 usage error, 3 invalid
project file, 4 internal or system error, 6 a command needed an answer (--fail-on-input),
130 cancelled.
)";

struct RunOptions : BatchOptions, JobOptions {
    std::string notify;
};

// Out of memory: otherwise the run would wait forever for this command.
void rethrow(std::exception_ptr failure)
{
    if (failure) std::rethrow_exception(std::move(failure));
}

/// Runs a list of commands; each ends independently of the others.
class BatchRun {
public:
    BatchRun(const BatchOptions& o, AutoExecutionConfigManager& manager,
             std::vector<CommandJob> jobs, const Agents& agents, std::vector<std::string> notify)
        : options_(o),
          jobs_(std::move(jobs)),
          display_(std::make_shared<Display>(Screen::suitable_mode(o.session.quiet), jobs_.size())),
          session_(o.session, manager, display_->screen(),
                   o.session.external_agent ? std::nullopt : std::optional(agents.all()),
                   jobs_.size()),
          new_worktrees_(session_, manager.load().worktrees, git_interrupt_),
          prices_(manager.load().executor.prices)
    {
        session_.executor().subscribe(display_);
        queue_ = std::make_shared<ForegroundQueue>(
            session_.root(), o.session, !session_.options().parent_attempt.empty(),
            [this](const std::string& id) { session_.executor().cancel(id); });
        session_.executor().subscribe(queue_);
        session_.notifications().send_every_result_to(std::move(notify));
    }

    int run()
    {
        session_.run(run_all(), [this](asio::cancellation_type type) { cancel(type); });
        if (!options_.session.quiet)
            print_message("{}. Records and outputs: {}\n", summary_,
                          shown_path(session_.root() / layout::records));
        return exit_code();
    }

private:
    asio::awaitable<void> run_all()
    {
        const auto begin = std::chrono::steady_clock::now();
        pending_ = jobs_.size();
        // Each REF is resolved before any command runs, since a command may move it.
        for (const auto& job : jobs_) {
            if (job.new_worktree.empty()) continue;
            auto resolving = new_worktrees_.commit_of(ref_of_new_worktree(job));
            (void)co_await std::move(resolving);
        }
        for (auto& job : jobs_) {
            std::string problem;
            if (!job.new_worktree.empty() && session_.interrupts() == 0)
                problem = co_await make_tree(job);
            if (!problem.empty())
                conclude(refused(job, std::move(problem)), true);
            else
                start(job);
        }
        while (pending_ > 0) {
            error_code ignored;
            asio::steady_timer& done = done_;
            done.expires_after(cancel_interval);
            co_await done.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
            queue_->cancel_ended();
        }
        const auto took = std::chrono::steady_clock::now() - begin;
        sum_up(std::chrono::duration_cast<milliseconds>(took));
    }

    asio::awaitable<std::string> make_tree(CommandJob& job)
    {
        auto resolving = new_worktrees_.commit_of(ref_of_new_worktree(job));
        auto commit = co_await std::move(resolving);
        auto making =
            new_worktrees_.create(name_of_new_worktree(job), std::move(commit), options_.reuse);
        auto made = co_await std::move(making);
        if (!made.path.empty()) job.request.worktree = made.path;
        co_return std::move(made.problem);
    }

    void start(CommandJob& job)
    {
        job.request.execution_id = text::new_uuid();
        queue_->add(job);
        if (!name_of_own_worktree(job).empty()) commit_at_end(job);
        session_.add_worktree(job.request.worktree);
        cancels_.emplace_back();
        asio::co_spawn(session_.context(), one(job),
                       asio::bind_cancellation_slot(cancels_.back().slot(), rethrow));
    }

    // Before its worktree is unlocked: another command must not change it meanwhile.
    void commit_at_end(CommandJob& job)
    {
        const auto& known = job.request.hooks;
        auto hooks =
            known ? std::make_shared<CommandHooks>(*known) : std::make_shared<CommandHooks>();
        hooks->on_end = [this, &job](ExecutionResult result) -> asio::awaitable<void> {
            auto& committed = committed_[result.execution_id];
            result.warnings.clear();
            auto committing = new_worktrees_.commit(name_of_own_worktree(job), result);
            committed.branch = co_await std::move(committing);
            committed.warnings = std::move(result.warnings);
        };
        job.request.hooks = std::move(hooks);
    }

    asio::awaitable<void> one(CommandJob& job)
    {
        co_await asio::this_coro::throw_if_cancelled(false);
        auto [ec, result] = co_await session_.executor().async_execute_command(
            job.request, asio::as_tuple(asio::use_awaitable));
        std::string branch;
        if (const auto work = committed_.extract(result.execution_id)) {
            branch = std::move(work.mapped().branch);
            std::ranges::move(work.mapped().warnings, std::back_inserter(result.warnings));
        }
        conclude(std::move(result), static_cast<bool>(ec));
        if (!branch.empty() && !options_.session.quiet)
            print_message("The work is on the branch {0}: git merge {0}\n", branch);
    }

    void cancel(asio::cancellation_type type)
    {
        git_interrupt_->cancel(*system_clock(), type);
        if (type == asio::cancellation_type::partial)
            asio::co_spawn(session_.context(), session_.executor().stop(), asio::detached);
        else
            for (auto& cancel : cancels_) cancel.emit(type);
    }

    void conclude(ExecutionResult result, bool is_internal_error)
    {
        spent_ += protocol::Spending(result.usage, prices_);
        outcome_.add(result, is_internal_error && session_.interrupts() == 0);
        if (auto lost = session_.lost_output(result); !lost.empty())
            result.warnings.push_back(std::move(lost));
        display_->finished(result);
        queue_->end(result, prices_);
        if (options_.json)
            print_json(json_of(result, prices_));
        else
            print_execution(result, prices_,
                            options_.session.quiet || options_.show_output ? Excerpt::none
                                                                           : Excerpt::of_failures);
        if (!options_.json && options_.show_output && !result.output.empty())
            print_result("{}\n", text::printable(result.output, true));
        display_->screen().redraw();
        session_.notifications().add_result(result);
        if (--pending_ == 0) done_.cancel();
    }

    static ExecutionResult refused(const CommandJob& job, std::string problem)
    {
        ExecutionResult result;
        result.command = job.request.command;
        result.worktree = job.request.worktree;
        result.error = CommandError{std::move(problem), "worktree", false, 0};
        return result;
    }

    void sum_up(milliseconds took)
    {
        summary_ = fmt::format("{} in {}: {}", text::counted(jobs_.size(), "command"),
                               text::format_duration(took), outcome_.to_text());
        const auto usage = jobs_.size() == 1 ? std::string() : to_text(spent_);
        if (!usage.empty()) summary_ += "; " + usage;
        session_.notifications().add(run_end_of(outcome_, summary_));
    }

    [[nodiscard]] int exit_code() const
    {
        if (session_.interrupts() > 0) return exit_cancelled;
        return session_.records_lost() ? exit_internal : outcome_.exit_code();
    }

    const BatchOptions& options_;
    std::vector<CommandJob> jobs_;
    std::shared_ptr<Display> display_;
    CommandSession session_;
    std::shared_ptr<git::Interrupt> git_interrupt_ = std::make_shared<git::Interrupt>();
    NewWorktrees new_worktrees_;
    struct CommittedWork {
        std::string branch;  ///< Empty: there was nothing to commit.
        std::vector<std::string> warnings;
    };
    std::map<std::string, CommittedWork> committed_;  ///< By execution id.
    std::shared_ptr<ForegroundQueue> queue_;
    std::list<asio::cancellation_signal> cancels_;
    asio::steady_timer done_{session_.context()};

    ModelPrices prices_;
    protocol::Spending spent_;
    BatchOutcome outcome_;
    std::size_t pending_ = 0;
    std::string summary_;
};

int run(const RunOptions& options)
{
    const auto& flags = options.session;
    std::vector<std::string> problems;
    auto jobs = collect_jobs(options, problems);
    std::vector<std::string> notify;
    if (!options.notify.empty()) {
        std::string problem;
        notify = program_words(options.notify, std::filesystem::current_path(), problem);
        if (!problem.empty()) problems.push_back("--notify: " + problem);
    }
    if (options.detach)
        for (auto& problem : submission_problems(flags)) problems.push_back(std::move(problem));
    if (options.detach && (!options.notify.empty() || options.show_output))
        problems.emplace_back(
            "--notify and --show-output cannot be combined with --detach; use "
            "'autoexec wait' and 'autoexec logs'");
    if (!problems.empty()) {
        Failure failure(exit_usage, std::move(problems));
        failure.advice = "Run 'autoexec help run' for examples.\n";
        throw failure;
    }
    return run_jobs(options, std::move(jobs), std::move(notify));
}

void define_run(CLI::App& app, RunOptions& o)
{
    app.footer(run_examples);
    add_common(app, o);
    add_job(app, o);
    add_session(app, o.session);
    app.add_flag("--reuse", o.reuse, "Run in the worktree of --new-worktree if it exists already");
    app.add_flag("--detach", o.detach,
                 "Put the commands into the queue, print their ids, and return");
    app.add_option("--notify", o.notify,
                   "Run PROGRAM for each result and each question, as JSON on stdin")
        ->type_name("PROGRAM");
    app.add_flag("--show-output", o.show_output, "Print the last lines of each command's output");
}

}  // namespace

int run_jobs(const BatchOptions& options, std::vector<CommandJob> jobs,
             std::vector<std::string> notify)
{
    const auto& flags = options.session;
    const auto root = project_root(options);
    AutoExecutionConfigManager manager({}, root);
    const auto config = load_configuration(manager, flags.quiet);
    records::set_debug_log(root, config.debug);
    remove_records_before_run(root, config.records, flags.quiet);
    const auto has_text = [](const CommandJob& job) { return job.request.argv.empty(); };
    const bool any_text = std::any_of(jobs.begin(), jobs.end(), has_text);
    const bool needs_file = std::any_of(jobs.begin(), jobs.end(), [&](const CommandJob& job) {
        return has_text(job) || !job.request.agent.empty();
    });
    std::vector<std::string> problems;
    const Agents agents(root, flags.external_agent, needs_file && !flags.external_agent,
                        config.default_agent);
    agents.require_usable(flags.quiet);
    for (auto& job : jobs) {
        auto problem = agents.assign(job.request);
        if (!problem.empty()) problems.push_back(std::move(problem));
    }
    if (!problems.empty()) throw Failure(exit_invalid, std::move(problems));
    if (any_text && agents.runs_texts_with_shell() && !flags.quiet)
        print_message(no_agents_file_notice);
    if (options.detach)
        return submit_jobs(flags, options.reuse, options.json, root, config, std::move(jobs));
    return BatchRun(options, manager, std::move(jobs), agents, std::move(notify)).run();
}

extern const Subcommand run_subcommand =
    subcommand("run", "Run commands in one or more worktrees", define_run, run);

}  // namespace autoexec::cli
