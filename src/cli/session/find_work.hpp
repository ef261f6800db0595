#pragma once

#include <chrono>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace autoexec::workflow {
struct RunRecord;
}

/// Finds the work of executions, runs and steps by the names that users type.
namespace autoexec::cli {

/// What was done, and where. Without `commit`, it is what the worktree contains.
struct Work {
    std::string run_id;        ///< Empty: of no run.
    std::string step_id;       ///< Empty: of no step.
    std::string execution_id;  ///< Empty: not known, or of a whole run.
    std::filesystem::path worktree;
    std::string branch;
    std::string base;    ///< The commit that it started from; empty: not recorded.
    std::string commit;  ///< Empty: it is not committed.
    std::optional<std::chrono::system_clock::time_point> started_at;
};

/// `step a`, `run w-…` or `execution …`: for messages.
std::string name_of(const Work& work);

/// The commit that a run started from; empty: it worked in place.
std::string base_of(const workflow::RunRecord& run);

/// The last round of each step that has worked, in the order of the file.
std::vector<Work> works_of_steps(const workflow::RunRecord& run);

/// `id` is that of an execution or of a run; `step`, if it is not empty, is one of the run. Of a
/// run whose work is not merged, there is one for each step. Throws `Failure` if there is none.
std::vector<Work> find_work(const std::filesystem::path& root, const std::string& id,
                            const std::string& step);

}  // namespace autoexec::cli
