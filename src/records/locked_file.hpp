#pragma once

#include "autoexec/error.hpp"
#include "autoexec/file.hpp"
#include "files/safe_files.hpp"

#include <cstddef>
#include <functional>
#include <string>
#include <string_view>

/// Files whose lock (`flock`) shows that the process that created them is alive.
namespace autoexec::records {

/// Creates the file `name` with this content, locked while the descriptor is open. It is locked
/// before it gets its name, so no process sees it unlocked. `id` names the temporary file.
files::UniqueFd create_locked(int folder, const std::string& name, const std::string& id,
                              std::string_view text, error_code& ec);

/// `<id>.json`, encoded.
std::string locked_name(const std::string& id);

/// Calls `visit` with each such file in `folder`, at most `limit` bytes of it, and whether its
/// process is alive.
void for_each_locked(
    int folder, std::size_t limit,
    const std::function<void(const std::string& name, const FoundFile& file, bool alive)>& visit);

/// Removes temporary files of processes that died in `create_locked`.
void sweep_temporaries(int folder);

}  // namespace autoexec::records
