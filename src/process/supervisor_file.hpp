#pragma once

#include "files/safe_files.hpp"

#include <filesystem>
#include <string>

namespace autoexec::process {

inline constexpr const char* supervisor_name = "autoexec-supervise";

/// The opened program `autoexec-supervise`, which can be executed even if its path changes.
struct SupervisorFile {
    std::filesystem::path path;  ///< Empty: not found.
    files::UniqueFd file;  ///< Numbered above the descriptors that are passed to a supervisor.
    std::string problem;   ///< Why it was not found or cannot be opened.
};

/// Opens the program at this path.
SupervisorFile open_supervisor(const std::filesystem::path& path);

/// Searches the paths that `supervised_spawner` documents.
SupervisorFile find_supervisor();

}  // namespace autoexec::process
