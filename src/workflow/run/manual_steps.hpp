#pragma once

#include "workflow/run/run_log.hpp"

#include <cstddef>
#include <optional>
#include <string>

namespace autoexec::workflow {

/// Steps that people carry out: their files are published, and a marker reports how they ended.
class ManualSteps {
public:
    /// All must outlive it.
    ManualSteps(const RunContext& context, RunState& state, RunLog& log)
        : context_(context), state_(state), log_(log)
    {}

    /// Publishes the files of a step, and records that it waits, unless an earlier executor has.
    /// The outcome, if that fails.
    std::optional<StepOutcome> publish(std::size_t i, bool is_recorded = false);

    /// The outcome, once there is a marker or its time is over.
    std::optional<StepOutcome> poll(std::size_t i);

    /// Removes the files of a step that waits.
    StepOutcome finish(std::size_t i, StepState state, std::string reason);

private:
    error_code put_files(std::size_t i, std::string& why) const;

    const RunContext& context_;
    RunState& state_;
    RunLog& log_;
};

}  // namespace autoexec::workflow
