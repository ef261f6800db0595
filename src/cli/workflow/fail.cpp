#include "cli/workflow/manual_step.hpp"

namespace autoexec::cli {
namespace {

void define_workflow_fail(CLI::App& app, ManualStepOptions& o)
{
    o.done = false;
    add_manual_step(app, o);
    app.add_option("--reason", o.reason, "Record why the step failed")->type_name("TEXT");
}

}  // namespace

extern const Subcommand workflow_fail_subcommand =
    subcommand("workflow fail", "Mark a manual step as failed", define_workflow_fail, mark_step);

}  // namespace autoexec::cli
