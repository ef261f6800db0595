#pragma once

#include "async/short_names.hpp"
#include "autoexec/clock.hpp"
#include "git/artifacts.hpp"
#include "protocol/workflow_journal.hpp"
#include "workflow/run/scheduler.hpp"
#include "workflow/run/step_commands.hpp"

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/value.hpp>

#include <cstddef>
#include <deque>
#include <exception>
#include <filesystem>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <variant>
#include <vector>

namespace autoexec::workflow {

/// A step that another one builds on.
struct Parent {
    std::string step;
    std::string commit;
};

/// How a step has ended, before the scheduler decides what follows.
struct StepOutcome {
    std::size_t step = 0;
    StepState state = StepState::completed;
    std::string reason = {};
    std::string code = {};
    std::optional<ExecutionResult> execution = {};  ///< Absent: no command was run.
    std::vector<std::string> missing = {};          ///< Artifacts, if `execution` is absent.
    std::vector<std::string> warnings = {};
    bool settled = false;     ///< Its work is committed, or must not be.
    std::string cached = {};  ///< The entry whose work is taken; empty: its own.

    /// A failure without a command; nothing is committed.
    static StepOutcome failure(std::size_t step, std::string reason, std::string code = {});
    static StepOutcome failure(std::size_t step, const std::exception_ptr& error);
    static StepOutcome of(std::size_t step, ExecutionResult result);
};

/// Not in flight: it waits, or has ended.
struct Idle {
    bool merge_failed = false;  ///< It completed, but its work could not be merged.
};
struct Running {
    bool reuses_tree = false;                  ///< Continues in an existing worktree.
    std::optional<int> attempts_left = {};     ///< If an earlier executor made some.
    std::optional<StepOutcome> executed = {};  ///< Recorded: its command has ended.
    bool is_last = false;  ///< Its command cannot be made again: there is no other attempt.
    // Of a step that uses a workflow:
    bool has_child = false;     ///< Its child run is in progress.
    bool is_over_time = false;  ///< That was cancelled after the step's time limit.
};
struct WaitingForPerson {
    std::optional<time_point> deadline = {};  ///< If people do all steps of the run.
    std::optional<ManualWait> wait = {};      ///< Otherwise.
};

/// A step of a run.
struct StepRun {
    explicit StepRun(StepCommand c) : command(std::move(c)) {}

    StepCommand command;
    StepResult result;
    std::variant<Idle, Running, WaitingForPerson> phase;
    time_point since;  ///< When this executor started or resumed its round.

    /// The artifacts in its worktree before its first attempt there.
    std::optional<ArtifactBaseline> baseline;

    // Of a step for an item:
    boost::json::value item;
    std::size_t number = 0;    ///< Of the item, from 1.
    std::string item_problem;  ///< A sentence: it cannot run for this item.
    // Of a step that uses a workflow:
    boost::json::object params;  ///< Of its child run.
    std::string earlier_child;   ///< A child run that its next round resumes; empty: none.
    // Of a step with items:
    int expanded_in = 0;  ///< The round in which they were read; 0: none.

    // With git:
    std::string tree;       ///< The name of its worktree; empty: it gets a new one.
    std::string base;       ///< The commit that it starts from.
    std::string commit;     ///< Its work, once that is committed.
    std::string kept;       ///< A commit of its artifacts that git ignores; empty: none.
    std::string cache_key;  ///< Of its work in this round, for other runs; empty: none.
    std::vector<git::ArtifactSource> laid;          ///< Artifacts of others that it starts with.
    std::optional<ResumedSession> resumed_session;  ///< Of its next command.
    Parent feedback;            ///< Of the gate that went back to it; a parent of its next round.
    std::string gate_feedback;  ///< `output_of` the step of that gate.

