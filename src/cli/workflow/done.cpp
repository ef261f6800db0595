#include "cli/workflow/manual_step.hpp"

namespace autoexec::cli {

extern const Subcommand workflow_done_subcommand =
    subcommand("workflow done", "Mark a manual step as done",
               define_manual_step<StepDecision::done>, mark_step);

}  // namespace autoexec::cli
