#pragma once

#include "autoexec/command.hpp"
#include "autoexec/error.hpp"
#include "autoexec/workflow_result.hpp"

#include <cstddef>
#include <exception>
#include <optional>
#include <string>
#include <vector>

namespace autoexec::workflow {

/// How a step has ended, before the scheduler decides what follows.
struct StepOutcome {
    std::size_t step = 0;
    StepState state = StepState::completed;
    std::string reason = {};
    std::string code = {};
    std::optional<ExecutionResult> execution = {};  ///< Absent: no command was run.
    std::vector<std::string> missing = {};          ///< Artifacts, if `execution` is absent.
    std::vector<std::string> warnings = {};
    bool settled = false;  ///< Its work is committed, or must not be.

    /// A failure without a command; nothing is committed.
    static StepOutcome failure(std::size_t step, std::string reason, std::string code = {});
    static StepOutcome failure(std::size_t step, const std::exception_ptr& error);
    static StepOutcome of(std::size_t step, ExecutionResult result);
};

}  // namespace autoexec::workflow
