#pragma once

#include "autoexec/workflow_executor.hpp"
#include "workflow/journal/journal.hpp"

#include <string>
#include <vector>

/// What the journal of a run has of its start, for a run that is resumed or run again. Pure.
namespace autoexec::workflow {

/// The last one; a resumption is one, too. Null: there is none.
const protocol::RunStarted* last_start(const RunRecord& record);

/// Adds the parameters and variables that `options` lacks, but for parameters that the workflow no
/// longer has. Returns a sentence for each that contained a secret.
std::vector<std::string> restore_values(const protocol::RunStarted& start, const Workflow& workflow,
                                        WorkflowRunOptions& options);

}  // namespace autoexec::workflow
