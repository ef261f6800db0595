#include "cli/queue/engine_start.hpp"
#include "cli/session/batch_outcome.hpp"
#include "cli/session/configuration.hpp"
#include "cli/session/questions.hpp"
#include "cli/subcommand.hpp"
#include "protocol/result_format.hpp"
#include "queue/engine_lock.hpp"
#include "queue/queue_folder.hpp"
#include "records/queries.hpp"
#include "records/running.hpp"
#include "text/json.hpp"
#include "workflow/journal/journal.hpp"

#include <algorithm>
#include <set>
#include <thread>

namespace autoexec::cli {
namespace {

using queue::RequestState;
using std::chrono::milliseconds;

constexpr milliseconds min_wait_interval{50};
constexpr milliseconds max_wait_interval{500};
constexpr int looks_for_engine = 4;  // one in so many looks
// A writer of metrics may keep a line for a second.
constexpr milliseconds record_timeout{5000};

struct WaitOptions : CommonOptions {
    std::vector<std::string> ids;
    bool all = false;
    bool any = false;
    std::optional<milliseconds> timeout;
};

/// Finds the results of executions: of the queue, and of runs in the foreground.
class WaitingRoom {
public:
    WaitingRoom(const WaitOptions& options, std::filesystem::path root)
        : options_(options),
          root_(std::move(root)),
          folder_(root_),
          prices_(configured_prices(root_))
    {}

    int wait()
    {
        collect();
        auto interval = min_wait_interval;
        for (int looks = 0;; ++looks) {
            std::erase_if(ids_, [this](const std::string& id) { return has_ended(id); });
            std::erase_if(runs_, [this](const std::string& id) { return has_run_ended(id); });
            const auto left = ids_.size() + runs_.size();
            if (left == 0 || (options_.any && ended_ > 0)) return outcome_.exit_code();
            if (options_.timeout && std::chrono::steady_clock::now() - begin_ >= *options_.timeout)
                return report_timeout(left);
            if (looks % looks_for_engine == 0) ensure_engine(looks == 0);
            std::this_thread::sleep_for(interval);
            interval = std::min(interval * 2, max_wait_interval);
        }
    }

private:
    int report_timeout(std::size_t left) const
    {
        print_message("{} of {} have not ended within {}\n", left, left + ended_,
                      text::format_duration(*options_.timeout));
        return exit_timeout;
    }

    void collect()
    {
        for (const auto& request : folder_.list_waiting()) known_.insert(request->id());
        for (const auto& request : folder_.list_started()) known_.insert(request->id());
        for (const auto& entry : records::list_running(root_))
            known_.insert(entry.record.execution_id);
        if (options_.all) {
            ids_.assign(known_.begin(), known_.end());
            for (auto& id : unreported()) ids_.push_back(std::move(id));
        }
        if (options_.ids.empty()) return;
        for (auto& id : folder_.list_ended()) known_.insert(std::move(id));
        for (const auto& wanted : options_.ids) add(wanted);
    }

    // The results that no `wait` has printed.
    [[nodiscard]] std::vector<std::string> unreported() const
    {
        auto ids = folder_.list_ended();
        std::erase_if(ids, [this](const std::string& id) {
            std::string problem;
            const auto ended = folder_.result(id, problem);
            return known_.contains(id) || !ended || ended->reported_at;
        });
        return ids;
    }

    /// An execution, or a run of a workflow.
    void add(const std::string& wanted)
    {
        auto known = known_;
        const auto is_other = [&](const std::string& id) { return !is_called(id, wanted); };
        if (std::all_of(known.begin(), known.end(), is_other)) {
            if (const auto ids = workflow::list_runs(root_);
                std::find(ids.begin(), ids.end(), wanted) != ids.end())
                return runs_.push_back(wanted);
            for (const auto& metric : read_history({})) known.insert(metric.execution_id);
        }
        std::erase_if(known, is_other);
        if (known.size() != 1)
            fail(exit_usage, "{}; see autoexec status, history and workflow list",
                 unmatched(wanted, !known.empty()));
        ids_.push_back(*known.begin());
    }

    bool has_run_ended(const std::string& id)
    {
        std::string problem;
        const auto run = workflow::read_run(root_, id, problem);
        if (!run) fail(exit_internal, "{}", problem);
        if (run->alive) return false;
        ++ended_;
        ++outcome_.ends[run->status == WorkflowStatus::completed   ? ExecutionStatus::completed
                        : run->status == WorkflowStatus::cancelled ? ExecutionStatus::cancelled
                                                                   : ExecutionStatus::failed];
        if (options_.json)
            print_json({{"run_id", id},
                        {"state", state_of_run(*run)},
                        {"error", text::text_or_null(run->error)}});
        else
            print_result("{:9} {}  {}\n", state_of_run(*run), text::printable(id),
                         text::printable(run->error));
        return true;
    }

    static std::string_view state_of_run(const workflow::RunRecord& run)
    {
        return run.status == WorkflowStatus::running ? "interrupted" : to_string(run.status);
    }

    bool has_ended(const std::string& id)
    {
        const auto state = folder_.state_of(id);
        if (state == RequestState::ended) return report_queued(id);
        return state == RequestState::absent && report_foreground(id);
    }

