#include "cli/queue/engine_start.hpp"
#include "cli/session/find_execution.hpp"
#include "cli/session/followed_project.hpp"
#include "cli/session/result_printer.hpp"
#include "cli/subcommand.hpp"
#include "queue/engine_lock.hpp"
#include "queue/queue_folder.hpp"
#include "workflow/journal/journal.hpp"

#include <algorithm>
#include <set>

namespace autoexec::cli {
namespace {

using queue::RequestState;
using std::chrono::milliseconds;

constexpr milliseconds max_wait_interval{500};

struct WaitOptions : CommonOptions {
    std::vector<std::string> ids;
    bool all = false;
    bool any = false;
    std::optional<milliseconds> timeout;
};

class WaitingRoom {
public:
    WaitingRoom(const WaitOptions& options, const std::filesystem::path& root)
        : options_(options),
          root_(root),
          folder_(root),
          project_(root),
          results_(root, options.json)
    {}

    int wait()
    {
        collect();
        for (bool is_first = true;; is_first = false) {
            std::erase_if(ids_, [this](const std::string& id) { return has_ended(id); });
            std::erase_if(runs_, [this](const std::string& id) { return has_run_ended(id); });
            const auto left = ids_.size() + runs_.size();
            if (left == 0 || (options_.any && results_.count() > 0)) return results_.exit_code();
            const auto time = time_left();
            if (time <= milliseconds::zero()) return report_timeout(left);
            ensure_engine(is_first);
            project_.report_pauses();
            project_.wait(std::min(time, max_wait_interval));
        }
    }

private:
    [[nodiscard]] milliseconds time_left() const
    {
        if (!options_.timeout) return milliseconds::max();
        return *options_.timeout -
               std::chrono::duration_cast<milliseconds>(std::chrono::steady_clock::now() - begin_);
    }

    int report_timeout(std::size_t left) const
    {
        print_message("{} of {} have not ended within {}\n", left, left + results_.count(),
                      text::format_duration(*options_.timeout));
        return exit_timeout;
    }

    void collect()
    {
        const auto runs = workflow::list_runs(root_);
        for (const auto& wanted : options_.ids) {
            const bool is_run = std::ranges::find(runs, wanted) != runs.end();
            if (is_run)
                runs_.push_back(wanted);
            else
                ids_.push_back(find_execution(root_, wanted));
        }
        if (!options_.all) return;
        std::set<std::string> all;
        for (const auto& [key, entry] : project_.executions()) all.insert(entry.execution_id);
        for (auto& id : folder_.list_ended())
            if (!is_reported(id)) all.insert(std::move(id));
        ids_.assign(all.begin(), all.end());
    }

    [[nodiscard]] bool is_reported(const std::string& id) const
    {
        std::string problem;
        const auto ended = folder_.result(id, problem);
        return !ended || ended->reported_at;
    }

    bool has_ended(const std::string& id)
    {
        const auto* const entry = project_.find(id);
        const bool is_interrupted = entry != nullptr && entry->state == ExecutionState::interrupted;
        const bool is_queued = entry != nullptr && folder_.state_of(id) != RequestState::absent;
        // Of the queue, the files count, since they say more than the view of a moment ago.
        if (entry != nullptr && !is_interrupted && !is_queued) return false;
        return results_.print(id, is_interrupted);
    }

    bool has_run_ended(const std::string& id)
    {
        const auto known = project_.runs().find(id);
        if (known != project_.runs().end() && known->second.alive) return false;
        std::string problem;
        const auto run = workflow::read_run(root_, id, problem);
        if (!run) fail(exit_internal, "{}", problem);
        if (run->alive) return false;
        results_.print(*run);
        return true;
    }

    void ensure_engine(bool is_first_look)
    {
        if (queue::probe_engine(root_).alive) return;
        auto requests = folder_.list_startable();
        for (auto& started : folder_.list_started())
            if (!folder_.has_owner(*started)) requests.push_back(std::move(started));
        const bool needs_one =
            std::any_of(requests.begin(), requests.end(), [this](const queue::Request& request) {
                return std::find(ids_.begin(), ids_.end(), request->id()) != ids_.end();
            });
        if (!needs_one) return;
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
    FollowedProject project_;
    ResultPrinter results_;
    std::chrono::steady_clock::time_point begin_ = std::chrono::steady_clock::now();
    // Those that have not ended.
    std::vector<std::string> ids_;
    std::vector<std::string> runs_;
    bool stop_reported_ = false;
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
