#include "workflow/run/scheduler.hpp"

#include "text/text.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace autoexec::workflow {
namespace {

bool is_in_flight(const Scheduler::Node& node)
{
    return node.state == StepState::running || node.state == StepState::waiting_manual;
}

bool has_failed(StepState state)
{
    return state == StepState::failed || state == StepState::timeout ||
           state == StepState::cancelled;
}

bool is_resolved(const Scheduler::Node& node)
{
    return node.state != StepState::pending && !is_in_flight(node) && !node.judging;
}

std::string_view why_not(StepState state)
{
    switch (state) {
        case StepState::timeout:
            return "which timed out";
        case StepState::cancelled:
            return "which was cancelled";
        case StepState::skipped:
            return "which was skipped";
        default:
            return "which failed";
    }
}

}  // namespace

bool tolerates_failure(const WorkflowStep& step)
{
    return step.continue_on_error || step.skip_on_fail || step.need == StepNeed::optional;
}

bool counts_as_parallel(const WorkflowStep& step)
{
    return !step.manual && !step.used;
}

Scheduler::Scheduler(const Workflow& workflow, const Plan& plan, Limits limits)
    : workflow_(workflow), plan_(plan), limits_(limits), nodes_(plan.steps.size())
{}

std::optional<Decision> Scheduler::next(const Queries& queries)
{
    const auto phase = open_phase();
    for (std::size_t i = 0; i < nodes_.size(); ++i) {
        if (nodes_[i].state != StepState::pending) continue;
        // A step that was skipped because others are stopped may have ended before them.
        const bool is_stopped = stop_ && !ignores_stop(i);
        if (workflow_.steps[i].phase > phase && !is_stopped) continue;
        if (auto decision = decide(i, queries)) return decision;
    }
    return std::nullopt;
}

std::optional<Decision> Scheduler::decide(std::size_t step, const Queries& queries)
{
    auto& node = nodes_[step];
    if (stop_ && !ignores_stop(step)) return skip(step, stop_reason_, false);
    if (auto decision = decide_part(step)) return decision;
    std::string reason;
    switch (readiness_of(step, reason)) {
        case Readiness::waits:
            return std::nullopt;
        case Readiness::impossible:
            return skip(step, std::move(reason), false);
        case Readiness::ready:
            break;
    }
    if (workflow_.steps[step].phase == StepPhase::on_failure &&
        !has_failed_before(StepPhase::on_failure))
        return skip(step, "No step has failed", true);
    const bool is_limited = limits_.max_parallel > 0 && counts_as_parallel(workflow_.steps[step]);
    if ((is_limited && in_flight_ - waiting_ >= limits_.max_parallel) || !has_room_for_part(step) ||
        !queries.has_room(step))
        return std::nullopt;
    if (!plan_.steps[step].condition.empty()) {
        std::string problem;
        const auto holds = queries.condition(step, problem);
        if (holds && !*holds) return skip(step, "Its condition does not hold", true);
        if (!holds) {
            node.state = StepState::failed;
            node.reason = "Its condition cannot be evaluated: " + problem;
            finalize_failure(step);
            return Decision{Decision::Kind::fail, step, node.round, node.reason, node.goes_on};
        }
    }
    node.state = StepState::running;
    count_in_flight(step, true);
    return Decision{Decision::Kind::start, step, node.round, {}, false};
}

Scheduler::Readiness Scheduler::readiness_of(std::size_t step, std::string& reason) const
{
    const auto& plan = plan_.steps[step];
    for (const auto from : plan.waits_for)
        if (!is_resolved(nodes_[from]) || awaits_pick(from)) return Readiness::waits;
    if (!nodes_[step].forced && !is_entered(plan, reason)) return Readiness::impossible;
    for (const auto from : plan.depends_on) {
        if (plan.part_of == from ? nodes_[from].goes_on : goes_on(from)) continue;
        reason = "It depends on " + why_not_after(from);
        return Readiness::impossible;
    }
    for (const auto& need : plan.artifacts) {
        const auto provides = [&](std::size_t from) {
            return nodes_[from].goes_on && nodes_[from].provided.contains(need.artifact);
        };
        if (std::any_of(need.creators.begin(), need.creators.end(), provides)) continue;
        const auto from = need.creators.front();
        reason =
            fmt::format("It requires '{}' of '{}', {}", need.artifact, workflow_.steps[from].id,
                        nodes_[from].state == StepState::completed ? "which did not create it"
                                                                   : why_not(nodes_[from].state));
        return Readiness::impossible;
    }
    return Readiness::ready;
}

