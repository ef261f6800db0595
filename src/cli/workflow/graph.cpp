#include "cli/cli.hpp"
#include "cli/session/configuration.hpp"
#include "cli/session/output.hpp"
#include "cli/workflow/workflow_file.hpp"

#include <cstdio>

namespace autoexec::cli {

int workflow_graph(const WorkflowGraphOptions& options)
{
    WorkflowReadOptions read;
    read.lenient = options.lenient;
    const auto file = read_workflow_file(options.path, false, read);
    if (!file.workflow) {
        print_problems(file.diagnostics);
        return exit_invalid;
    }
    const auto as = options.dot       ? WorkflowDrawing::dot
                    : options.mermaid ? WorkflowDrawing::mermaid
                                      : WorkflowDrawing::text;
    tell(stdout, draw_workflow(*file.workflow, as));
    return exit_completed;
}

}  // namespace autoexec::cli
