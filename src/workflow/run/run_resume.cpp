#include "protocol/error_codes.hpp"
#include "records/running.hpp"
#include "workflow/run/earlier_start.hpp"
#include "workflow/run/run.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <span>
#include <utility>

/// How a run is resumed: its journal is taken over and replayed, requested steps are restarted, and
/// steps in flight are adopted.
namespace autoexec::workflow {
namespace {

using std::chrono::milliseconds;

/// False after the time limit.
asio::awaitable<bool> poll(const RunContext& context, milliseconds interval, milliseconds limit,
                           std::function<bool()> is_done)
{
    auto& clock = *context.options.clock;
    const auto timer = clock.make_timer(context.strand);
    const auto deadline = clock.now() + limit;
    while (!is_done()) {
        if (clock.now() >= deadline) co_return false;
        co_await timer->wait_until(clock.now() + interval);
    }
    co_return true;
}

/// Why the run cannot be resumed with this workflow; empty: it can.
std::string refusal(const RunRecord& record, const Resumption& resumption, const Workflow& workflow)
{
    const auto& run_id = resumption.run_id;
    if (record.transitions.empty())
        return fmt::format("The journal of '{}' has no transitions.", run_id);
    if (record.workflow_id != workflow.id)
        return fmt::format("The run '{}' is of the workflow '{}', not of '{}'.", run_id,
                           record.workflow_id, workflow.id);
    if (!resumption.what.accept_changed && !record.hash.empty() && record.hash != workflow.hash)
        return fmt::format(
            "The workflow '{}' has changed since the run started. To resume with the new "
            "version: --accept-changed.",
            workflow.path);
    return {};
}

/// Options of the first start that still hold: where steps work, and parameters that are not given
/// again. A line for each problem.
std::string restore_options(const protocol::RunStarted& start, const Workflow& workflow,
                            WorkflowRunOptions& options)
{
    if (!start.worktrees)
        return fmt::format("The journal of '{}' does not record the worktree mode.", start.run_id);
    options.worktrees = *start.worktrees;
    options.worktree = start.worktree;
    options.base = start.base.empty() ? "HEAD" : start.base;
    if (options.merge_into.empty()) options.merge_into = start.merge_into;
    std::string problems;
    for (const auto& sentence : restore_values(start, workflow, options))
        problems += sentence + '\n';
    return problems;
}

// To resume the run means to give it more, or that its agent works again.
bool was_held_back(const StepResult& result)
{
    if (!result.execution || !result.execution->error) return false;
    const auto& code = result.execution->error->code;
    return code == error_codes::budget || code == error_codes::agent_unavailable;
}

bool has_changed(const RunRecord& record, const Workflow& workflow)
{
    return std::ranges::any_of(record.transitions, [&](const auto& entry) {
        const auto* const start = std::get_if<protocol::RunStarted>(&entry.transition);
        return start && start->hash != workflow.hash;
    });
}

}  // namespace

asio::awaitable<std::string> Run::reopen(error_code& ec)
{
    auto problem = co_await take_over(ec);
    if (!problem.empty()) co_return problem;
    const auto record = log_.journal().take_record();
    problem = refusal(record, *resumption_, inputs_.workflow);
    if (!problem.empty()) co_return problem;
    (void)take_run_cancel(context_->options.project_root, log_.run_id());  // not for this executor
    const auto* const start = last_start(record);
    if (start == nullptr)
        co_return fmt::format("The journal of '{}' does not record the start of the run.",
                              log_.run_id());
    problem = restore_options(*start, inputs_.workflow, inputs_.options);
    if (!problem.empty()) co_return problem;
    problem = co_await prepare();
    if (!problem.empty()) co_return problem;
    git_->set_changed(has_changed(record, inputs_.workflow));
    name_run();
    for (const auto& entry : record.transitions) state_->apply(entry);
    steps_->grow();
    // A run that has nothing to do waits for no other, and cancels none.
    std::vector<std::size_t> roots;
    problem = find_roots(roots);
    if (!problem.empty()) co_return problem;
    problem = co_await enter_group(ec);
    if (!problem.empty()) co_return problem;
    restart(roots);
    resume();
    co_return std::string();
}

// Readers hold the lock of a journal for microseconds, and git processes that the earlier executor
// had started outlive it.
asio::awaitable<std::string> Run::take_over(error_code& ec)
{
    using namespace std::chrono_literals;
    const auto& options = context_->options;
    const auto& run_id = resumption_->run_id;
    // Without those records, a step that is still in flight would be started again.
    (void)records::list_running(options.project_root, &ec);
    if (ec) co_return records::unreadable_sentence(options.project_root, ec);
    std::optional<Journal> journal;
    auto taking = poll(*context_, 1ms, 250ms, [&] {
        journal = Journal::take_over(options.project_root, run_id, options.durability, ec);
        return ec != boost::system::errc::resource_unavailable_try_again;
    });
    if (!co_await std::move(taking)) ec = errc::worktree_busy;
    if (!journal) {
        const auto why = std::exchange(ec, {});
        if (why == errc::worktree_busy)
            co_return fmt::format("The run '{}' is already running: its executor is alive.",
                                  run_id);
        std::string problem;
        if (!read_run(options.project_root, run_id, problem)) co_return problem;
        ec = why;
        co_return fmt::format("The journal of '{}' cannot be taken over: {}.", run_id,
                              why.message());
    }
    log_.use(*std::move(journal));
    constexpr auto time_limit = 75s;  // more than that of git processes
    auto settling =
        poll(*context_, 20ms, time_limit, [this] { return log_.journal().is_settled(); });
    if (co_await std::move(settling)) co_return std::string();
    co_return fmt::format(
        "A git process of the earlier executor of '{}' is still running. Resume the run when it "
        "has ended.",
        run_id);
}

void Run::resume()
{
    const auto& scheduler = state_->scheduler();
    for (std::size_t i = 0; i < state_->size(); ++i)
        if (scheduler.node(i).state == StepState::running) steps_->resume(i);
    for (std::size_t i = 0; i < state_->size(); ++i)
        if (scheduler.node(i).judging) judge(i);
}

/// The steps that run again, first those that are named. A sentence if there is nothing to do.
std::string Run::find_roots(std::vector<std::size_t>& roots) const
{
    const auto& what = resumption_->what;
    const auto& scheduler = state_->scheduler();
    std::string problems;
    for (const auto& id : what.from) {
        const auto i = index_of(inputs_.workflow, id);
        if (i && scheduler.node(*i).state == StepState::running)
            problems += fmt::format("Step '{}' is in flight.\n", id);
        else if (i)
            roots.push_back(*i);
        else
            problems += fmt::format("There is no step '{}'.\n", id);
    }
    if (!problems.empty()) return problems;
    const auto named = roots;
    const auto failures = scheduler.failures();
    for (const auto i : failures) {
        const auto& result = state_->step(i).result;
        const bool wanted = what.from_failed || result.state == StepState::cancelled ||
                            result.code == "merge_conflict" || result.code == error_codes::budget ||
                            was_held_back(result);
        if (wanted && std::ranges::find(named, i) == named.end()) roots.push_back(i);
    }
    // A run that failed without a failed step has only its merge left to do.
    const bool is_over =
        state_->ended_as && (state_->ended_as == WorkflowStatus::completed || !failures.empty());
    if (roots.empty() && is_over && !anything_left(*state_))
        return failures.empty()
                   ? fmt::format("The run '{}' has completed: there is nothing left to do.",
                                 resumption_->run_id)
                   : fmt::format(
                         "In the run '{}', {} failed, and nothing else is left to do. To run "
                         "again what failed: --from-failed.",
                         resumption_->run_id, failures.size() == 1 ? "one step" : "some steps");
    return {};
}

void Run::restart(const std::vector<std::size_t>& roots)
{
    const auto named = std::span(roots).first(resumption_->what.from.size());
    // A step whose work is committed restarts in a new worktree.
    for (std::size_t i = 0; i < state_->size(); ++i) {
        auto& step = state_->step(i);
        const bool is_root = std::ranges::find(roots, i) != roots.end();
        // An earlier resumption may have ended before the step began.
        const bool reuses = (is_root || !step.earlier_child.empty()) && step.commit.empty();
        if (!step.in_flight() && !reuses) step.tree.clear();
        // Programs find a session only in its worktree.
        if (reuses && (!step.command.in_git || !step.tree.empty())) step.resume_session();
    }
    state_->scheduler().set_fail_fast(inputs_.options.fail_fast);
    log_.record_start(git_->base(), git_->branch());
    log_.notify(WorkflowEvent::Type::run_started);
    if (roots.empty()) return;
    const auto all = state_->restart(roots);
    for (const auto i : named) state_->step(i).earlier_child.clear();
    WorkflowEvent event;
    event.type = WorkflowEvent::Type::restarted;
    event.steps = ids_of(inputs_.workflow, all);
    log_.record(protocol::Restarted{ids_of(inputs_.workflow, roots), event.steps});
    log_.notify(std::move(event));
}

}  // namespace autoexec::workflow
