#include "cli/session/configuration.hpp"
#include "cli/session/project.hpp"
#include "cli/subcommand.hpp"
#include "cli/workflow/setup.hpp"
#include "workflow/plan/plan.hpp"

namespace autoexec::cli {
namespace {

struct WorkflowGraphOptions {
    std::string path;
    bool lenient = false;
    bool dot = false;
    bool mermaid = false;
};

int draw_graph(const WorkflowGraphOptions& options)
{
    WorkflowReadOptions read;
    read.lenient = options.lenient;
    read.project_root = folder_of_used(options.path, project_root({}));
    const auto file = read_workflow_file(options.path, false, read);
    require_usable(file, true);
    const auto as = options.dot       ? WorkflowDrawing::dot
                    : options.mermaid ? WorkflowDrawing::mermaid
                                      : WorkflowDrawing::text;
    print_result(workflow::draw_plan(*file.workflow, *file.plan, as));
    return exit_completed;
}

void define_workflow_graph(CLI::App& app, WorkflowGraphOptions& o)
{
    app.add_option("file", o.path, "The workflow file")->type_name("FILE")->required();
    add_lenient(app, o.lenient);
    auto* const dot = app.add_flag("--dot", o.dot, "Print the graph for Graphviz");
    app.add_flag("--mermaid", o.mermaid, "Print the graph for Mermaid, in Markdown")->excludes(dot);
    app.footer("Example:\n  autoexec workflow graph release.yaml --dot | dot -Tsvg >g.svg");
}

}  // namespace

extern const Subcommand workflow_graph_subcommand = subcommand(
    "workflow graph", "Show the dependencies between steps", define_workflow_graph, draw_graph);

}  // namespace autoexec::cli
