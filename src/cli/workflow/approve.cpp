#include "cli/workflow/manual_step.hpp"

namespace autoexec::cli {

extern const Subcommand workflow_approve_subcommand =
    subcommand("workflow approve", "Approve a manual step",
               define_manual_step<StepDecision::approved>, mark_step);

}  // namespace autoexec::cli
