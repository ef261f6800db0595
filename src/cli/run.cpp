#include "autoexec/executor.hpp"
#include "cli/records/record_removal.hpp"
#include "cli/session/agents.hpp"
#include "cli/session/command_session.hpp"
#include "cli/session/configuration.hpp"
#include "cli/session/display.hpp"
#include "cli/session/jobs.hpp"
#include "cli/session/notify.hpp"
#include "cli/subcommand.hpp"
#include "cli/worktree/trees.hpp"
#include "protocol/error_codes.hpp"
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
#include <list>
#include <map>

namespace autoexec::cli {
namespace {

using std::chrono::milliseconds;

constexpr char run_examples[] = R"(
Examples:
  autoexec run "make test"                                # in the current folder
  autoexec run "make test" --worktree ../a --worktree ../b
  autoexec run "fix issue 12" --new-worktree issue-12 --agent coder
  autoexec run --new-worktree a@v1.0 --new-worktree b -- make -j4 all
  autoexec run --list commands.jsonl -j 4 --json > results.jsonl

Each line of a list is a JSON object; only the command is required:
  {"command": "make", "argv": ["make"], "worktree": "DIR", "new_worktree": "NAME@REF",
   "timeout": "90s", "expect": ["FILE"], "retry": 2, "idempotent": true, "agent": "NAME",
   "env": ["VARIABLE"], "max_cost": 0.5, "max_tokens": 200000, "workflow_id": "w",
   "step_id": "s"}

Exit codes: 0 all commands completed, 1 a command failed or timed out, 2 usage error, 3 invalid
project file, 4 internal or system error, 6 a command needed an answer (--fail-on-input),
130 cancelled.
)";

struct RunOptions : CommonOptions, JobOptions {
    SessionFlags session;
    std::string notify;
    bool show_output = false;
};

// Out of memory: otherwise the run would wait forever for this command.
void rethrow(std::exception_ptr failure)
{
    if (failure) std::rethrow_exception(std::move(failure));
}

std::string ref_of(const CommandJob& job)
{
    const auto at = job.new_worktree.find('@');
    return at == std::string::npos ? "HEAD" : job.new_worktree.substr(at + 1);
}

/// Runs a list of commands; each ends independently of the others.
class BatchRun {
public:
    BatchRun(const RunOptions& o, AutoExecutionConfigManager& manager, std::vector<CommandJob> jobs,
             const Agents& agents, std::vector<std::string> notify)
        : options_(o),
          jobs_(std::move(jobs)),
          display_(std::make_shared<Display>(Screen::suitable_mode(o.session.quiet), jobs_.size())),
          session_(o.session, manager, display_->screen(),
                   o.session.external_agent ? std::nullopt : std::optional(agents.all()),
                   jobs_.size()),
          repository_options_(worktree_options(manager)),
          prices_(manager.load().executor.prices)
    {
        session_.executor().subscribe(display_);
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
        co_await open_repository();
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
            co_await done.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
        }
        const auto took = std::chrono::steady_clock::now() - begin;
        sum_up(std::chrono::duration_cast<milliseconds>(took));
    }

    git::RepositoryOptions worktree_options(AutoExecutionConfigManager& manager) const
    {
        auto options = repository_options(session_.root());
        options.spawner = session_.spawner();
        options.min_free_bytes = manager.load().worktrees.min_free_bytes;
        options.interrupt = git_interrupt_;
        return options;
    }

    // Resolves each REF before any command runs, since a command may move it.
    asio::awaitable<void> open_repository()
    {
        for (const auto& job : jobs_) {
            if (job.new_worktree.empty()) continue;
            if (!opened_.repository) {
                auto opening = git::Repository::open(repository_options_);
                opened_ = co_await std::move(opening);
            }
            const auto ref = ref_of(job);
            if (!opened_.repository || commits_.contains(ref)) continue;
            auto resolving = opened_.repository->resolve(ref);
            auto commit = co_await std::move(resolving);
            // `make_tree` reports a REF that cannot be resolved.
            commits_.emplace(ref, commit.problem.empty() ? commit.id : ref);
        }
    }

    asio::awaitable<std::string> make_tree(CommandJob& job)
    {
        if (!opened_.repository) co_return opened_.problem;
        auto making =
            git::add_tree(*opened_.repository, name_of_new_worktree(job), commits_.at(ref_of(job)));
        auto made = co_await std::move(making);
        for (const auto& warning : made.warnings)
            print_message("warning: {}\n", text::printable(warning));
        job.request.worktree = made.path;
        co_return std::move(made.problem);
    }

    void start(CommandJob& job)
    {
        session_.add_worktree(job.request.worktree);
        cancels_.emplace_back();
        asio::co_spawn(session_.context(), one(job),
                       asio::bind_cancellation_slot(cancels_.back().slot(), rethrow));
    }

