#pragma once

#include "autoexec/error.hpp"
#include "files/safe_files.hpp"

#include <string>
#include <string_view>

/// Files that tell by a lock (`flock`) whether the process that made them lives.
namespace autoexec::records {

/// Makes the file `name` with this content, locked as long as the descriptor is open. It is locked
/// before it gets its name: no process ever sees it without its owner. `id` names the temporary.
files::UniqueFd create_locked(int folder, const std::string& name, const std::string& id,
                              std::string_view text, error_code& ec);

/// Removes the temporaries of processes that died in `create_locked`.
void sweep_temporaries(int folder);

}  // namespace autoexec::records
