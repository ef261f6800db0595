#include "workflow/journal/run_spans.hpp"

#include "protocol/trace_context.hpp"
#include "text/text.hpp"

#include <algorithm>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <variant>

namespace autoexec::workflow {
namespace {

using protocol::Span;
using std::chrono::system_clock;

void set_text(Span& span, std::string_view key, std::string_view value)
{
    if (!value.empty()) span.attributes[key] = value;
}

void set_error(Span& span, std::string reason, std::string_view type)
{
    span.error = std::move(reason);
    set_text(span, "error.type", type);
}

/// Collects the spans from the transitions.
class SpanReader {
public:
    explicit SpanReader(const RunRecord& run) : run_(run)
    {
        for (const auto& step : run.steps) planned_.emplace(step.id, &step);
        if (!run.transitions.empty())
            time_ = run.transitions.front().time.value_or(system_clock::time_point{});
        auto& root = add("workflow", protocol::span_id_of_run(run.run_id), {});
        set_text(root, "autoexec.run_id", run.run_id);
        set_text(root, "autoexec.workflow_id", run.workflow_id);
        set_text(root, "autoexec.workflow_name", run.name);
        set_text(root, "autoexec.branch", run.branch);
        set_text(root, "autoexec.commit", run.commit);
    }

    std::vector<Span> take()
    {
        for (const auto& entry : run_.transitions) {
            entry_ = &entry;
            since_ = std::exchange(time_, std::max(time_, entry.time.value_or(time_)));
            std::visit([this](const auto& transition) { apply(transition); }, entry.transition);
        }
        const auto end = run_.ended_at.value_or(time_);
        for (auto& [id, step] : steps_) interrupt(step, end);
        end_run(end);
        return std::move(spans_);
    }

private:
    struct Step {
        std::size_t span = 0;
        bool open = false;
    };

    Span& add(std::string_view name, std::string id, std::string parent)
    {
        auto& span = spans_.emplace_back();
        span.trace_id = protocol::trace_id_of_run(run_.run_id);
        span.span_id = std::move(id);
        span.parent_id = std::move(parent);
        span.name = name;
        span.start = span.end = time_;
        return span;
    }

    [[nodiscard]] std::string own_id() const
    {
        return protocol::span_id_of_transition(run_.run_id, entry_->seq);
    }

    /// Null: it has none yet.
    Span* span_of(const std::string& step)
    {
        const auto found = steps_.find(step);
        return found == steps_.end() ? nullptr : &spans_[found->second.span];
    }

    Span& add_step(const std::string& id, int round, const std::string& execution_id)
    {
        steps_[id] = {spans_.size(), true};
        auto& span = add(
            "step", execution_id.empty() ? own_id() : protocol::span_id_of_execution(execution_id),
            spans_.front().span_id);
        span.name += ' ' + id;
        set_text(span, "autoexec.step_id", id);
        span.attributes["autoexec.round"] = round;
        set_text(span, "autoexec.execution_id", execution_id);
        if (const auto planned = planned_.find(id); planned != planned_.end()) {
            set_text(span, "autoexec.agent", planned->second->agent);
            set_text(span, "autoexec.action", planned->second->action);
        }
        return span;
    }

    void interrupt(Step& step, system_clock::time_point end)
    {
        if (!std::exchange(step.open, false)) return;
        auto& span = spans_[step.span];
        span.end = end;
        set_error(span, "Interrupted", "interrupted");
    }

    void end_run(system_clock::time_point end)
    {
        auto& root = spans_.front();
        root.end = end;
        const bool is_interrupted = run_.status == WorkflowStatus::running;
        const auto status =
            is_interrupted ? std::string_view("interrupted") : to_string(run_.status);
        set_text(root, "autoexec.status", status);
        if (run_.status != WorkflowStatus::completed)
            set_error(root, is_interrupted ? "Its executor has ended" : run_.error, status);
    }

    /// An event of the step's span, or of the run.
    void note(const std::string* step = nullptr)
    {
        auto* const span = step ? span_of(*step) : &spans_.front();
        const auto type = protocol::type_of(entry_->transition);
        if (span && type) span->events.push_back({time_, std::string(to_string(*type))});
    }

