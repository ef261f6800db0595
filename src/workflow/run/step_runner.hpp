#pragma once

#include "async/short_names.hpp"
#include "workflow/run/git_work.hpp"
#include "workflow/run/manual_steps.hpp"
#include "workflow/run/run_context.hpp"
#include "workflow/run/run_log.hpp"
#include "workflow/run/run_state.hpp"

#include <boost/asio/cancellation_signal.hpp>

#include <cstddef>
#include <deque>
#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace autoexec::workflow {

/// Carries out the steps of a run: each round, from its line in the journal to its outcome. On the
/// run's strand. A function for each phase of a round; they share the run's state.
class StepRunner {
public:
    /// All must outlive it. `on_end` is called for each outcome, also within the calls below.
    /// `cancelled`: the run was cancelled, so nothing more is started.
    StepRunner(RunContext& context, const RunInputs& inputs, RunState& state, RunLog& log,
               GitWork& git, const bool& cancelled, std::function<void(StepOutcome)> on_end);

    /// The commands of steps count there. Before anything is started.
    void set_limit(std::shared_ptr<CommandLimit> limit) { limit_ = std::move(limit); }
    /// How child runs are resumed.
    void set_child_resumption(WorkflowResumeOptions what) { child_resumption_ = std::move(what); }
    /// Kept alive by what it has started.
    void set_owner(std::weak_ptr<void> owner) { owner_ = std::move(owner); }

    /// Whether other commands let the step start now.
    [[nodiscard]] bool has_room(std::size_t i) const;
    /// Its command has ended.
    void release(std::size_t i);
    void begin(std::size_t i, int round);
    /// The run has more steps.
    void grow();
    /// Continues with a step that was in flight when an earlier executor ended.
    void resume(std::size_t i);
    /// Commits the work of a step; its outcome is settled then.
    void commit(StepOutcome outcome);
    /// A gate has rejected the work of a step: later runs must not take it.
    void forget_cached(std::size_t i);
    /// Looks for the markers of manual steps.
    void poll_manual_steps();
    /// Cancels child runs that are not wanted, or whose steps are over their time limits.
    void check_child_runs();
    /// Of a step that is not in flight: nothing.
    void cancel(std::size_t i, asio::cancellation_type how);
    /// All that do not run after failures, too.
    void cancel_main();
    void cancel_all(asio::cancellation_type how);

private:
    void take_slot(std::size_t i);
    void begin_work(std::size_t i);
    void expand(std::size_t i);
    [[nodiscard]] bool is_unwanted(std::size_t i) const;
    void end_unwanted(std::size_t i);
    void spawn(std::size_t i, asio::awaitable<void> work);
    asio::awaitable<void> prepare_tree(std::size_t i);
    asio::awaitable<void> save_work(StepOutcome outcome);
    void hand_over(std::size_t i);
    asio::awaitable<void> use_cache(std::size_t i);
    void start_command(std::size_t i);
    void run_command(std::size_t i);
    CommandRequest request_of(std::size_t i);
    std::string take_retry(std::size_t i, int attempt);
    asio::awaitable<std::string> ask_for_retry(std::shared_ptr<void> keep, std::size_t i,
                                               int attempt);
    asio::awaitable<void> record_baseline(std::shared_ptr<void> keep, std::size_t i,
                                          ArtifactBaseline baseline);
    asio::awaitable<void> record_early(std::shared_ptr<void> keep, std::size_t i,
                                       ExecutionResult result);
    bool record_executed(const StepOutcome& outcome);

    // Steps that use a workflow: see child_runs.cpp.
    void choose_child(std::size_t i);
    void start_child(std::size_t i);
    void resume_child(std::size_t i);
    void execute_child(std::size_t i, bool is_resumed);
    [[nodiscard]] WorkflowRunOptions options_of_child(std::size_t i) const;
    [[nodiscard]] ParentRun parent_of_child(std::size_t i) const;
    void finish_child(std::size_t i, WorkflowResult result);
    asio::awaitable<void> take_work(StepOutcome outcome, std::string commit);
    void check_artifacts(StepOutcome& outcome) const;

    // After the earlier executor: see step_adoption.cpp.
    [[nodiscard]] bool has_attempts(std::size_t i);
    void adopt(std::size_t i);
    void finish_adopted(std::size_t i, ExecutionResult result);
    void settle_by_records(std::size_t i);
    bool try_again(std::size_t i, int attempts);

    RunContext& context_;
    const RunInputs& inputs_;
    RunState& state_;
    RunLog& log_;
    GitWork& git_;
    const bool& cancelled_;
    ManualSteps manual_;
    std::function<void(StepOutcome)> on_end_;
    std::weak_ptr<void> owner_;
    std::vector<std::string> turns_;  ///< What the command of each step takes turns in.
    std::vector<CommandSlots::Slot> slots_;
    std::vector<std::shared_ptr<void>> places_;  ///< In the limit of commands, or of child runs.
    std::shared_ptr<CommandLimit> limit_;
    std::shared_ptr<CommandLimit> child_runs_;  ///< Of this run, within those of the executor.
    WorkflowResumeOptions child_resumption_;
    std::deque<asio::cancellation_signal> cancels_;
};

}  // namespace autoexec::workflow
