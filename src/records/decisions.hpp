#pragma once

#include "autoexec/error.hpp"

#include <filesystem>
#include <optional>
#include <string>

/// People's answers to manual steps: `running/decisions/<run>/<execution id>`. The files wait for
/// the executor of the run, also while there is none. Formats: `protocol/step_answer.hpp`. All
/// functions block only for microseconds.
namespace autoexec::records {

/// Leaves an answer for the executor of a run. `file_exists`: it has not read the one before.
error_code put_decision(const std::filesystem::path& project_root, const std::string& run_id,
                        const std::string& execution_id, const std::string& text);

struct FoundDecision {
    std::string text;
    std::string problem;  ///< Why the file does not count; empty: it was read.
};

/// Reads it; nothing if there is none. A file that others than this user can read does not count:
/// git cannot make a file without these permissions, unless the umask takes them.
std::optional<FoundDecision> read_decision(const std::filesystem::path& project_root,
                                           const std::string& run_id,
                                           const std::string& execution_id);

error_code remove_decision(const std::filesystem::path& project_root, const std::string& run_id,
                           const std::string& execution_id);

/// Removes all answers to a run that has ended.
void remove_decisions(const std::filesystem::path& project_root, const std::string& run_id);

}  // namespace autoexec::records
