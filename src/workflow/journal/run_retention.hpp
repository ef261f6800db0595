#pragma once

#include "records/retention.hpp"

#include <cstddef>
#include <filesystem>
#include <string>
#include <vector>

/// Removal of the journals and markers of old runs. Blocks while it reads them.
namespace autoexec::workflow {

/// The journals, of any run: whether one has ended is only looked at when it is removed. Reads at
/// most `max_names` names.
std::vector<records::StoredRecord> list_journals(const std::filesystem::path& project_root,
                                                 std::size_t max_names);

/// Why the run of a journal must be kept: it has not ended, a worktree of it exists, or its journal
/// cannot be read. Empty: it can be removed.
std::string run_removal_blocker(const std::filesystem::path& project_root,
                                const records::StoredRecord& journal);

/// Removes the markers of a run, then its journal; it cannot be resumed meanwhile.
records::Removal remove_run(const std::filesystem::path& project_root,
                            const records::StoredRecord& journal);

}  // namespace autoexec::workflow