    bool report_queued(const std::string& id)
    {
        std::string problem;
        auto ended = folder_.result(id, problem);
        const auto result = ended ? protocol::read_result(ended->result) : std::nullopt;
        if (!result) {
            if (folder_.state_of(id) != RequestState::ended) return false;
            fail(exit_internal, "the result of {} cannot be read: {}", id, problem);
        }
        report(*result, ended->result, ended->internal_error);
        if (!ended->reported_at) {
            ended->reported_at = std::chrono::system_clock::now();
            (void)folder_.put_result(*ended);
        }
        return true;
    }

    /// An execution that is not in the queue, or no longer.
    bool report_foreground(const std::string& id)
    {
        bool is_interrupted = false;
        for (const auto& entry : records::list_running(root_)) {
            if (entry.record.execution_id != id) continue;
            if (entry.alive) return false;
            is_interrupted = true;
        }
        const auto now = std::chrono::steady_clock::now();
        MetricsFilter filter;
        filter.execution_id = id;
        const auto attempts = read_history(filter);
        if (is_interrupted || attempts.empty()) {
            // The record of its last attempt may still be in the memory of its executor.
            const auto since = missing_since_.try_emplace(id, now).first->second;
            if (!is_interrupted && now - since < record_timeout) return false;
            return report_lost(id);
        }
        const auto result = result_of(attempts);
        report(result, to_json(result), false);
        return true;
    }

    bool report_lost(const std::string& id)
    {
        ExecutionResult result;
        result.execution_id = id;
        result.error =
            CommandError{"It was interrupted: its executor has ended, or its records are lost.",
                         "interrupted",
                         {},
                         0};
        report(result, to_json(result), false);
        return true;
    }

    static ExecutionResult result_of(const std::vector<ExecutionMetric>& attempts)
    {
        const auto& last = attempts.front();
        ExecutionResult result;
        result.ids() = last.ids();
        result.status = last.status;
        result.attempt_id = last.attempt_id;
        result.command = last.command;
        result.worktree = last.worktree;
        result.attempts = last.retry_count + 1;
        result.duration = std::chrono::duration_cast<milliseconds>(last.duration);
        result.usage = last.usage;
        if (last.error_message)
            result.error = CommandError{*last.error_message, last.error_code, {}, 0};
        return result;
    }

    [[nodiscard]] std::vector<ExecutionMetric> read_history(const MetricsFilter& filter) const
    {
        return records::read_metrics(records::Folder::of({}, root_, "metrics"), filter).metrics;
    }

    void report(const ExecutionResult& result, const boost::json::object& line,
                bool is_internal_error)
    {
        ++ended_;
        outcome_.add(result, is_internal_error);
        if (options_.json)
            print_json(line);
        else
            print_execution(result, prices_);
    }

    void ensure_engine(bool is_first_look)
    {
        auto requests = folder_.list_startable();
        for (auto& started : folder_.list_started())
            if (!folder_.has_owner(*started)) requests.push_back(std::move(started));
        const bool needs_one =
            std::any_of(requests.begin(), requests.end(), [this](const queue::Request& request) {
                return std::find(ids_.begin(), ids_.end(), request->id()) != ids_.end();
            });
        if (!needs_one || queue::probe_engine(root_).alive) return;
        // A person has ended it meanwhile.
        if (is_first_look || !queue::is_draining(root_))
            ensure_queue_engine(root_);
        else if (!std::exchange(stop_reported_, true))
            print_message(
                "The engine of the queue was stopped. Continue with: autoexec queue run\n");
    }

    const WaitOptions& options_;
    std::filesystem::path root_;
    queue::QueueFolder folder_;
    ModelPrices prices_;
    std::chrono::steady_clock::time_point begin_ = std::chrono::steady_clock::now();
    std::set<std::string> known_;
    // Those that have not ended.
    std::vector<std::string> ids_;
    std::vector<std::string> runs_;
    std::size_t ended_ = 0;
    bool stop_reported_ = false;
    std::map<std::string, std::chrono::steady_clock::time_point> missing_since_;
    BatchOutcome outcome_;
};

int wait(const WaitOptions& options)
{
    if (options.all != options.ids.empty())
        fail(exit_usage, "give the ids of executions, or --all");
    require_reader();
    return WaitingRoom(options, project_root(options)).wait();
}

constexpr char wait_examples[] = R"(
Examples:
  autoexec wait $(autoexec run --detach "make test")
  autoexec wait --all --timeout 1h

Exit codes: as for autoexec run; 2 also if there is no such execution, 124 if not all have ended
within the timeout.
)";

void define_wait(CLI::App& app, WaitOptions& o)
{
    app.footer(wait_examples);
    add_common(app, o);
    app.add_option("executions", o.ids,
                   "The ids of executions, or at least their last four characters, or whole ids of "
                   "runs")
        ->type_name("ID");
    app.add_flag("--all", o.all,
                 "Wait for all commands that wait or run now, and print results that were not "
                 "printed yet");
    app.add_flag("--any", o.any, "End when one of them has ended");
    add_duration(app, "--timeout", o.timeout, "Wait at most this long (exit code 124)");
}

}  // namespace

extern const Subcommand wait_subcommand =
    subcommand("wait", "Wait for commands and print their results", define_wait, wait);

}  // namespace autoexec::cli
