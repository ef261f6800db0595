#include "cli/session/attempt_output.hpp"
#include "cli/session/audit_display.hpp"
#include "cli/session/records.hpp"
#include "cli/subcommand.hpp"
#include "cli/workflow/runs.hpp"
#include "protocol/record_lines.hpp"
#include "records/follow_log.hpp"
#include "records/queries.hpp"
#include "records/running.hpp"
#include "text/text.hpp"

#include <algorithm>
#include <map>
#include <set>
#include <thread>

namespace autoexec::cli {
namespace {

using namespace std::chrono_literals;
namespace fs = std::filesystem;

constexpr std::size_t max_tail = 1'000'000'000;

struct LogsOptions : CommonOptions {
    std::string execution;
    std::string run;
    std::string step;
    std::optional<std::chrono::system_clock::time_point> since;
    std::optional<std::size_t> tail;
    bool all = false;
    bool follow = false;
    bool raw = false;

    /// Whether it chooses several executions, also those that start later.
    [[nodiscard]] bool is_of_many() const
    {
        return all || since.has_value() || !run.empty() || !step.empty();
    }
};

struct Attempt : Correlation {
    std::string command;
    std::optional<std::chrono::system_clock::time_point> started_at;
    bool alive = false;
};

Attempt attempt_of(const protocol::RunningRecord& record, bool alive)
{
    Attempt attempt;
    attempt.ids() = record.ids();
    attempt.command = record.command;
    attempt.started_at = record.started_at;
    attempt.alive = alive;
    return attempt;
}

Attempt attempt_of(const boost::json::object& event)
{
    Attempt attempt;
    attempt.execution_id = text_of(event, "execution_id");
    attempt.attempt_id = text_of(event, "attempt_id");
    attempt.workflow_id = if_given(text_of(event, "workflow_id"));
    attempt.step_id = if_given(text_of(event, "step_id"));
    attempt.command = text_of(event, "command");
    attempt.started_at = text::parse_iso(text_of(event, "timestamp"));
    return attempt;
}

bool matches(const Attempt& attempt, const LogsOptions& options)
{
    const bool is_called_so = options.execution.empty() ||
                              is_called(attempt.execution_id, options.execution) ||
                              is_called(attempt.attempt_id, options.execution);
    const bool is_late = !options.since || attempt.alive || attempt.started_at >= options.since;
    return is_called_so && is_late && !attempt.attempt_id.empty() &&
           (options.step.empty() || attempt.step_id == options.step) &&
           (options.run.empty() || is_run_called(attempt.workflow_id.value_or(""), options.run));
}

AuditFilter starts(std::size_t limit)
{
    AuditFilter filter;
    filter.event_type = "execution_started";
    filter.limit = limit;
    return filter;
}

// Running attempts, then those in the audit log; oldest first.
std::vector<Attempt> find_attempts(const fs::path& root, const AuditFilter& filter,
                                   const LogsOptions& options)
{
    std::vector<Attempt> attempts;
    std::set<std::string> known;
    const auto add = [&](Attempt attempt) {
        if (matches(attempt, options) && known.insert(attempt.attempt_id).second)
            attempts.push_back(std::move(attempt));
    };
    for (const auto& entry : records::list_running(root))
        add(attempt_of(entry.record, entry.alive));
    const auto log = records::Folder::of({}, root, "audit");
    for (const auto& event : records::read_audit(log, filter).events) add(attempt_of(event));
    std::sort(attempts.begin(), attempts.end(),
              [](const auto& a, const auto& b) { return a.attempt_id < b.attempt_id; });
    return attempts;
}

std::vector<Attempt> choose_attempts(const fs::path& root, LogsOptions& options)
{
    if (options.execution.empty() && !options.is_of_many()) {
        const auto newest = find_attempts(root, starts(1), options);
        if (newest.empty()) return {};
        options.execution = newest.back().execution_id;
    }
    auto filter = starts(0);
    filter.step_id = if_given(options.step);
    filter.since = options.since;
    // An end of an id is a part of its line.
    filter.text = if_given(options.execution.empty() ? options.run : options.execution);
    auto attempts = find_attempts(root, filter, options);
    const bool is_of_newest_run =
        !options.step.empty() && options.run.empty() && !options.since && !options.all;
    if (is_of_newest_run && !attempts.empty()) {
        const auto run = attempts.back().workflow_id;
        std::erase_if(attempts, [&](const auto& a) { return a.workflow_id != run; });
        options.run = run.value_or("");
    }
    return attempts;
}

/// Prints the output of attempts as it comes.
class LogReader {
public:
    /// `audit`: of what happens after the first attempts were found.
    LogReader(const LogsOptions& options, fs::path root, records::LogFollower audit)
        : options_(options), root_(std::move(root)), audit_(std::move(audit))
    {}

    int read(const std::vector<Attempt>& attempts)
    {
        if (!options_.run.empty() && !attempts.empty())
            run_id_ = attempts.back().workflow_id.value_or("");
        std::set<std::string> executions;
        for (const auto& attempt : attempts) executions.insert(attempt.execution_id);
        has_several_ = executions.size() > 1 || (options_.follow && options_.is_of_many());
        for (const auto& attempt : attempts) {
            add(attempt, attempts.size() > 1);
            outputs_.back().has_ended = !options_.follow || !attempt.alive;
            if (!copy()) return exit_completed;
        }
        for (bool continues = options_.follow; continues;) {
            // Asked before the last look, which then finds all attempts.
            const bool may_end = outputs_.empty() && !may_follow();
            if (!may_end) std::this_thread::sleep_for(200ms);
            update();
            if (!copy()) return exit_completed;
            continues = !may_end || !outputs_.empty();
        }
        return exit_completed;
    }

private:
    struct Output {
        std::string attempt_id;
        AttemptOutput file;
        bool has_ended = false;
    };

