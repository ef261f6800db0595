#pragma once

#include "autoexec/diagnostic.hpp"
#include "autoexec/workflow.hpp"

#include <optional>
#include <string>
#include <vector>

namespace autoexec::cli {

/// A workflow file as a person named it, and all that is to be said of it, lines ascending.
struct WorkflowFile {
    std::optional<Workflow> workflow;  ///< Absent: it can't be used.
    std::vector<Diagnostic> diagnostics;
};

/// `strict`: warnings are errors.
WorkflowFile read_workflow_file(const std::string& path, bool strict,
                                const WorkflowReadOptions& options = {});

}  // namespace autoexec::cli
