#include "cli/subcommand.hpp"
#include "cli/workflow/runs.hpp"
#include "cli/workflow/setup.hpp"

namespace autoexec::cli {
namespace {

using workflow::RunRecord;

struct WorkflowCancelOptions : CommonOptions {
    std::string run;  ///< Empty: the newest that is alive.
    bool no_wait = false;
};

RunRecord find_alive(const std::filesystem::path& root, const std::string& wanted)
{
    if (wanted.empty()) {
        auto run = newest_run(
            root, [](const RunRecord& one) { return one.alive && one.parent_run.empty(); });
        if (!run) fail(exit_usage, "no workflow is running");
        return *std::move(run);
    }
    auto run = find_run(root, wanted);
    if (!run.alive) fail(exit_usage, "{} is not running: {}", run.run_id, state_of(run));
    return run;
}

int cancel_run(const WorkflowCancelOptions& options)
{
    const auto root = project_root(options);
    const auto id = find_alive(root, options.run).run_id;
    if (const auto ec = workflow::ask_to_cancel_run(root, id))
        fail(exit_internal, "cannot write the request: {}", ec.message());
    std::string problem;
    auto run = workflow::read_run(root, id, problem);
    if (!options.no_wait) {
        wait_for_end("run", [&] {
            run = workflow::read_run(root, id, problem);
            return !run || !run->alive;
        });
        (void)workflow::take_run_cancel(root, id);  // the run may have ended without reading it
    }
    if (options.json)
        print_json({{"run_id", id}, {"state", run ? state_of(*run) : "gone"}});
    else
        print_result("{} {}\n", text::printable(id),
                     options.no_wait ? "was asked to end" : "has ended");
    return exit_completed;
}

void define_workflow_cancel(CLI::App& app, WorkflowCancelOptions& o)
{
    add_common(app, o);
    add_run_id(app, "run", o.run,
               "The run's id, or its beginning or end (default: the newest active run)");
    app.add_flag("--no-wait", o.no_wait, "Do not wait until the run has ended");
}

}  // namespace

extern const Subcommand workflow_cancel_subcommand =
    subcommand("workflow cancel", "Cancel a run", define_workflow_cancel, cancel_run);

}  // namespace autoexec::cli
