#pragma once

#include "files/safe_files.hpp"

#include <filesystem>
#include <string>

namespace autoexec::process {

inline constexpr const char* supervisor_name = "autoexec-supervise";

/// The program `autoexec-supervise`, opened, so that it can be executed when its path no longer
/// leads there.
struct SupervisorFile {
    std::filesystem::path path;  ///< Empty: not found.
    files::UniqueFd file;        ///< Above the descriptors that a supervisor is given.
    std::string problem;         ///< Why it was not found, or can't be opened.
};

/// The one that was asked for.
SupervisorFile open_supervisor(const std::filesystem::path& path);

/// The first in the places that `supervised_spawner` names.
SupervisorFile find_supervisor();

}  // namespace autoexec::process
