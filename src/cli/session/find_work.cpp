#include "cli/session/find_work.hpp"

#include "cli/session/find_execution.hpp"
#include "cli/session/output.hpp"
#include "cli/workflow/runs.hpp"
#include "protocol/layout.hpp"
#include "queue/queue_folder.hpp"
#include "records/running.hpp"
#include "text/text.hpp"

#include <algorithm>
#include <functional>
#include <map>
#include <utility>
#include <variant>

namespace autoexec::cli {
namespace {

namespace fs = std::filesystem;
using workflow::RunRecord;

/// Follows the rounds of the steps of a run.
class StepWorks {
public:
    /// Called with each round, as it is at its end, and with those that have not ended.
    using Visit = std::function<void(const Work&)>;

    StepWorks(const RunRecord& run, Visit visit) : run_(run), visit_(std::move(visit)) {}

    void run()
    {
        for (const auto& entry : run_.transitions) {
            time_ = entry.time;
            std::visit([this](const auto& it) { apply(it); }, entry.transition);
        }
        for (const auto& step : run_.steps)
            if (const auto work = works_.find(step.id); work != works_.end()) visit_(work->second);
    }

private:
    template <class Other>
    void apply(const Other&)
    {}

    void apply(const protocol::StepStarted& it)
    {
        Work work;
        work.run_id = run_.run_id;
        work.step_id = it.step;
        work.execution_id = it.execution_id;
        work.worktree = it.worktree;
        work.started_at = time_;
        if (it.tree) work.base = it.tree->base;
        if (const auto known = works_.find(it.step); it.tree && known != works_.end())
            work.branch = known->second.branch;
        works_[it.step] = std::move(work);
    }

    void apply(const protocol::StepPrepared& it)
    {
        auto& work = works_[it.step];
        work.base = it.tree.base;
        work.branch = it.branch;
        if (!it.worktree.empty()) work.worktree = it.worktree;
    }

    void apply(const protocol::StepEnded& it)
    {
        const auto known = works_.find(it.result.id);
        if (known == works_.end()) return;
        auto& work = known->second;
        work.commit = it.result.commit;
        if (it.result.execution && !it.result.execution->execution_id.empty())
            work.execution_id = it.result.execution->execution_id;
        visit_(work);
    }

