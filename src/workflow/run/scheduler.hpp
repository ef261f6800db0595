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

/// Decides which step is next, and what each end means for the rest. Pure: it is told what
/// happened, and says what is to be done.
namespace autoexec::workflow {

/// What is to be done with a step. It counts as done as soon as it is said.
struct Decision {
    enum class Kind {
        start,
        skip,
        fail,  ///< Its condition can't be told.
    };
    Kind kind = Kind::start;
    std::size_t step = 0;
    int round = 1;
    std::string reason;    ///< For `skip` and `fail`.
    bool goes_on = false;  ///< For `skip`: what waits for it may run.
};

/// What a gate's judgement leads to.
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
    std::string reason;  ///< For `fail`.
};

class Scheduler {
public:
    struct Limits {
        std::size_t max_parallel = 0;  ///< Zero: none.
        bool fail_fast = false;
    };

    /// What it asks while it decides.
    struct Asks {
        /// Whether a ready step may start now, as far as others than this workflow limit it.
        std::function<bool(std::size_t step)> has_room;
        /// The value of a ready step's condition; nothing, and a sentence, if it can't be told.
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
        int sent_back = 0;  ///< How often its gate has.
        std::string reason;
    };

    /// `workflow` and `plan` must outlive it.
    Scheduler(const Workflow& workflow, const Plan& plan, Limits limits);

    /// The next thing to do; nothing as long as nothing else happens.
    std::optional<Decision> next(const Asks& asks);

    /// A step in flight has ended. `provided` are those of its artifacts that are there.
    enum class Judged {
        settled,
        by_gate,    ///< `judge` must be called before anything else.
        discarded,  ///< It was superseded, and runs again.
    };
    Judged ended(std::size_t step, StepState state, std::set<std::string> provided,
                 std::string reason = {});

    Verdict judge(std::size_t step, bool passed);

    /// The gate can't be judged: the step has failed.
    void fail_judgement(std::size_t step, std::string problem);

    /// A step that had completed has failed after all: its work can't be brought together.
    void fail_late(std::size_t step, std::string reason);

    // Of a run that goes on: what its journal tells, in that order.
    void set_fail_fast(bool on) noexcept { limits_.fail_fast = on; }
    void resume_start(std::size_t step, int round);
    void resume_skip(std::size_t step, std::string reason);
    /// These steps, and all that depends on them, run again; gives them all. What is in flight is
    /// superseded. What a gate had ended goes on with them, if that gate is among them.
    std::vector<std::size_t> restart(const std::vector<std::size_t>& steps);

    enum class Stop {
        by_gate,     ///< What is in flight goes on to its end.
        by_failure,  ///< It is to be cancelled.
        by_request,  ///< The same.
    };
    /// From now on nothing is started; what is pending is skipped for this reason. The first
    /// reason stays.
    void stop(std::string reason, Stop kind = Stop::by_request);
    [[nodiscard]] std::optional<Stop> stopped() const noexcept { return stop_; }

    [[nodiscard]] const Node& node(std::size_t step) const { return nodes_[step]; }
    [[nodiscard]] std::size_t in_flight() const noexcept { return in_flight_; }
    /// Every step has ended.
    [[nodiscard]] bool finished() const;
    /// Steps that have failed, and that matters.
    [[nodiscard]] std::vector<std::size_t> failures() const;
    /// The step failed (or was skipped for having failed), and that stops nothing.
    [[nodiscard]] bool tolerates(std::size_t step) const;

private:
    enum class Readiness { waits, ready, impossible };

    Readiness look(std::size_t step, std::string& reason) const;
    bool is_entered(const PlanStep& plan, std::string& reason) const;
    [[nodiscard]] bool resolved(std::size_t step) const;
    [[nodiscard]] std::string why_not(std::size_t step) const;
    Decision skip(std::size_t step, std::string reason, bool goes_on);
    std::optional<Decision> decide(std::size_t step, const Asks& asks);
    void settle(std::size_t step, std::optional<Exit> exit, bool goes_on);
    void settle_failure(std::size_t step);
    void reset(std::size_t step);
    Verdict send_back(std::size_t gate, std::size_t to);
    void again(std::size_t step);
    Verdict fail_by_gate(std::size_t step, std::string reason);

    const Workflow& workflow_;
    const Plan& plan_;
    Limits limits_;
    std::vector<Node> nodes_;
    std::vector<std::vector<std::size_t>> followers_;
    std::set<std::size_t> candidates_;  // pending, and worth another look
    std::size_t in_flight_ = 0;
    std::string stop_reason_;
    std::optional<Stop> stop_;
    std::optional<std::size_t> ending_gate_;
};

}  // namespace autoexec::workflow
