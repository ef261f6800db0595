#pragma once

#include "async/short_names.hpp"
#include "workflow/journal/journal.hpp"
#include "workflow/run/run_context.hpp"

#include <boost/asio/awaitable.hpp>

#include <optional>
#include <string>
#include <vector>

namespace autoexec::workflow {

/// The run to resume.
struct Resumption {
    std::string run_id;
    WorkflowResumeOptions what;
};

/// The journal of a run that is resumed.
struct ReopenedJournal {
    std::optional<Journal> journal;
    std::vector<protocol::JournalEntry> entries;
    const protocol::RunStarted* start = nullptr;  ///< The last one of `entries`.
    bool has_changed = false;  ///< The workflow has changed since the run started, at least once.
    std::string problem;       ///< A sentence; empty: all is well.
};

/// Takes the journal over, waits for git processes of the earlier executor, and reads it. `ec` is
/// set for errors of the file system.
asio::awaitable<ReopenedJournal> reopen_journal(const RunContext& context,
                                                const Resumption& resumption,
                                                const Workflow& workflow, error_code& ec);

/// Options of the first start that still hold: where steps work, and parameters that are not given
/// again. A line for each problem.
std::string restore_options(const protocol::RunStarted& start, const Workflow& workflow,
                            WorkflowRunOptions& options);

}  // namespace autoexec::workflow
