#pragma once

#include <autoexec/command.hpp>

#include <boost/json/fwd.hpp>

#include <chrono>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace autoexec::inline v1 {

/// The state of a step.
enum class StepState {
    pending,
    running,
    waiting_manual,  ///< It waits for a person.
    completed,
    failed,
    timeout,
    cancelled,
    skipped,
};
std::string_view to_string(StepState state) noexcept;

/// The state of a run.
enum class WorkflowStatus { running, completed, failed, cancelled };
std::string_view to_string(WorkflowStatus status) noexcept;

/// What a manual step waits for.
struct ManualWait {
    std::string text;  ///< What is to be decided or done; redacted. May be empty.
    std::string by;    ///< The person to be asked; may be empty.
    std::optional<std::chrono::system_clock::time_point> until;  ///< Absent: without a limit.
    bool is_approval = false;  ///< A decision: the step creates nothing.

    bool operator==(const ManualWait&) const = default;
};

/// How a person ends a manual step.
enum class StepDecision { approved, rejected, done, failed };
std::string_view to_string(StepDecision decision) noexcept;

/// A person's answer to a manual step.
struct StepAnswer {
    StepDecision decision = StepDecision::failed;
    std::string by;      ///< `user@host`; empty: nobody, its deadline has passed.
    std::string reason;  ///< Redacted; may be empty.
    std::optional<std::chrono::system_clock::time_point> at;

    /// Whether the step may have completed by it.
    [[nodiscard]] bool accepts() const noexcept
    {
        return decision == StepDecision::approved || decision == StepDecision::done;
    }
    bool operator==(const StepAnswer&) const = default;
};

/// The result of a step, in its last round.
struct StepResult {
    std::string id;
    StepState state = StepState::pending;
    int round = 0;  ///< 0: it never started.
    /// Why it was skipped or failed.
    std::string reason;
    std::optional<bool> gate_passed;
    bool tolerated = false;  ///< It failed, and that does not stop the run.
    std::optional<std::chrono::system_clock::time_point> started_at;  ///< Absent: never.
    std::optional<std::chrono::system_clock::time_point> ended_at;
    std::string branch;  ///< Of its worktree; empty without one.
    std::string commit;  ///< Its work, or the commit that it started from if it changed nothing.
    /// The run from which its work was taken, instead of running its command. Empty: none.
    std::string cached_from;
    /// The kind of a failure that is not its command's: `merge_conflict`, `gate`, `worktree`,
    /// `interrupted` …
    std::string code;
    std::chrono::milliseconds duration{0};  ///< From its start to its end, including waits.
    std::optional<StepAnswer> answer;       ///< Of a manual step.
    std::string child_run;  ///< The run of the workflow that the step uses; empty: none.
    /// Absent if no command was run; of cached work, it has no id. Its exit code and signal come
    /// from the program, `reported` from the agent, `verified` from the executor.
    std::optional<ExecutionResult> execution;
    /// About the commit of its work: additional files, files left out … `execution` has its own
    /// warnings.
    std::vector<std::string> warnings;
};
boost::json::object to_json(const StepResult& result);

/// How a run ended.
struct WorkflowResult {
    std::string run_id;
    std::string workflow_id;
    WorkflowStatus status = WorkflowStatus::running;
    std::string error;              ///< A sentence; empty if completed.
    std::string branch;             ///< Has the work of all steps; empty without git.
    std::string commit;             ///< The head of that branch.
    std::vector<StepResult> steps;  ///< In the order of the file; those for items after their step.
    std::chrono::milliseconds duration{0};
    /// The critical path: the dependent steps that took longest, first to last.
    std::vector<std::string> critical_path;
};
boost::json::object to_json(const WorkflowResult& result);

/// An event of a run. It is in the journal already.
struct WorkflowEvent {
    /// The kinds of transitions.
    enum class Type {
        run_started,
        run_waiting,  ///< For its concurrency group.
        step_started,
        step_prepared,  ///< Its worktree is about to be created.
        step_ready,     ///< Its worktree exists, and the baseline of its artifacts is taken.
        step_retried,   ///< Its command is about to be tried again; only with a limit of retries.
        step_waiting,   ///< It waits for a person.
        step_executed,  ///< Its command has ended; its work is about to be committed.
        step_ended,
        step_skipped,
        expanded,  ///< A step has read its items: `steps` run for them.
        picked,    ///< The best of them is known: the only one in `steps`.
        gate_judged,
        sent_back,  ///< By its gate: `steps` run again.
        restarted,  ///< By a resumption: `steps` run again.
        merged,     ///< The work of all steps is on the run's branch.
        run_ended,
    };
    Type type = Type::run_started;
    std::string run_id;
    std::string step_id;  ///< Empty for the run itself.
    int round = 0;
    StepState state = StepState::pending;
    WorkflowStatus status = WorkflowStatus::running;
    std::string message;                 ///< For people; may be empty.
    std::vector<std::string> steps;      ///< For `expanded`, `picked`, `sent_back`, `restarted`.
    std::filesystem::path worktree;      ///< Of the step; empty for the run itself.
    const StepResult* result = nullptr;  ///< For `step_ended` and `step_skipped`; during the call.
    /// For `step_waiting` of a manual step, also when a resumed run waits again. Absent if people
    /// do all steps of the run.
    std::optional<ManualWait> wait;
    std::string workflow_id;
    /// Of a child run: the steps that use its workflow, outermost first, with `/` between them.
    std::string parent_steps;
};
std::string_view to_string(WorkflowEvent::Type type) noexcept;

}  // namespace autoexec::inline v1
