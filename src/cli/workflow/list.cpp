#include "cli/subcommand.hpp"
#include "cli/workflow/runs.hpp"

namespace autoexec::cli {
namespace {

struct WorkflowListOptions : CommonOptions {
    std::size_t limit = 20;
};

void print(const RunEntry& run)
{
    const auto duration = duration_of(run);
    print_state_line(
        fmt::format("{:{}}  ", text::shown_time(run.started_at), text::shown_time_size),
        state_of(run), 11,
        fmt::format(" {:>7} {:>5}  {}  {}", duration ? text::format_duration(*duration) : "-",
                    fmt::format("{}/{}", count_ended(run), run.steps.size()),
                    text::printable(run.run_id), text::printable(run.name)));
}

int list_runs(const WorkflowListOptions& options)
{
    ProjectReaderOptions what;
    what.project_root = project_root(options);
    const ProjectReader project(std::move(what));
    std::size_t shown = 0;
    for (const auto& id : project.run_ids()) {
        if (options.limit > 0 && shown == options.limit) break;
        std::string problem;
        const auto run = project.read_run(id, problem);
        if (!run) {  // not readable, or just removed
            print_message("{}: {}\n", text::printable(id), text::printable(problem));
            continue;
        }
        ++shown;
        if (options.json)
            print_json(to_json(*run));
        else
            print(*run);
    }
    if (shown == 0 && !options.json) print_message("No workflow runs found.\n");
    return exit_completed;
}

void define_workflow_list(CLI::App& app, WorkflowListOptions& o)
{
    add_common(app, o);
    add_limit(app, o.limit);
}

}  // namespace

extern const Subcommand workflow_list_subcommand =
    subcommand("workflow list", "List runs, newest first", define_workflow_list, list_runs);

}  // namespace autoexec::cli