    void apply(std::monostate) {}
    void apply(const protocol::RunEnded&) {}
    void apply(const protocol::RunStarted&) { note(); }
    void apply(const protocol::RunWaiting&) { note(); }
    void apply(const protocol::Restarted&) { note(); }
    void apply(const protocol::SentBack&) { note(); }
    void apply(const protocol::StepPrepared& it) { note(&it.step); }
    void apply(const protocol::StepReady& it) { note(&it.step); }
    void apply(const protocol::StepRetried& it) { note(&it.step); }
    void apply(const protocol::StepWaiting& it) { note(&it.step); }
    void apply(const protocol::StepExecuted& it) { note(&it.result.id); }

    void apply(const protocol::StepStarted& start)
    {
        // Its executor was killed, and the step begins again.
        if (const auto found = steps_.find(start.step); found != steps_.end())
            interrupt(found->second, time_);
        auto& span = add_step(start.step, start.round, start.execution_id);
        set_text(span, "autoexec.worktree", start.worktree);
    }

    void apply(const protocol::StepEnded& end)
    {
        const auto& result = end.result;
        const auto found = steps_.find(result.id);
        const bool has_span = found != steps_.end() &&
                              (found->second.open || end.late || result.started_at.has_value());
        if (!has_span) (void)add_step(result.id, result.round, {});  // it never started
        auto& step = steps_[result.id];
        auto& span = spans_[step.span];
        if (step.open) span.end = result.ended_at.value_or(time_);
        step.open = false;
        set_text(span, "autoexec.state", to_string(result.state));
        set_text(span, "autoexec.commit", result.commit);
        span.error.reset();  // its work is merged at last
        span.attributes.erase("error.type");
        if (result.state == StepState::completed) return;
        auto type = result.code;
        if (type.empty() && result.execution && result.execution->error)
            type = result.execution->error->code;
        set_error(span, result.reason, type.empty() ? to_string(result.state) : type);
    }

    void apply(const protocol::StepSkipped& skipped)
    {
        auto& span = add_step(skipped.step, skipped.round, {});
        steps_[skipped.step].open = false;
        set_text(span, "autoexec.state", to_string(StepState::skipped));
        set_text(span, "autoexec.reason", skipped.reason);
    }

    void apply(const protocol::StepExpanded& expanded)
    {
        if (auto* const step = span_of(expanded.step))
            step->attributes["autoexec.items"] = expanded.items.size();
    }

    void apply(const protocol::StepPicked& picked)
    {
        if (auto* const step = span_of(picked.step))
            step->attributes["autoexec.picked"] = picked.picked;
    }

    void apply(const protocol::GateJudged& judged)
    {
        const auto* const step = span_of(judged.step);
        const auto start = step ? std::min(step->end, time_) : time_;
        auto& gate = add("gate", own_id(), step ? step->span_id : spans_.front().span_id);
        gate.name += ' ' + judged.step;
        gate.start = start;
        set_text(gate, "autoexec.step_id", judged.step);
        gate.attributes["autoexec.round"] = judged.round;
        if (judged.passed) gate.attributes["autoexec.gate_passed"] = *judged.passed;
        if (!judged.passed) set_error(gate, judged.reason, "gate");
        auto* const judged_step = span_of(judged.step);
        if (!judged_step) return;
        judged_step->end = std::max(judged_step->end, time_);  // it contains its gate
        if (judged.state != StepState::failed) return;
        set_text(*judged_step, "autoexec.state", to_string(StepState::failed));
        set_error(*judged_step, judged.reason, "gate");
    }

    void apply(const protocol::Merged& merged)
    {
        auto& span = add("merge", own_id(), spans_.front().span_id);
        span.start = since_;
        set_text(span, "autoexec.branch", merged.branch);
        set_text(span, "autoexec.commit", merged.commit);
    }

    const RunRecord& run_;
    std::unordered_map<std::string_view, const StepRecord*> planned_;
    std::vector<Span> spans_;
    std::unordered_map<std::string, Step> steps_;  // by id; of each, its last span
    // Of the transition:
    const protocol::JournalEntry* entry_ = nullptr;
    system_clock::time_point time_;
    system_clock::time_point since_;  // that of the transition before
};

}  // namespace

std::vector<Span> spans_of_run(const RunRecord& run)
{
    return SpanReader(run).take();
}

}  // namespace autoexec::workflow