    const RunRecord& run_;
    Visit visit_;
    protocol::EntryTime time_;
    std::map<std::string, Work> works_;
};

// All steps have worked in the same folder.
std::vector<Work> work_in_place(const RunRecord& run, std::vector<Work> steps)
{
    auto work = std::move(steps.front());
    work.step_id.clear();
    work.execution_id.clear();
    work.started_at = run.started_at;
    return {std::move(work)};
}

std::vector<Work> works_of_run(const RunRecord& run)
{
    auto steps = works_of_steps(run);
    if (!run.commit.empty()) {
        Work work;
        work.run_id = run.run_id;
        work.branch = run.branch;
        work.base = base_of(run);
        work.commit = run.commit;
        if (!work.base.empty()) return {std::move(work)};
    }
    if (steps.empty()) fail(exit_usage, "no step of the run {} has started", run.run_id);
    const bool in_place = std::all_of(steps.begin(), steps.end(), [&](const Work& step) {
        return step.base.empty() && step.worktree == steps.front().worktree;
    });
    return in_place ? work_in_place(run, std::move(steps)) : steps;
}

Work work_of_step(const RunRecord& run, const std::string& step)
{
    auto steps = works_of_steps(run);
    const auto found = std::find_if(steps.begin(), steps.end(),
                                    [&](const Work& work) { return work.step_id == step; });
    if (found != steps.end()) return std::move(*found);
    std::string known;
    for (const auto& one : run.steps) known += (known.empty() ? "" : ", ") + one.id;
    const bool exists = std::any_of(run.steps.begin(), run.steps.end(),
                                    [&](const auto& one) { return one.id == step; });
    if (exists) fail(exit_usage, "the step '{}' of the run {} has not started", step, run.run_id);
    fail(exit_usage, "the run {} has no step '{}'; its steps: {}", run.run_id, step, known);
}

// Also of an earlier round.
std::optional<Work> work_in_run(const RunRecord& run, const std::string& execution_id)
{
    std::optional<Work> found;
    StepWorks(run, [&](const Work& work) {
        if (work.execution_id == execution_id) found = work;
    }).run();
    return found;
}

struct KnownPlace {
    fs::path worktree;
    std::string run_id;
    std::optional<std::chrono::system_clock::time_point> started_at;
};

// Where it runs, will run, or has run.
KnownPlace place_of(const fs::path& root, const std::string& execution_id)
{
    KnownPlace place;
    for (const auto& metric : attempts_of(root, execution_id)) {  // the first attempt is the last
        place.worktree = metric.worktree;
        place.run_id = metric.workflow_id.value_or("");
        place.started_at = metric.started_at;
    }
    for (const auto& entry : records::list_running(root)) {
        const auto& record = entry.record;
        if (record.execution_id != execution_id) continue;
        place.worktree = record.worktree;
        place.run_id = record.workflow_id.value_or("");
        if (!place.started_at) place.started_at = record.started_at;
    }
    if (!place.worktree.empty()) return place;
    const queue::QueueFolder queue(root);
    for (const auto* const folder : {layout::started_requests, layout::queue})
        if (const auto request = queue.read(folder, execution_id))
            place.worktree = request->request.worktree;
    return place;
}

Work work_of_execution(const fs::path& root, const std::string& id)
{
    const auto place = place_of(root, id);
    if (!place.run_id.empty()) {
        std::string ignored;
        const auto run = workflow::read_run(root, place.run_id, ignored);
        if (run)
            if (auto work = work_in_run(*run, id)) return *std::move(work);
    }
    if (place.worktree.empty())
        fail(exit_usage, "the execution {} has not started, or its worktree was not recorded", id);
    Work work;
    work.execution_id = id;
    work.worktree = place.worktree;
    work.started_at = place.started_at;
    return work;
}

// Nothing if there is not exactly one.
template <class Find>
auto if_found(const Find& find) -> std::optional<decltype(find())>
{
    try {
        return find();
    } catch (const Failure&) {
        return std::nullopt;
    }
}

}  // namespace

std::string base_of(const RunRecord& run)
{
    for (const auto& entry : run.transitions)
        if (const auto* const it = std::get_if<protocol::RunStarted>(&entry.transition);
            it && !it->base.empty())
            return it->base;
    return {};
}

std::string name_of(const Work& work)
{
    if (!work.step_id.empty()) return "step " + work.step_id;
    if (!work.execution_id.empty()) return "execution " + work.execution_id;
    return "run " + work.run_id;
}

std::vector<Work> works_of_steps(const RunRecord& run)
{
    std::map<std::string, Work> last;
    StepWorks(run, [&](const Work& work) { last[work.step_id] = work; }).run();
    std::vector<Work> works;
    for (const auto& step : run.steps)
        if (const auto found = last.find(step.id); found != last.end())
            works.push_back(std::move(found->second));
    return works;
}

std::vector<Work> find_work(const fs::path& root, const std::string& id, const std::string& step)
{
    if (!step.empty()) return {work_of_step(find_run(root, id), step)};
    const auto execution = if_found([&] { return find_execution(root, id); });
    const auto run = if_found([&] { return find_run(root, id); });
    if (execution && run)
        fail(exit_usage, "'{}' is the end of an execution and of a run; give more characters", id);
    if (run) return works_of_run(*run);
    if (!execution)
        fail(exit_usage,
             "no execution and no run matches '{}', or several do; see autoexec history and "
             "autoexec workflow list",
             id);
    return {work_of_execution(root, *execution)};
}

}  // namespace autoexec::cli