bool Scheduler::is_entered(const PlanStep& plan, std::string& reason) const
{
    if (plan.entries.empty()) return true;
    const auto taken = [this](const Entry& entry) {
        return goes_on(entry.from) && nodes_[entry.from].exit == entry.by;
    };
    if (std::any_of(plan.entries.begin(), plan.entries.end(), taken)) return true;
    reason = "Nothing led to it";
    for (const auto& entry : plan.entries)
        if (has_failed(nodes_[entry.from].state) || failed_part(entry.from))
            reason = "It comes after " + why_not_after(entry.from);
    return false;
}

/// A step for an item without an item, or without its turn.
std::optional<Decision> Scheduler::decide_part(std::size_t step)
{
    const auto& whole = plan_.steps[step].part_of;
    if (!whole || !is_resolved(nodes_[*whole])) return std::nullopt;
    const auto& list = nodes_[*whole];
    const auto& id = workflow_.steps[*whole].id;
    if (list.state != StepState::completed)
        return skip(step, fmt::format("'{}' has not read its items", id), list.goes_on);
    if (nodes_[step].absent) return skip(step, fmt::format("'{}' has fewer items now", id), true);
    const auto failed = failure_against(step);
    if (!failed) return std::nullopt;
    return skip(step, fmt::format("'{}' has failed", workflow_.steps[*failed].id), false);
}

std::optional<std::size_t> Scheduler::failure_against(std::size_t step) const
{
    const auto& whole = plan_.steps[step].part_of;
    if (!whole) return std::nullopt;
    const auto& items = workflow_.steps[*whole].for_each;
    return items && items->fail_fast ? failed_part(*whole) : std::nullopt;
}

bool Scheduler::has_room_for_part(std::size_t step) const
{
    const auto& whole = plan_.steps[step].part_of;
    if (!whole) return true;
    const auto& items = workflow_.steps[*whole].for_each;
    return !items || items->max_parallel == 0 ||
           nodes_[*whole].parts_in_flight < items->max_parallel;
}

/// The first step for an item that has failed.
std::optional<std::size_t> Scheduler::failed_part(std::size_t step) const
{
    const auto& parts = plan_.steps[step].parts;
    const auto found = std::ranges::find_if(parts, [this](std::size_t part) {
        return has_failed(nodes_[part].state) && !nodes_[part].goes_on;
    });
    return found == parts.end() ? std::nullopt : std::optional(*found);
}

std::vector<std::size_t> Scheduler::cancelled_by(std::size_t step) const
{
    std::vector<std::size_t> others;
    const auto& whole = plan_.steps[step].part_of;
    if (!whole || !has_failed(nodes_[step].state) || nodes_[step].goes_on) return others;
    const auto& items = workflow_.steps[*whole].for_each;
    if (!items || !items->fail_fast) return others;
    for (const auto part : plan_.steps[*whole].parts)
        if (is_in_flight(nodes_[part])) others.push_back(part);
    return others;
}

bool Scheduler::picks(std::size_t step) const
{
    const auto& items = workflow_.steps[step].for_each;
    return items && !items->best_by.empty();
}

bool Scheduler::awaits_pick(std::size_t step) const
{
    const auto& node = nodes_[step];
    return picks(step) && node.state == StepState::completed && !node.picked &&
           std::ranges::all_of(plan_.steps[step].parts,
                               [this](std::size_t part) { return is_resolved(nodes_[part]); });
}

bool Scheduler::is_left_out(std::size_t step) const
{
    const auto& whole = plan_.steps[step].part_of;
    return whole && picks(*whole) && nodes_[*whole].picked != step;
}

/// With all steps for its items, or the best of them.
bool Scheduler::goes_on(std::size_t step) const
{
    const auto& node = nodes_[step];
    if (picks(step) && node.state == StepState::completed) return node.goes_on && node.picked;
    return node.goes_on && std::ranges::all_of(plan_.steps[step].parts, [this](std::size_t part) {
               return nodes_[part].goes_on;
           });
}

std::string Scheduler::why_not_after(std::size_t step) const
{
    const auto part = nodes_[step].goes_on ? failed_part(step) : std::nullopt;
    const auto at = part.value_or(step);
    return fmt::format("'{}', {}", workflow_.steps[at].id, why_not(nodes_[at].state));
}

void Scheduler::count_in_flight(std::size_t step, bool begins)
{
    const auto change = begins ? 1 : std::size_t(-1);
    in_flight_ += change;
    if (!counts_as_parallel(workflow_.steps[step])) waiting_ += change;
    if (const auto& whole = plan_.steps[step].part_of) nodes_[*whole].parts_in_flight += change;
}

