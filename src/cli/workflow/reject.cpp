#include "cli/workflow/manual_step.hpp"

namespace autoexec::cli {

extern const Subcommand workflow_reject_subcommand =
    subcommand("workflow reject", "Reject a manual step",
               define_manual_step<StepDecision::rejected>, mark_step);

}  // namespace autoexec::cli
