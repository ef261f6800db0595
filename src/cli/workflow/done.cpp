#include "cli/subcommand.hpp"
#include "cli/workflow/manual_step.hpp"

#include <memory>

namespace autoexec::cli {
namespace {

SubcommandBody define_workflow_done(CLI::App& app)
{
    const auto o = std::make_shared<ManualStepOptions>();
    add_manual_step(app, *o);
    return {[o] { return mark_step(*o); }};
}

}  // namespace

extern const Subcommand workflow_done_subcommand{"workflow done", "Mark a manual step as done",
                                                 define_workflow_done};

}  // namespace autoexec::cli