Decision Scheduler::skip(std::size_t step, std::string reason, bool goes_on)
{
    auto& node = nodes_[step];
    node.state = StepState::skipped;
    node.reason = std::move(reason);
    finalize(step, goes_on ? std::optional(Exit::pass) : std::nullopt, goes_on);
    return {Decision::Kind::skip, step, node.round, node.reason, goes_on};
}

Scheduler::Judged Scheduler::ended(std::size_t step, StepState state,
                                   std::set<std::string> provided, std::string reason)
{
    auto& node = nodes_[step];
    count_in_flight(step, false);
    node.state = state;
    node.reason = std::move(reason);
    node.provided = std::move(provided);
    if (node.superseded && (!stop_ || *stop_ == Stop::by_gate || ignores_stop(step))) {
        reset(step);
        return Judged::discarded;
    }
    node.superseded = false;
    if (has_failed(state)) {
        finalize_failure(step);
        return Judged::settled;
    }
    if (plan_.steps[step].has_gate && (!stop_ || ignores_stop(step))) {
        node.judging = true;
        return Judged::by_gate;
    }
    finalize(step, Exit::pass, true);
    return Judged::settled;
}

void Scheduler::finalize(std::size_t step, std::optional<Exit> exit, bool goes_on)
{
    auto& node = nodes_[step];
    node.judging = false;
    node.exit = exit;
    node.goes_on = goes_on;
}

void Scheduler::finalize_failure(std::size_t step)
{
    auto& node = nodes_[step];
    // To be cancelled with the whole workflow is no failure that could be tolerated.
    if (!tolerates_failure(workflow_.steps[step]) ||
        (stop_ && node.state == StepState::cancelled)) {
        finalize(step, std::nullopt, false);
        // Another one of several tries may be the best: their step has failed if none is.
        const auto& whole = plan_.steps[step].part_of;
        if (limits_.fail_fast && !(whole && picks(*whole)))
            stop(fmt::format("'{}' has failed", workflow_.steps[step].id), Stop::by_failure);
        return;
    }
    if (workflow_.steps[step].skip_on_fail) node.state = StepState::skipped;
    // What was not done has not passed its gate: the other way out is taken, if there is one.
    const bool other_way = plan_.steps[step].fail_to.has_value();
    finalize(step, other_way ? Exit::fail : Exit::pass, true);
}

Verdict Scheduler::judge(std::size_t step, std::optional<bool> passed, std::string reason)
{
    using Kind = GateTarget::Kind;
    if (!passed) return fail_by_gate(step, std::move(reason));
    const auto& plan = plan_.steps[step];
    const auto& gate = *workflow_.steps[step].gate;
    const auto kind = *passed ? gate.on_pass.kind : gate.on_fail.kind;
    const auto why = [&](std::string sentence) {
        return reason.empty() ? sentence + ": " + gate.condition : std::move(reason);
    };
    if (kind == Kind::fail) return fail_by_gate(step, why("Its gate did not pass"));
    if (!*passed && plan.back_to) {
        if (nodes_[step].sent_back + 1 < plan.max_rounds) return send_back(step, *plan.back_to);
        return fail_by_gate(step,
                            why("Its gate did not pass in " +
                                text::counted(static_cast<std::size_t>(plan.max_rounds), "round")));
    }
    finalize(step, *passed ? Exit::pass : Exit::fail, true);
    if (kind != Kind::end) return {};
    if (!stop_) ending_gate_ = step;
    stop(fmt::format("The gate of '{}' has ended the workflow", workflow_.steps[step].id),
         Stop::by_gate);
    return {Verdict::Kind::end, 0, {}};
}

Verdict Scheduler::fail_by_gate(std::size_t step, std::string reason)
{
    auto& node = nodes_[step];
    node.state = StepState::failed;
    node.reason = std::move(reason);
    node.judging = false;
    finalize_failure(step);
    return {Verdict::Kind::fail, 0, {}};
}

Verdict Scheduler::send_back(std::size_t gate, std::size_t to)
{
    ++nodes_[gate].sent_back;
    nodes_[gate].judging = false;
    Verdict verdict{Verdict::Kind::back, to, {}};
    for (std::size_t i = 0; i < nodes_.size(); ++i) {
        if (i != to && !plan_.steps[to].leads_to[i]) continue;
        verdict.steps.push_back(i);
        nodes_[i].forced = i == to;
        rerun(i);
    }
    return verdict;
}

void Scheduler::rerun(std::size_t step)
{
    if (is_in_flight(nodes_[step]))
        nodes_[step].superseded = true;
    else
        reset(step);
}

