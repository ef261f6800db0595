#include "cli/workflow/workflow_file.hpp"

#include <algorithm>
#include <iterator>
#include <utility>

namespace autoexec::cli {

WorkflowFile read_workflow_file(const std::string& path, bool strict,
                                const WorkflowReadOptions& options)
{
    auto loaded = load_workflow(path, options);
    WorkflowFile file;
    file.workflow = std::move(loaded.workflow);
    file.plan = std::move(loaded.plan);
    if (strict && !loaded.warnings.empty()) {
        file.workflow.reset();
        for (auto& warning : loaded.warnings) warning.severity = Diagnostic::Severity::error;
    }
    std::merge(loaded.errors.begin(), loaded.errors.end(), loaded.warnings.begin(),
               loaded.warnings.end(), std::back_inserter(file.diagnostics),
               [](const Diagnostic& a, const Diagnostic& b) {
                   return std::pair(a.line, a.column) < std::pair(b.line, b.column);
               });
    return file;
}

}  // namespace autoexec::cli
