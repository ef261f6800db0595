#pragma once

#include "workflow/plan/plan.hpp"

#include <string>

namespace autoexec::workflow {

/// `Step 'x', requires[2]: …`, for workflows that have no file.
std::string sentence_for(const Workflow& workflow, const PlanProblem& problem);

}  // namespace autoexec::workflow
