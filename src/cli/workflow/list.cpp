#include "cli/cli.hpp"
#include "cli/flags.hpp"
#include "cli/session/output.hpp"
#include "cli/session/project.hpp"
#include "cli/subcommand.hpp"
#include "cli/workflow/runs.hpp"
#include "text/text.hpp"

#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include <memory>

namespace autoexec::cli {
namespace {

struct WorkflowListOptions {
    CommonOptions common;
    std::size_t limit = 20;
};

void print(const workflow::RunRecord& run)
{
    const auto duration = duration_of(run);
    print_result("{}  {:11} {:>7} {:>5}  {}  {}\n", text::iso_utc(run.started_at).substr(0, 19),
                 state_of(run), duration ? text::format_duration(*duration) : "-",
                 fmt::format("{}/{}", count_ended(run), run.steps.size()),
                 text::printable(run.run_id), text::printable(run.name));
}

int list_runs(const WorkflowListOptions& options)
{
    const auto root = project_root(options.common);
    std::size_t shown = 0;
    for (const auto& id : workflow::list_runs(root)) {
        if (options.limit > 0 && shown == options.limit) break;
        std::string problem;
        const auto run = workflow::read_run(root, id, problem);
        if (!run) {  // not readable, or just removed
            print_message("{}: {}\n", text::printable(id), text::printable(problem));
            continue;
        }
        ++shown;
        if (options.common.json)
            print_json(to_json(*run));
        else
            print(*run);
    }
    if (shown == 0 && !options.common.json) print_message("No workflow runs found.\n");
    return exit_completed;
}

SubcommandBody define_workflow_list(CLI::App& app)
{
    const auto o = std::make_shared<WorkflowListOptions>();
    add_common(app, o->common);
    add_limit(app, o->limit);
    return {[o] { return list_runs(*o); }};
}

}  // namespace

extern const Subcommand workflow_list_subcommand{"workflow list", "List runs, newest first",
                                                 define_workflow_list};

}  // namespace autoexec::cli
