#pragma once

#include <filesystem>
#include <string>
#include <vector>

/// Files in `running/` that are not valid records of attempts.
namespace autoexec::records {

struct BrokenRecord {
    std::string name;     ///< Name of the file.
    std::string problem;  ///< For messages.
    bool removable = false;
};

/// Blocks. Skips files that an executor still locks, and temporary files. A JSON object without ids
/// may be of a later version: it is listed as not removable, and so is a folder.
std::vector<BrokenRecord> find_broken_records(const std::filesystem::path& project_root);

/// Removes the removable ones. Worktrees that they name are not touched.
void remove_broken_records(const std::filesystem::path& project_root);

}  // namespace autoexec::records