    asio::awaitable<void> one(CommandJob& job)
    {
        co_await asio::this_coro::throw_if_cancelled(false);
        auto [ec, result] = co_await session_.executor().async_execute_command(
            job.request, asio::as_tuple(asio::use_awaitable));
        conclude(std::move(result), static_cast<bool>(ec));
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
        ++ends_[result.status];
        last_execution_ = result.execution_id;
        spent_ += protocol::Spending(result.usage, prices_);
        if (is_internal_error && session_.interrupts() == 0) has_internal_error_ = true;
        needed_input_ |= result.error && result.error->code == error_codes::input_needed;
        if (auto lost = session_.lost_output(result); !lost.empty())
            result.warnings.push_back(std::move(lost));
        display_->finished(result);
        if (options_.json)
            print_json(json_of(result));
        else
            print(result);
        display_->screen().redraw();
        session_.notifications().add_result(result);
        if (--pending_ == 0) done_.cancel();
    }

    [[nodiscard]] boost::json::object json_of(const ExecutionResult& result) const
    {
        auto line = to_json(result);
        protocol::add_estimate(line["usage"], {result.usage, prices_});
        return line;
    }

    void print(const ExecutionResult& result) const
    {
        print_result("{}\n", result_line(result, prices_));
        for (const auto& warning : result.warnings)
            print_message("  warning: {}\n", text::printable(warning));
        if (options_.show_output && !result.output.empty())
            print_result("{}\n", text::printable(result.output, true));
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
        std::string ends;
        notify::Notification end;
        for (const auto& [status, count] : ends_) {
            ends +=
                fmt::format("{}{} {}", ends.empty() ? "" : ", ", count,
                            status == ExecutionStatus::timeout ? "timed out" : to_string(status));
            end.message[to_string(status)] = count;
        }
        summary_ =
            fmt::format("{} {} in {}: {}", jobs_.size(), jobs_.size() == 1 ? "command" : "commands",
                        text::format_duration(took), ends);
        const auto usage = jobs_.size() == 1 ? std::string() : to_text(spent_);
        if (!usage.empty()) summary_ += "; " + usage;
        end.kind = notify::Kind::run_ended;
        // The end of a single command is that of the run.
        if (jobs_.size() == 1) end.subject = last_execution_;
        end.text = summary_;
        session_.notifications().add(std::move(end));
    }

    [[nodiscard]] int exit_code() const
    {
        if (session_.interrupts() > 0) return exit_cancelled;
        if (has_internal_error_ || session_.records_lost()) return exit_internal;
        if (needed_input_) return exit_input;
        if (ends_.contains(ExecutionStatus::failed) || ends_.contains(ExecutionStatus::timeout))
            return exit_failed;
        return ends_.contains(ExecutionStatus::cancelled) ? exit_cancelled : exit_completed;
    }

    const RunOptions& options_;
    std::vector<CommandJob> jobs_;
    std::shared_ptr<Display> display_;
    CommandSession session_;
    std::shared_ptr<git::Interrupt> git_interrupt_ = std::make_shared<git::Interrupt>();
    git::RepositoryOptions repository_options_;
    git::Repository::Opened opened_;              ///< For new worktrees.
    std::map<std::string, std::string> commits_;  ///< Of new worktrees, by REF.
    std::list<asio::cancellation_signal> cancels_;
    asio::steady_timer done_{session_.context(), asio::steady_timer::time_point::max()};

    ModelPrices prices_;
    protocol::Spending spent_;
    std::map<ExecutionStatus, int> ends_;
    std::size_t pending_ = 0;
    std::string last_execution_;
    std::string summary_;
    bool has_internal_error_ = false;
    bool needed_input_ = false;
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
    if (!problems.empty()) {
        print_errors("run", problems);
        print_message("Run 'autoexec run --help' for examples.\n");
        return exit_usage;
    }
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
    const Agents agents(root, flags.external_agent, needs_file && !flags.external_agent);
    agents.require_usable(flags.quiet);
    for (auto& job : jobs) {
        auto problem = agents.assign(job.request);
        if (!problem.empty()) problems.push_back(std::move(problem));
    }
    if (!problems.empty()) throw Failure(exit_invalid, std::move(problems));
    if (any_text && agents.runs_texts_with_shell() && !flags.quiet)
        print_message(no_agents_file_notice);
    return BatchRun(options, manager, std::move(jobs), agents, std::move(notify)).run();
}

void define_run(CLI::App& app, RunOptions& o)
{
    app.footer(run_examples);
    add_common(app, o);
    add_job(app, o);
    add_session(app, o.session);
    app.add_option("--notify", o.notify,
                   "Run PROGRAM for each result and each question, as JSON on stdin")
        ->type_name("PROGRAM");
    app.add_flag("--show-output", o.show_output, "Print the last lines of each command's output");
}

}  // namespace

extern const Subcommand run_subcommand =
    subcommand("run", "Run commands in one or more worktrees", define_run, run);

}  // namespace autoexec::cli
