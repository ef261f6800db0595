#pragma once

#include "protocol/otlp.hpp"
#include "workflow/journal/journal.hpp"

#include <vector>

namespace autoexec::workflow {

/// The spans of a run that has ended or was interrupted, and of its steps, gates and merges; the
/// first is that of the run. The parent of a step's attempts is the span of its execution. Pure.
std::vector<protocol::Span> spans_of_run(const RunRecord& run);

}  // namespace autoexec::workflow
