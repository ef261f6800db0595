#pragma once

#include <array>
#include <string>
#include <vector>

/// Names of the files through which executors and agents communicate: `doc/file-protocol.md`.
namespace autoexec::control_files {

inline constexpr char command[] = ".cursor-skill-command.txt";
inline constexpr char simple[] = ".cursor-skill-command-simple.txt";
inline constexpr char metadata[] = ".cursor-skill-metadata.json";
inline constexpr char status[] = ".cursor-skill-status.json";
inline constexpr char cancel[] = ".cursor-skill-cancel.json";
/// The files that an executor writes.
inline constexpr std::array executor_files = {command, simple, metadata, cancel};
/// Prefix of all names except user-chosen ones.
inline constexpr char own_prefix[] = ".cursor-skill-";
inline constexpr char temporary_prefix[] = ".cursor-skill-tmp.";
inline constexpr char claims_folder[] = ".cursor-skill-claims";

/// Some agents write their status in this folder.
inline constexpr char cursor_folder[] = ".cursor";

/// All files with a fixed path, relative to the worktree.
inline std::vector<std::string> paths(const std::string& status_file_name = status)
{
    std::vector<std::string> all(executor_files.begin(), executor_files.end());
    all.push_back(status_file_name);
    all.push_back(std::string(cursor_folder) + '/' + status_file_name);
    return all;
}

}  // namespace autoexec::control_files
