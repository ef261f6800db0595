#include "workflow/run/run_log.hpp"

#include "text/text.hpp"
#include "workflow/journal/markers.hpp"

#include <fmt/format.h>

#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <utility>

namespace autoexec::workflow {
namespace {

boost::json::value redacted_value(const boost::json::value& value, const Redactor& redactor)
{
    if (const auto* const text = value.if_string())
        return boost::json::value(redactor.redact(*text));
    if (const auto* const list = value.if_array()) {
        boost::json::array redacted;
        for (const auto& one : *list) redacted.push_back(redacted_value(one, redactor));
        return redacted;
    }
    const auto* const object = value.if_object();
    if (object == nullptr) return value;
    boost::json::object redacted;
    for (const auto& [key, one] : *object)
        redacted[redactor.redact(key)] = redacted_value(one, redactor);
    return redacted;
}

}  // namespace

std::string RunLog::error_sentence() const
{
    const auto path = text::printable(journal_->path().string());
    if (error_ == errc::journal_lost)
        return fmt::format(
            "The journal {} was removed, replaced or truncated during the run, so "
            "nothing more was started.",
            path);
    return fmt::format("The journal {} cannot be written: {}", path, error_.message());
}

bool RunLog::record(const protocol::Transition& transition)
{
    if (error_) return false;
    error_ = journal_->append(transition, context_.options.clock->system_now());
    if (error_ && on_error) on_error();
    return !error_;
}

void RunLog::record_start(const std::string& base, const std::string& branch)
{
    const auto& [workflow, options, plan, index, parent] = inputs_;
    const auto& redactor = *context_.options.redactor;
    protocol::RunStarted start;
    start.run_id = run_id();
    start.workflow_id = workflow.id;
    start.name = workflow.name;
    start.path = workflow.path;
    start.hash = workflow.hash;
    start.pid = ::getpid();
    start.automatic = options.automatic;
    start.fail_fast = options.fail_fast;
    start.max_parallel = options.max_parallel;
    start.worktrees = options.worktrees;
    start.worktree = path_below(context_.options.project_root, options.worktree).string();
    start.base = base;
    start.branch = branch;
    start.merge_into = options.merge_into;
    start.parent_run = parent.run_id;
    start.parent_step = parent.step_id;
    for (const auto& [name, value] : options.params)
        start.params[name] = redacted_value(value, redactor);
    for (const auto& [name, value] : options.env) start.env[name] = redactor.redact(value);
    for (const auto& step : workflow.steps)
        start.steps.push_back({step.id, step.agent, step.action});
    record(start);
}

void RunLog::record_end(const RunState& state, std::size_t i, bool discarded, bool late)
{
    const auto& step = state.step(i);
    const auto& provided = state.scheduler().node(i).provided;
    const bool has_completed = step.result.state == StepState::completed;
    record(protocol::StepEnded{step.result,
                               discarded,
                               late,
                               {provided.begin(), provided.end()},
                               step.kept,
                               used_output(i, step.result),
                               has_completed ? step.cache_key : std::string()});
    if (!discarded) mark(state, i);
}

std::string RunLog::used_output(std::size_t i, const StepResult& result) const
{
    const bool is_used = inputs_.plan.steps[i].output_used && result.execution;
    return is_used ? protocol::journal_output(result.execution->output) : std::string();
}

void RunLog::mark(const RunState& state, std::size_t i) const
{
    const auto& definition = inputs_.workflow.steps[i];
    const auto& step = state.step(i);
    const auto& result = step.result;
    Marker marker;
    marker.workflow_id = run_id();
    marker.step_id = definition.id;
    marker.agent = definition.agent;
    marker.action = text::lower_case(definition.action);
    std::ranges::replace(marker.action, '_', '-');
    marker.done = result.state == StepState::completed || result.state == StepState::skipped;
    marker.timestamp = text::iso_local(context_.options.clock->system_now());
    marker.error = result.reason;
    marker.worktree_path = step.worktree().string();
    marker.worktree_name = step.worktree().filename().string();
    marker.expected_artifacts = step.command.request.expected_artifacts;
    const auto& provided = state.scheduler().node(i).provided;
    marker.found_artifacts.assign(provided.begin(), provided.end());
    marker.duration_seconds = std::chrono::duration<double>(result.duration).count();
    marker.started_at = text::iso_utc(result.started_at);
    marker.completed_at = text::iso_utc(result.ended_at);
    if (result.execution && result.execution->error)
        marker.error_type = result.execution->error->code;
    remove_markers_of(step);
    // Only scripts use markers: the journal decides, so the run continues without one.
    (void)write_marker(context_.options.project_root, marker);
}

void RunLog::remove_markers_of(const StepRun& step) const
{
    (void)remove_markers(context_.options.project_root, run_id(), step.result.id);
}

void RunLog::notify(WorkflowEvent event) const
{
    if (!inputs_.options.on_event) return;
    event.run_id = run_id();
    event.workflow_id = inputs_.workflow.id;
    inputs_.options.on_event(event);
}

void RunLog::notify(WorkflowEvent::Type type, std::string message) const
{
    WorkflowEvent event;
    event.type = type;
    event.message = std::move(message);
    notify(std::move(event));
}

void RunLog::notify(WorkflowEvent::Type type, const StepRun& step, std::string message) const
{
    const auto& result = step.result;
    WorkflowEvent event;
    event.type = type;
    event.step_id = result.id;
    event.round = result.round;
    event.state = result.state;
    event.message = std::move(message);
    event.worktree = step.worktree();
    event.result = &result;
    notify(std::move(event));
}

void RunLog::notify_expanded(const StepRun& step, std::size_t items) const
{
    WorkflowEvent event;
    event.type = WorkflowEvent::Type::expanded;
    event.step_id = step.result.id;
    event.round = step.result.round;
    event.state = step.result.state;
    event.message = text::counted(items, "item");
    for (std::size_t k = 1; k <= items; ++k)
        event.steps.push_back(protocol::part_id(step.result.id, k));
    notify(std::move(event));
}

}  // namespace autoexec::workflow
