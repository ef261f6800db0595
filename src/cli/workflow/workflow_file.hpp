#pragma once

#include "autoexec/diagnostic.hpp"
#include "autoexec/workflow.hpp"

#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace autoexec::cli {

/// A workflow file and its problems, ordered by line.
struct WorkflowFile {
    std::optional<Workflow> workflow;  ///< Absent: it cannot be used.
    std::vector<Diagnostic> diagnostics;
    std::shared_ptr<const workflow::Plan> plan;
};

/// `strict`: warnings are errors.
WorkflowFile read_workflow_file(const std::string& path, bool strict,
                                const WorkflowReadOptions& options = {});

}  // namespace autoexec::cli
