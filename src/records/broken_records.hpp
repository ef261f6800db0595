#pragma once

#include <filesystem>
#include <string>
#include <vector>

/// What lies in `running/` and can't be the record of an attempt.
namespace autoexec::records {

struct BrokenRecord {
    std::string name;     ///< Of the file.
    std::string problem;  ///< For a person.
    bool removable = false;
};

/// Blocks. Nothing that an engine still holds, and no temporary file, is among them. A JSON object
/// without ids may be of a later version: it is named, but not removable; neither is a folder.
std::vector<BrokenRecord> find_broken_records(const std::filesystem::path& project_root);

/// Removes those that are removable. Where one names a worktree, nothing is done there.
void remove_broken_records(const std::filesystem::path& project_root);

}  // namespace autoexec::records
