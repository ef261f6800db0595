#pragma once

#include "autoexec/error.hpp"
#include "autoexec/ports.hpp"

#include <string>
#include <string_view>

/// Control files whose names are taken by something else: programs that run in a worktree can make
/// folders there. No link is followed.
namespace autoexec::handoff {

/// Frees the name of a control file. A folder that is not empty is renamed to a temporary and then
/// removed within bounds. A folder with a name that a user chose is not touched.
error_code clear_name(int folder, const std::string& name);

/// As `files::replace_file`, also where a folder has taken the name.
error_code replace_control_file(int folder, const std::string& name, std::string_view text,
                                unsigned mode, Durability durability);

/// Removes a temporary; of a folder as much as is possible within bounds.
void remove_temporary(int folder, const std::string& name);

/// Removes all temporaries in `folder`.
void remove_temporaries(int folder);

}  // namespace autoexec::handoff