std::vector<std::size_t> Scheduler::restart(const std::vector<std::size_t>& steps)
{
    std::vector<bool> wanted(nodes_.size());
    for (const auto step : steps) {
        wanted[step] = true;
        for (std::size_t i = 0; i < nodes_.size(); ++i)
            if (plan_.steps[step].leads_to[i]) wanted[i] = true;
    }
    std::vector<std::size_t> all;
    for (std::size_t i = 0; i < nodes_.size(); ++i) {
        if (!wanted[i]) continue;
        all.push_back(i);
        const bool first = std::find(steps.begin(), steps.end(), i) != steps.end();
        nodes_[i].forced = nodes_[i].forced && first;
        nodes_[i].sent_back = 0;
        rerun(i);
    }
    if (stop_ && !(ending_gate_ && wanted[*ending_gate_]))
        for (std::size_t i = 0; i < nodes_.size(); ++i)
            if (nodes_[i].state == StepState::pending && !wanted[i] && !ignores_stop(i))
                (void)skip(i, stop_reason_, false);
    stop_.reset();
    ending_gate_.reset();
    return all;
}

void Scheduler::resume_start(std::size_t step, int round)
{
    auto& node = nodes_[step];
    if (!is_in_flight(node)) count_in_flight(step, true);
    node.state = StepState::running;
    node.round = round;
}

void Scheduler::resume_skip(std::size_t step, std::string reason)
{
    (void)skip(step, std::move(reason), true);
}

void Scheduler::fail_late(std::size_t step, std::string reason)
{
    auto& node = nodes_[step];
    node.state = StepState::failed;
    node.reason = std::move(reason);
    node.goes_on = false;
    node.exit.reset();
}

Scheduler::Unpicked Scheduler::end_unpicked(std::size_t step, std::string reason)
{
    const auto was_stopped = [this](std::size_t part) {
        const auto& node = nodes_[part];
        return !node.goes_on &&
               (node.state == StepState::skipped || node.state == StepState::cancelled);
    };
    if (stop_ && std::ranges::any_of(plan_.steps[step].parts, was_stopped)) {
        (void)skip(step, stop_reason_, false);
        return Unpicked::skipped;
    }
    nodes_[step].state = StepState::failed;
    nodes_[step].reason = std::move(reason);
    finalize_failure(step);
    return Unpicked::failed;
}

void Scheduler::reset(std::size_t step)
{
    auto& node = nodes_[step];
    if (node.state != StepState::pending) ++node.round;
    node.state = StepState::pending;
    node.goes_on = node.superseded = node.judging = false;
    node.exit.reset();
    node.picked.reset();
    if (const auto& whole = plan_.steps[step].part_of) nodes_[*whole].picked.reset();
    node.provided.clear();
    node.reason.clear();
}

void Scheduler::stop(std::string reason, Stop kind)
{
    if (stop_ && *stop_ != Stop::by_gate) return;
    if (!stop_) stop_reason_ = std::move(reason);
    stop_ = kind;
}

/// Another step for the same list is better, so this one need not have succeeded.
bool Scheduler::is_beaten(std::size_t step) const
{
    const auto& whole = plan_.steps[step].part_of;
    return whole && nodes_[*whole].picked && is_left_out(step);
}

bool Scheduler::ignores_stop(std::size_t step) const
{
    return workflow_.steps[step].phase != StepPhase::main && stop_ != Stop::by_request;
}

/// The first phase of which a step has not ended.
StepPhase Scheduler::open_phase() const
{
    auto phase = StepPhase::finally;
    for (std::size_t i = 0; i < nodes_.size(); ++i)
        if (workflow_.steps[i].phase < phase && (!is_resolved(nodes_[i]) || awaits_pick(i)))
            phase = workflow_.steps[i].phase;
    return phase;
}

bool Scheduler::has_ended_before(StepPhase phase) const
{
    return open_phase() >= phase;
}

bool Scheduler::has_failed_before(StepPhase phase) const
{
    return std::ranges::any_of(failures(),
                               [&](std::size_t i) { return workflow_.steps[i].phase < phase; });
}

bool Scheduler::finished() const
{
    return std::ranges::all_of(nodes_, is_resolved);
}

std::vector<std::size_t> Scheduler::failures() const
{
    std::vector<std::size_t> found;
    for (std::size_t i = 0; i < nodes_.size(); ++i)
        if (has_failed(nodes_[i].state) && !nodes_[i].goes_on && !is_beaten(i)) found.push_back(i);
    return found;
}

}  // namespace autoexec::workflow
