#include "cli/subcommand.hpp"
#include "cli/workflow/manual_step.hpp"

#include <CLI/CLI.hpp>

#include <memory>

namespace autoexec::cli {
namespace {

SubcommandBody define_workflow_fail(CLI::App& app)
{
    const auto o = std::make_shared<ManualStepOptions>();
    o->done = false;
    add_manual_step(app, *o);
    app.add_option("--reason", o->reason, "Record why the step failed")->type_name("TEXT");
    return {[o] { return mark_step(*o); }};
}

}  // namespace

extern const Subcommand workflow_fail_subcommand{"workflow fail", "Mark a manual step as failed",
                                                 define_workflow_fail};

}  // namespace autoexec::cli
