#include "cli/workflow/manual_step.hpp"

#include "cli/workflow/runs.hpp"
#include "cli/workflow/setup.hpp"
#include "protocol/control_files.hpp"
#include "text/json.hpp"
#include "workflow/journal/markers.hpp"

#include <algorithm>

namespace autoexec::cli {
namespace {

namespace json = boost::json;
using workflow::RunRecord;
using workflow::StepRecord;

const StepRecord* find_step(const RunRecord& run, const std::string& id)
{
    const auto at = std::find_if(run.steps.begin(), run.steps.end(),
                                 [&](const StepRecord& step) { return step.id == id; });
    return at == run.steps.end() ? nullptr : &*at;
}

const StepRecord* find_waiting(const RunRecord& run, const std::string& id)
{
    const auto* const step = find_step(run, id);
    const bool waits = run.status == WorkflowStatus::running && step != nullptr &&
                       step->state == StepState::waiting_manual;
    return waits ? step : nullptr;
}

std::string mark_problem(const RunRecord& run, const std::string& id)
{
    const auto* const step = find_step(run, id);
    if (step == nullptr) return fmt::format("{} has no step '{}'", run.run_id, id);
    if (run.status != WorkflowStatus::running)
        return fmt::format("{} has ended: {}", run.run_id, to_string(run.status));
    return fmt::format("'{}' is not waiting for a person: {}", id, to_string(step->state));
}

// Prefers an active run if the step waits in several.
RunRecord find_target(const std::filesystem::path& root, const ManualStepOptions& options)
{
    const auto waits = [&](const RunRecord& r) { return find_waiting(r, options.step) != nullptr; };
    std::optional<RunRecord> run;
    if (options.run.empty()) {
        run = newest_run(root, [&](const RunRecord& r) { return r.alive && waits(r); });
        if (!run) run = newest_run(root, waits);
    }
    if (!run) run = find_run(root, options.run);
    if (!waits(*run)) fail(exit_usage, "{}", mark_problem(*run, options.step));
    return *std::move(run);
}

workflow::Marker make_marker(const RunRecord& run, const StepRecord& step,
                             const ManualStepOptions& options)
{
    const auto now = std::chrono::system_clock::now();
    workflow::Marker marker;
    marker.workflow_id = run.run_id;
    marker.step_id = step.id;
    marker.agent = step.agent;
    marker.action = step.action;
    marker.done = options.done;
    marker.timestamp = text::iso_local(now);
    marker.worktree_path = step.worktree;
    marker.started_at = text::iso_utc(step.started_at);
    if (options.done)
        marker.completed_at = text::iso_utc(now);
    else
        marker.error = options.reason;
    return marker;
}

}  // namespace

void add_manual_step(CLI::App& app, ManualStepOptions& options)
{
    add_common(app, options);
    app.add_option("step", options.step, "The step's id")->type_name("STEP")->required();
    add_run_id(app, "--run", options.run,
               "The step's run (default: the run in which it is waiting)");
}

int mark_step(const ManualStepOptions& options)
{
    const auto root = project_root(options);
    const auto run = find_target(root, options);
    const auto marker = make_marker(run, *find_waiting(run, options.step), options);
    if (const auto ec = workflow::write_marker(root, marker))
        fail(exit_internal, "cannot write the marker: {}", ec.message());
    if (options.json)
        print_json({{"run_id", run.run_id},
                    {"step_id", options.step},
                    {"state", options.done ? "completed" : "failed"}});
    else
        print_result("'{}' is marked as {}{}\n", text::printable(options.step),
                     options.done ? "done" : "failed",
                     run.alive ? "." : "; its run was interrupted.");
    return exit_completed;
}

int show_step(const ManualStepOptions& options)
{
    const auto run = find_target(project_root(options), options);
    const auto& step = *find_waiting(run, options.step);
    if (options.json) {
        print_json(to_json(run, step));
        return exit_completed;
    }
    const auto id = run.run_id + "/" + step.id;
    print_result("{} waits for you. Instructions: {}\n", text::printable(id),
                 shown_path(std::filesystem::path(step.worktree) / control_files::simple));
    print_message(
        "When done: autoexec answer {0} --option done; if it cannot be done: autoexec "
        "answer {0} --deny REASON\n",
        text::printable(text::quote_words(std::vector{id})));
    return exit_completed;
}

json::object to_json(const RunEntry& run, const StepEntry& step)
{
    json::object o;
    o["state"] = to_string(step.state);
    o["workflow_id"] = run.run_id;
    o["step_id"] = step.id;
    o["worktree"] = step.worktree;
    o["started_at"] = text::text_or_null(text::iso_utc(step.started_at));
    return o;
}

}  // namespace autoexec::cli
