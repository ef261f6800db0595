#pragma once

#include "autoexec/workflow.hpp"
#include "autoexec/workflow_result.hpp"
#include "workflow/plan/plan.hpp"

#include <cstddef>
#include <functional>
#include <optional>
#include <set>
#include <string>
#include <vector>

/// Decides which step is next, and what the outcome of a step changes. Pure: receives events,
/// returns actions.
namespace autoexec::workflow {

/// An action for a step. Its effect on the scheduler has happened when it is returned.
struct Decision {
    enum class Kind {
        start,
        skip,
        fail,  ///< Its condition cannot be evaluated.
    };
    Kind kind = Kind::start;
    std::size_t step = 0;
    int round = 1;
    std::string reason;    ///< For `skip` and `fail`.
    bool goes_on = false;  ///< For `skip`: steps that wait for it may run.
};

/// What follows from a gate.
struct Verdict {
    enum class Kind {
        on,
        back,  ///< `steps` run again, `to` first.
        end,   ///< The workflow ends here.
        fail,  ///< The step has failed.
    };
    Kind kind = Kind::on;
    std::size_t to = 0;
    std::vector<std::size_t> steps;
};

/// Whether a failure of the step stops nothing.
bool tolerates_failure(const WorkflowStep& step);

/// Whether the step counts in `max_parallel`: it waits neither for a person nor for a child run.
bool counts_as_parallel(const WorkflowStep& step);

class Scheduler {
public:
    struct Limits {
        std::size_t max_parallel = 0;  ///< Of steps that have commands. Zero: none.
        bool fail_fast = false;
    };

    /// What it asks the run.
    struct Queries {
        /// Whether limits outside this workflow allow a ready step to start now.
        std::function<bool(std::size_t step)> has_room;
        /// The value of a ready step's condition; empty, with a sentence, if it cannot be
        /// evaluated.
        std::function<std::optional<bool>(std::size_t step, std::string& problem)> condition;
    };

    /// A step's state in the present round.
    struct Node {
        StepState state = StepState::pending;
        int round = 1;
        bool goes_on = false;     ///< It has ended, and what waits for it may run.
        bool superseded = false;  ///< In flight, and what it works from is out of date.
        bool judging = false;     ///< Completed; its gate has not been judged.
        bool forced = false;      ///< A gate has sent back to it: no way in is asked for.
        std::optional<Exit> exit;
        std::set<std::string> provided;
        int sent_back = 0;                  ///< How often its gate has.
        bool absent = false;                ///< There is no item for it.
        std::size_t parts_in_flight = 0;    ///< Of the steps for its items.
        std::optional<std::size_t> picked;  ///< The best of them, if only that one counts.
        std::string reason;
    };

    /// `workflow` and `plan` must outlive it.
    Scheduler(const Workflow& workflow, const Plan& plan, Limits limits);

    /// The next thing to do; nothing as long as nothing else happens.
    std::optional<Decision> next(const Queries& queries);

    /// A step in flight has ended. `provided` are those of its artifacts that are there.
    enum class Judged {
        settled,
        by_gate,    ///< `judge` must be called before anything else.
        discarded,  ///< It was superseded, and runs again.
    };
    Judged ended(std::size_t step, StepState state, std::set<std::string> provided,
                 std::string reason = {});

    /// Whether its gate passed; nothing if it cannot be evaluated: the step fails. `reason`: what
    /// the step fails with if that follows; empty: the condition.
    Verdict judge(std::size_t step, std::optional<bool> passed, std::string reason = {});

    /// Fails a completed step: its work cannot be merged.
    void fail_late(std::size_t step, std::string reason);

    /// The plan has more steps.
    void grow() { nodes_.resize(plan_.steps.size()); }
    /// Whether there is an item for a step that has been added.
    void set_absent(std::size_t step, bool absent) { nodes_[step].absent = absent; }
    /// All of a step's items have ended, and the best of them is not known.
    [[nodiscard]] bool awaits_pick(std::size_t step) const;
    void pick(std::size_t step, std::size_t part) { nodes_[step].picked = part; }
    /// None of its items can be the best: the step fails, unless a stop has kept some of them from
    /// their end.
    enum class Unpicked { failed, skipped };
    Unpicked end_unpicked(std::size_t step, std::string reason);
    /// Whether another step for the same list is better, or none is known to be the best.
    [[nodiscard]] bool is_left_out(std::size_t step) const;

