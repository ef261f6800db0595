#include "cli/cli.hpp"
#include "cli/session/output.hpp"
#include "cli/session/project.hpp"
#include "cli/workflow/runs.hpp"
#include "text/text.hpp"

#include <fmt/format.h>

#include <cstdio>

namespace autoexec::cli {
namespace {

void print(const workflow::RunRecord& run)
{
    const auto duration = duration_of(run);
    print_text(stdout, "{}  {:11} {:>7} {:>5}  {}  {}\n",
               text::printable(run.started_at.substr(0, 19)), state_of(run),
               duration ? text::format_duration(*duration) : "-",
               fmt::format("{}/{}", count_ended(run), run.steps.size()),
               text::printable(run.run_id), text::printable(run.name));
}

}  // namespace

int workflow_list(const WorkflowListOptions& options)
{
    const auto root = project_root(options.common);
    std::size_t shown = 0;
    for (const auto& id : workflow::list_runs(root)) {
        if (options.limit > 0 && shown == options.limit) break;
        std::string problem;
        const auto run = workflow::read_run(root, id, problem);
        if (!run) {  // somebody else's file, or one that has just gone
            print_text(stderr, "{}: {}\n", text::printable(id), text::printable(problem));
            continue;
        }
        ++shown;
        if (options.common.json)
            print_json(to_json(*run));
        else
            print(*run);
    }
    if (shown == 0 && !options.common.json) print_text(stderr, "No workflow runs found.\n");
    return exit_completed;
}

}  // namespace autoexec::cli
