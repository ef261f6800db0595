#include "records/queries.hpp"
#include "records/running.hpp"
#include "text/text.hpp"
#include "workflow/run/step_runner.hpp"
#include "workflow/run/step_values.hpp"

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/bind_executor.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <utility>

/// Steps that were in flight when an earlier executor ended.
namespace autoexec::workflow {
namespace {

/// Whether a step runs again after its agent was lost.
bool retries_lost_agent(const CommandRequest& request)
{
    const bool is_named = request.retry && !request.retry->on.empty();
    return is_named ? std::ranges::count(request.retry->on, "agent_lost") > 0 : request.idempotent;
}

/// Completes the reason of such a step that does not run again.
std::string words_of_no_retry(const CommandRequest& request)
{
    const bool is_named = request.retry && !request.retry->on.empty();
    return fmt::format(" {}: use --from-failed to run it again",
                       is_named ? "Its 'retry.on' lacks agent_lost" : "It is not idempotent");
}

std::optional<records::RunningEntry> running_entry(const std::filesystem::path& root,
                                                   const std::string& execution_id)
{
    for (auto& entry : records::list_running(root))
        if (entry.record.execution_id == execution_id) return std::move(entry);
    return std::nullopt;
}

// Newest first.
std::vector<ExecutionMetric> recorded_attempts(const RunContext& context,
                                               const std::string& execution_id)
{
    if (!context.options.metrics) return {};
    MetricsFilter filter;
    filter.execution_id = execution_id;
    return context.options.metrics->get_metrics(filter);
}

/// Takes back the command of an attempt, unless an agent has claimed it or reported on it, or
/// another executor has the worktree.
bool take_back(const WorkflowExecutorOptions& options, const std::filesystem::path& worktree,
               const std::string& attempt_id)
{
    error_code ec;
    std::string why;
    const auto mailbox = options.handoff->open(worktree, ec, why);
    if (!mailbox || mailbox->try_lock()) return false;
    const auto is_taken = [&] {
        return mailbox->claim(attempt_id) != ClaimState::none || !mailbox->look().empty();
    };
    if (is_taken()) return false;
    (void)mailbox->withdraw(attempt_id);
    if (is_taken()) return false;
    (void)mailbox->clean(attempt_id, false);
    return true;
}

}  // namespace

void StepRunner::resume(std::size_t i)
{
    auto& step = state_.step(i);
    step.since = context_.options.clock->now();
    take_slot(i);
    if (const auto* const it = step.running(); it && it->executed) {
        on_end_(*it->executed);
    } else if (!step.command.each.empty() && step.expanded_in != step.result.round) {
        expand(i);
    } else if (step.command.runs_nothing) {
        on_end_(StepOutcome{i});
    } else if (const auto* const waiting = std::get_if<WaitingForPerson>(&step.phase);
               waiting && waiting->wait) {
        manual_.wait_again(i);
    } else if (step.command.uses_workflow) {
        resume_child(i);
    } else if (auto problem = fill_command(inputs_, context_.options.commands, state_, i);
               !problem.empty() && !has_attempts(i)) {
        on_end_(StepOutcome::failure(i, std::move(problem), "value_missing"));
    } else if (step.waits_for_person()) {
        if (auto outcome = manual_.publish(i, true)) on_end_(*std::move(outcome));
    } else {
        if (!problem.empty()) step.running()->is_last = true;
        adopt(i);
    }
    const auto& scheduler = state_.scheduler();
    if (scheduler.node(i).superseded || scheduler.failure_against(i))
        cancel(i, asio::cancellation_type::partial);
}

/// Whether its command was made, so that its end counts even if a value is missing by now.
bool StepRunner::has_attempts(std::size_t i)
{
    const auto& step = state_.step(i);
    if (step.waits_for_person()) return false;
    const auto& options = context_.options;
    const auto& execution_id = step.command.request.execution_id;
    if (const auto entry = running_entry(options.project_root, execution_id))
        return !take_back(options, step.worktree(), entry->record.attempt_id);
    return !recorded_attempts(context_, execution_id).empty();
}

// Its agent may still run, or have finished; or its command may not have been claimed yet.
void StepRunner::adopt(std::size_t i)
{
    const auto& step = state_.step(i);
    const auto entry =
        running_entry(context_.options.project_root, step.command.request.execution_id);
    if (!entry) return settle_by_records(i);
    AttemptReference reference(entry->record.execution_id, entry->record.attempt_id,
                               entry->record.attempt);
    reference.started_at = entry->record.started_at;
    if (const auto& announce = context_.options.on_worktree) announce(step.worktree());
    auto finish = [this, keep = owner_.lock(), i](error_code ec, ExecutionResult result) {
        if (!ec) return finish_adopted(i, std::move(result));
        on_end_(
            StepOutcome::failure(i,
                                 fmt::format("The attempt in flight cannot be adopted: {}",
                                             result.error ? result.error->message : ec.message()),
                                 "interrupted"));
    };
    context_.executor.async_adopt(
        std::move(reference), request_of(i),
        asio::bind_cancellation_slot(cancels_[i].slot(),
                                     asio::bind_executor(context_.strand, std::move(finish))));
}

void StepRunner::finish_adopted(std::size_t i, ExecutionResult result)
{
    const bool lost = result.error && result.error->code == "agent_lost";
    const auto attempts = result.attempts;
    auto outcome = StepOutcome::of(i, std::move(result));
    if (lost) {
        outcome.code = "interrupted";
        outcome.reason = fmt::format("The executor ended while the step ran: {}{}", outcome.reason,
                                     retries_lost_agent(state_.step(i).command.request)
                                         ? fmt::format(" That was attempt {}.", attempts)
                                         : words_of_no_retry(state_.step(i).command.request));
    }
    on_end_(std::move(outcome));
}

/// Begins the next attempt, if there is one.
bool StepRunner::try_again(std::size_t i, int attempts)
{
    auto& step = state_.step(i);
    if (step.running()->is_last) return false;
    const auto& request = step.command.request;
    const int max = request.max_attempts.value_or(request.retry ? request.retry->max_attempts
                                                                : context_.options.max_attempts);
    if (attempts >= max || !take_retry(i, attempts + 1).empty()) return false;
    step.running()->attempts_left = max - attempts;
    begin_work(i);
    return true;
}

// It is not in flight, and its end is not in the journal: it never began, or waited for its next
// attempt, or another executor has cleaned up after its own.
void StepRunner::settle_by_records(std::size_t i)
{
    auto& step = state_.step(i);
    const auto recorded = recorded_attempts(context_, step.command.request.execution_id);
    if (recorded.empty()) return begin_work(i);
    const auto* const last = &recorded.front();
    const int attempts = last->retry_count + 1;
    if (last->error_message == records::interrupted_message) {
        // As after any lost agent: again only if that is safe.
        const bool may_again = retries_lost_agent(step.command.request);
        if (may_again && try_again(i, attempts)) return;
        auto outcome = StepOutcome::failure(
            i,
            may_again
                ? fmt::format("The executor ended while the step ran, in its last attempt: {}",
                              *last->error_message)
                : fmt::format("The executor ended while the step ran: {}{}", *last->error_message,
                              words_of_no_retry(step.command.request)),
            "interrupted");
        outcome.settled = false;
        return on_end_(std::move(outcome));
    }
    step.resumed_session = records::session_of(recorded);
    if (last->status != ExecutionStatus::completed && try_again(i, attempts)) return;
    ExecutionResult result;
    result.status = last->status;
    result.execution_id = last->execution_id;
    result.attempts = attempts;
    if (last->error_message) result.error = CommandError{*last->error_message, {}, {}, 0};
    on_end_(StepOutcome::of(i, std::move(result)));
}

}  // namespace autoexec::workflow
