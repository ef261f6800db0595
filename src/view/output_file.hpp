#pragma once

#include "protocol/layout.hpp"
#include "text/text.hpp"

#include <filesystem>
#include <string>

namespace autoexec::view {

/// To which the bundled agent writes what the program of an attempt prints; empty: there was none.
inline std::filesystem::path output_file(const std::filesystem::path& project_root,
                                         const std::string& attempt_id)
{
    if (attempt_id.empty()) return {};
    return project_root / layout::output / (text::file_name_of(attempt_id) + ".log");
}

}  // namespace autoexec::view
