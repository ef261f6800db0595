#include "cli/workflow/manual_step.hpp"

namespace autoexec::cli {

extern const Subcommand workflow_fail_subcommand =
    subcommand("workflow fail", "Mark a manual step as failed",
               define_manual_step<StepDecision::failed>, mark_step);

}  // namespace autoexec::cli
