#pragma once

#include "autoexec/event.hpp"
#include "workflow/run/run_log.hpp"

#include <boost/json/object.hpp>

#include <cstddef>
#include <optional>
#include <string>

namespace autoexec::workflow {

/// Steps that wait for people. A manual step of a run waits for an answer, which is a file in the
/// project: see `records/decisions.hpp`. If people do all steps of a run, the files of a step are
/// published in its worktree, and a marker reports how it ended.
class ManualSteps {
public:
    /// All must outlive it.
    ManualSteps(const RunContext& context, const RunInputs& inputs, RunState& state, RunLog& log)
        : context_(context), inputs_(inputs), state_(state), log_(log)
    {}

    /// Lets a manual step wait, which is recorded.
    void wait(std::size_t i);
    /// The same for one that an earlier executor has let wait: until the same time.
    void wait_again(std::size_t i) const;
    /// Publishes the files of a step, and records that it waits, unless an earlier executor has.
    /// The outcome, if that fails.
    std::optional<StepOutcome> publish(std::size_t i, bool is_recorded = false);

    /// The outcome, once there is an answer or a marker, or its time is over.
    std::optional<StepOutcome> poll(std::size_t i);
    /// When the outcome is recorded.
    void remove_answer(std::size_t i) const;

    /// Of a step that waits.
    StepOutcome cancel(std::size_t i);

private:
    std::optional<StepOutcome> poll_answer(std::size_t i, const ManualWait& wait);
    std::optional<StepAnswer> find_answer(std::size_t i) const;
    StepOutcome finish_by(std::size_t i, StepAnswer answer);
    StepOutcome finish(std::size_t i, StepState state, std::string reason);
    void audit_end(std::size_t i, const std::optional<StepAnswer>& answer) const;
    void audit(std::size_t i, EventType type, boost::json::object details) const;
    error_code put_files(std::size_t i, std::string& why) const;

    const RunContext& context_;
    const RunInputs& inputs_;
    RunState& state_;
    RunLog& log_;
};

/// Why a step fails by this answer: a sentence.
std::string sentence_of(const StepAnswer& answer);

/// Whether a person has rejected it: then its gate does not pass.
bool is_rejected(const StepResult& result);

}  // namespace autoexec::workflow