    [[nodiscard]] const std::filesystem::path& worktree() const { return command.request.worktree; }
    [[nodiscard]] bool in_flight() const { return !std::holds_alternative<Idle>(phase); }
    [[nodiscard]] bool waits_for_person() const
    {
        return std::holds_alternative<WaitingForPerson>(phase);
    }
    [[nodiscard]] Running* running() { return std::get_if<Running>(&phase); }
    /// Its next command continues the session of the last one, if that failed.
    void resume_session();
    /// Its worktree, for the journal.
    [[nodiscard]] protocol::StepTree step_tree() const;
};

/// The scheduler and the steps of a run, and the steps that are added to its inputs. Pure: a run
/// that is resumed applies the transitions of its journal, and the live run changes it by the same
/// operations.
class RunState {
public:
    /// `inputs` must outlive it.
    RunState(RunInputs& inputs, std::vector<StepCommand> commands, Scheduler::Limits limits);

    /// Steps that the workflow no longer has are ignored.
    void apply(const protocol::JournalEntry& entry);

    [[nodiscard]] std::size_t size() const noexcept { return steps_.size(); }
    [[nodiscard]] StepRun& step(std::size_t i) { return steps_[i]; }
    [[nodiscard]] const StepRun& step(std::size_t i) const { return steps_[i]; }
    [[nodiscard]] Scheduler& scheduler() noexcept { return scheduler_; }
    [[nodiscard]] const Scheduler& scheduler() const noexcept { return scheduler_; }

    /// A step has read its items: it has a step for each of them from now on.
    void expand(std::size_t i, const boost::json::array& items);
    /// Only the work of this step counts, of those for the items of another one.
    void pick(std::size_t i, std::size_t part);
    /// None of its items can be the best: see `Scheduler::end_unpicked`.
    Scheduler::Unpicked end_unpicked(std::size_t i, std::string reason);
    /// A round of a step begins.
    void start(std::size_t i, int round, protocol::EntryTime started_at, time_point now);
    /// Another step works in its worktree: what an earlier one finds there later is not its work.
    void drop_other_baselines(const StepRun& step);
    /// A step in flight has ended. `provided` are those of its artifacts that are there.
    Scheduler::Judged end(StepOutcome outcome, std::set<std::string> provided);
    /// Its gate was evaluated: see `Scheduler::judge`.
    Verdict judge(std::size_t i, std::optional<bool> passed, std::string reason);
    /// It has sent the run back.
    void send_back(std::size_t gate, const Verdict& verdict);
    /// Lets steps run again, and all that depend on them: returns all.
    std::vector<std::size_t> restart(const std::vector<std::size_t>& roots);

    std::string run_id;
    std::string branch;                  ///< Of the run; empty: it works in place.
    std::filesystem::path trees_folder;  ///< Of the worktrees of the run.
    int retries = 0;                     ///< Of all steps, if the workflow limits them.
    std::string last_commit;             ///< Where the run's branch was left.
    std::optional<WorkflowStatus> ended_as;

private:
    struct Replay;
    void forget_work(const std::vector<std::size_t>& steps);

    void set_item(std::size_t part, const boost::json::value& item, std::size_t number);

    RunInputs& inputs_;
    Scheduler scheduler_;
    std::deque<StepRun> steps_;  // references stay valid when steps are added
};

std::vector<std::string> ids_of(const Workflow& workflow, const std::vector<std::size_t>& steps);

/// Whether a run that continues would start, or judge, anything.
bool anything_left(const RunState& state);

/// The steps with work that `i` builds on.
std::set<std::size_t> work_before(const Plan& plan, const RunState& state, std::size_t i);

/// What other steps can use of it: the end of the output of its command, as the journal holds it,
/// or the reason of the person who answered a manual step. Without newlines at its end.
std::string output_of(const StepResult& result);

/// The artifacts of a step that exist now.
std::set<std::string> provided_by(const Plan& plan, const RunState& state,
                                  const StepOutcome& outcome);

/// The steps with the longest durations, one after the other.
std::vector<std::string> critical_path(const Plan& plan, const RunState& state);

}  // namespace autoexec::workflow
