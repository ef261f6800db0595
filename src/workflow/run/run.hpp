#pragma once

#include "async/short_names.hpp"
#include "workflow/journal/run_group.hpp"
#include "workflow/run/git_work.hpp"
#include "workflow/run/run_context.hpp"
#include "workflow/run/run_log.hpp"
#include "workflow/run/run_state.hpp"
#include "workflow/run/step_checks.hpp"
#include "workflow/run/step_runner.hpp"

#include <cstddef>
#include <deque>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace autoexec::workflow {

/// The run to resume.
struct Resumption {
    std::string run_id;
    WorkflowResumeOptions what;
};

using Outcome = async::OperationResult<WorkflowResult>;

/// One run from its start to its end: asks the scheduler what is next, has the step runner do it,
/// and handles the outcomes. On the executor's strand.
class Run : public std::enable_shared_from_this<Run> {
public:
    Run(std::shared_ptr<RunContext> context, Workflow workflow, WorkflowRunOptions options,
        std::optional<Resumption> resumption, ParentRun parent);

    /// `keep` is this.
    asio::awaitable<Outcome> execute(std::shared_ptr<Run> keep);

private:
    asio::awaitable<Outcome> run(std::shared_ptr<Run> keep);
    // Before a step starts. A sentence, or lines, if none can.
    asio::awaitable<std::string> open_new(error_code& ec);
    asio::awaitable<std::string> prepare();
    std::string make_state();
    std::optional<Journal> create_journal(error_code& ec) const;
    void name_run();
    // Waits until no other run has its concurrency group. A sentence if it cannot have it.
    asio::awaitable<std::string> enter_group(error_code& ec);
    Notifier::Subscription watch_groups();
    bool is_cancel_requested();
    std::string wait_for_holder(std::string_view group);
    asio::awaitable<std::string> wait_for_programs(std::string_view group);
    void announce_wait(std::string_view group, const std::string& holder, bool cancels);
    WorkflowResult end_unstarted(WorkflowStatus status, std::string error);
    void notify_end(const WorkflowResult& result);
    // The same for a run that is resumed: see run_resume.cpp.
    asio::awaitable<std::string> reopen(error_code& ec);
    asio::awaitable<std::string> take_over(error_code& ec);
    std::string find_roots(std::vector<std::size_t>& roots) const;
    void restart(const std::vector<std::size_t>& roots);
    void resume();

    asio::awaitable<void> loop();
    void check_requests();
    void check_time();
    bool pick_best();
    void pick(std::size_t i, const BestItem& best);
    void end_unpicked(std::size_t i, std::string reason);
    void advance();
    void conclude(StepOutcome outcome);
    void fail_if_rejected(StepOutcome& outcome) const;
    void judge(std::size_t i);
    void forget_rejected(std::size_t gate);
    void send_back(std::size_t gate, const Verdict& verdict);
    void end_undone(const Decision& decision);
    void cancel(asio::cancellation_type how);

    asio::awaitable<void> merge();
    void fail_late(std::size_t i, std::string code, std::string reason);
    WorkflowResult finish();
    [[nodiscard]] std::string failure_sentence(const std::vector<std::size_t>& failures) const;

    std::shared_ptr<RunContext> context_;
    RunInputs inputs_;
    std::optional<Resumption> resumption_;
    RunLog log_;
    std::optional<RunGroup> group_;
    std::optional<std::string> group_holder_;  ///< As it was recorded last.
    std::set<std::string> cancelled_holders_;
    std::unique_ptr<Timer> alarm_;
    std::deque<StepOutcome> outcomes_;
    time_point begun_;
    asio::cancellation_type requested_ = asio::cancellation_type::none;  ///< By the caller.
    bool cancelled_ = false;
    bool killing_ = false;  ///< By a terminal cancellation.
    bool late_ = false;     ///< Stopped by the time limit of the workflow.
    std::string refusal_;   ///< Why no other step may start.
    std::string merge_problem_;
    std::string commit_;  ///< Of the run's branch, in the end.

    // Once the inputs are complete:
    std::optional<RunState> state_;
    std::optional<GitWork> git_;
    std::optional<StepRunner> steps_;
};

/// Runs a workflow, or resumes a run, to its end. `parent`: of a child run.
asio::awaitable<Outcome> execute(std::shared_ptr<RunContext> context, Workflow workflow,
                                 WorkflowRunOptions options,
                                 std::optional<Resumption> resumption = {}, ParentRun parent = {});

}  // namespace autoexec::workflow
