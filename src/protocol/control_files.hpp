#pragma once

#include <string>
#include <vector>

/// The files through which an engine and its agents talk, by name: `doc/file-protocol.md`.
namespace autoexec::control_files {

inline constexpr char command[] = ".cursor-skill-command.txt";
inline constexpr char simple[] = ".cursor-skill-command-simple.txt";
inline constexpr char metadata[] = ".cursor-skill-metadata.json";
inline constexpr char status[] = ".cursor-skill-status.json";
inline constexpr char cancel[] = ".cursor-skill-cancel.json";
/// Of all names that no user chose.
inline constexpr char own_prefix[] = ".cursor-skill-";
inline constexpr char temporary_prefix[] = ".cursor-skill-tmp.";
inline constexpr char claims_folder[] = ".cursor-skill-claims";

/// Some agents keep their status in here.
inline constexpr char other_place[] = ".cursor";

/// All that have one fixed path, relative to the worktree.
inline std::vector<std::string> paths(const std::string& status_file_name = status)
{
    return {command, simple,           metadata,
            cancel,  status_file_name, std::string(other_place) + '/' + status_file_name};
}

}  // namespace autoexec::control_files