    void add(const Attempt& attempt, bool has_heading)
    {
        AttemptOutput file(root_, attempt.attempt_id, options_.raw);
        const auto step = attempt.step_id.value_or("");
        const auto id = short_id(attempt.execution_id);
        const auto number = ++numbers_[attempt.execution_id];
        if (has_several_ && options_.follow)
            file.set_prefix(text::printable(step.empty() ? id : step) + " | ");
        else if (has_several_)
            print_message("--- {}{}{} attempt {}: {} ---\n", id, step.empty() ? "" : " ",
                          text::printable(step), number, text::printable(attempt.command));
        else if (has_heading || number > 1)
            print_message("--- attempt {} ---\n", number);
        if (options_.tail) file.set_tail(*options_.tail);
        outputs_.push_back({attempt.attempt_id, std::move(file)});
        known_.insert(attempt.attempt_id);
    }

    void add_new(const Attempt& attempt)
    {
        if (!known_.contains(attempt.attempt_id) && is_shown(attempt)) add(attempt, false);
    }

    // Whether an attempt runs is asked before its last copy. The audit log has those that ended
    // between two looks; such an attempt had its record before.
    void update()
    {
        audit_.read([this](std::string_view line) {
            const auto event = protocol::parse_audit(line);
            if (event && text_of(*event, "event_type") == "execution_started")
                add_new(attempt_of(*event));
        });
        std::set<std::string> alive;
        for (const auto& entry : records::list_running(root_)) {
            const auto attempt = attempt_of(entry.record, entry.alive);
            if (!attempt.alive) continue;
            alive.insert(attempt.attempt_id);
            add_new(attempt);
        }
        for (auto& output : outputs_) output.has_ended = !alive.contains(output.attempt_id);
    }

    // Whether another attempt may start: an execution may wait for a retry, and a run may be
    // between two of its steps.
    [[nodiscard]] bool may_follow()
    {
        if (options_.all) return true;
        for (const auto& record : records::list_executions(root_))
            if (is_shown(attempt_of(record, true))) return true;
        return !run_id_.empty() && is_run_live();
    }

    // A journal may be long.
    [[nodiscard]] bool is_run_live()
    {
        const auto now = std::chrono::steady_clock::now();
        if (now < next_look_at_run_) return true;
        next_look_at_run_ = now + 1s;
        std::string ignored;
        const auto run = workflow::read_run(root_, run_id_, ignored);
        return run && run->alive && run->status == WorkflowStatus::running;
    }

    [[nodiscard]] bool is_shown(const Attempt& attempt) const
    {
        return options_.is_of_many() ? matches(attempt, options_)
                                     : numbers_.contains(attempt.execution_id);
    }

    // False when the reader of standard output has ended.
    bool copy()
    {
        for (auto& output : outputs_) {
            const bool is_found = output.file.open();
            if (!output.file.copy_new()) return false;
            if (!output.has_ended) continue;
            output.file.finish();
            if (!is_found)
                print_message("No output was recorded: {}\n",
                              options_.follow ? "the command was not started"
                                              : "the command may run elsewhere");
        }
        std::erase_if(outputs_, [](const Output& output) { return output.has_ended; });
        return true;
    }

    const LogsOptions& options_;
    fs::path root_;
    records::LogFollower audit_;
    std::string run_id_;  // of all outputs; empty: they are not of one run
    std::chrono::steady_clock::time_point next_look_at_run_;
    bool has_several_ = false;
    std::vector<Output> outputs_;         // of attempts that are not over
    std::set<std::string> known_;         // ids of attempts
    std::map<std::string, int> numbers_;  // of attempts, by execution id
};

void refuse_contradictions(const LogsOptions& options)
{
    if (!options.execution.empty() && options.is_of_many())
        fail(exit_usage, "give an id, or --all, --run, --step or --since");
}

int logs(const LogsOptions& given)
{
    auto options = given;
    refuse_contradictions(options);
    const auto root = project_root(options);
    records::LogFollower audit(records::Folder::of({}, root, "audit"), records::audit_log_name);
    const auto attempts = choose_attempts(root, options);
    const bool several = std::any_of(attempts.begin(), attempts.end(), [&](const auto& a) {
        return a.execution_id != attempts.front().execution_id;
    });
    if (!options.execution.empty() && (attempts.empty() || several))
        fail(exit_usage, "{}; see autoexec status and autoexec history",
             unmatched(options.execution, several));
    if (attempts.empty() && !(options.follow && options.all))
        fail(exit_usage, "no command{} was run; see autoexec history",
             options.is_of_many() ? " that matches" : "");
    return LogReader(options, root, std::move(audit)).read(attempts);
}

void define_logs(CLI::App& app, LogsOptions& o)
{
    add_project(app, o);
    add_execution(app, o.execution, " (default: the newest)")->required(false);
    app.add_flag("--all", o.all, "Print the output of all commands");
    app.add_option("--run", o.run, "Print the output of all steps of this run")->type_name("ID");
    app.add_option("--step", o.step, "Print the output of this step, of the newest run by default")
        ->type_name("STEP");
    add_since(app, o.since, "Only commands that started since then, or still run: 2h, or a time");
    add_count(
        app, "--tail", max_tail, [&o](std::size_t n) { o.tail = n; },
        "Begin with the last N lines of each attempt");
    app.add_flag(
        "-f,--follow", o.follow,
        "Continue printing until the commands, or their run, have ended; with --all, until "
        "stopped");
    app.add_flag("--raw", o.raw, "Pass control characters and escape sequences to the terminal");
}

}  // namespace

extern const Subcommand logs_subcommand =
    subcommand("logs", "Print the output of commands", define_logs, logs);

}  // namespace autoexec::cli
