#include "workflow/run/step_outcome.hpp"

#include <utility>

namespace autoexec::workflow {
namespace {

StepState state_of(ExecutionStatus status)
{
    switch (status) {
        case ExecutionStatus::completed:
            return StepState::completed;
        case ExecutionStatus::timeout:
            return StepState::timeout;
        case ExecutionStatus::cancelled:
            return StepState::cancelled;
        case ExecutionStatus::failed:
            break;
    }
    return StepState::failed;
}

}  // namespace

StepOutcome StepOutcome::failure(std::size_t step, std::string reason, std::string code)
{
    StepOutcome outcome;
    outcome.step = step;
    outcome.state = StepState::failed;
    outcome.reason = std::move(reason);
    outcome.code = std::move(code);
    outcome.settled = true;
    return outcome;
}

StepOutcome StepOutcome::failure(std::size_t step, const std::exception_ptr& error)
{
    try {
        std::rethrow_exception(error);
    } catch (const std::exception& e) {
        return failure(step, e.what());
    }
}

StepOutcome StepOutcome::of(std::size_t step, ExecutionResult result)
{
    StepOutcome outcome;
    outcome.step = step;
    outcome.state = state_of(result.status);
    if (result.error) outcome.reason = result.error->message;
    outcome.execution = std::move(result);
    return outcome;
}

}  // namespace autoexec::workflow