    /// The step for the same list whose failure cancels this one, if there is one.
    [[nodiscard]] std::optional<std::size_t> failure_against(std::size_t step) const;
    /// The steps for the same list that are in flight, if this one's failure cancels them.
    [[nodiscard]] std::vector<std::size_t> cancelled_by(std::size_t step) const;

    // For a resumed run: the transitions of its journal, in their order.
    void set_fail_fast(bool on) noexcept { limits_.fail_fast = on; }
    void resume_start(std::size_t step, int round);
    void resume_skip(std::size_t step, std::string reason);
    /// Lets these steps, and all that depend on them, run again; returns all of them. Steps in
    /// flight are superseded. If a gate among them had ended the run, other pending steps may run,
    /// too.
    std::vector<std::size_t> restart(const std::vector<std::size_t>& steps);

    enum class Stop {
        by_gate,     ///< Steps in flight run to their end.
        by_failure,  ///< They are cancelled.
        by_request,  ///< The same.
    };
    /// Starts nothing more; pending steps are skipped for this reason. A later reason is ignored.
    void stop(std::string reason, Stop kind = Stop::by_request);
    [[nodiscard]] std::optional<Stop> stopped() const noexcept { return stop_; }
    /// Whether that is not for this step: it runs after failures, too.
    [[nodiscard]] bool ignores_stop(std::size_t step) const;
    /// All steps of earlier phases have ended.
    [[nodiscard]] bool has_ended_before(StepPhase phase) const;

    [[nodiscard]] const Node& node(std::size_t step) const { return nodes_[step]; }
    [[nodiscard]] std::size_t in_flight() const noexcept { return in_flight_; }
    /// Every step has ended.
    [[nodiscard]] bool finished() const;
    /// Steps whose failure fails the run.
    [[nodiscard]] std::vector<std::size_t> failures() const;

private:
    enum class Readiness { waits, ready, impossible };

    Readiness readiness_of(std::size_t step, std::string& reason) const;
    [[nodiscard]] std::optional<Decision> decide_part(std::size_t step);
    [[nodiscard]] std::optional<std::size_t> failed_part(std::size_t step) const;
    [[nodiscard]] bool has_room_for_part(std::size_t step) const;
    [[nodiscard]] StepPhase open_phase() const;
    [[nodiscard]] bool has_failed_before(StepPhase phase) const;
    [[nodiscard]] bool is_beaten(std::size_t step) const;
    [[nodiscard]] bool picks(std::size_t step) const;
    [[nodiscard]] bool goes_on(std::size_t step) const;
    [[nodiscard]] std::string why_not_after(std::size_t step) const;
    void count_in_flight(std::size_t step, bool begins);
    bool is_entered(const PlanStep& plan, std::string& reason) const;
    Decision skip(std::size_t step, std::string reason, bool goes_on);
    std::optional<Decision> decide(std::size_t step, const Queries& queries);
    void finalize(std::size_t step, std::optional<Exit> exit, bool goes_on);
    void finalize_failure(std::size_t step);
    void reset(std::size_t step);
    Verdict send_back(std::size_t gate, std::size_t to);
    void rerun(std::size_t step);
    Verdict fail_by_gate(std::size_t step, std::string reason);

    const Workflow& workflow_;
    const Plan& plan_;
    Limits limits_;
    std::vector<Node> nodes_;
    std::size_t in_flight_ = 0;
    std::size_t waiting_ = 0;  ///< Of those, steps that use no place of `max_parallel`.
    std::string stop_reason_;
    std::optional<Stop> stop_;
    std::optional<std::size_t> ending_gate_;
};

}  // namespace autoexec::workflow
