#pragma once

#include "autoexec/error.hpp"
#include "autoexec/ports.hpp"

#include <string>
#include <string_view>
#include <vector>

/// Removes what blocks the names of control files: programs in a worktree can create folders there.
/// Links are not followed.
namespace autoexec::handoff {

/// Frees the name of a control file. A non-empty folder is renamed to a temporary name, then
/// removed within bounds. A folder with a user-chosen name is not touched.
error_code clear_name(int folder, const std::string& name);

/// Like `files::replace_file`, but also replaces a folder.
error_code replace_control_file(int folder, const std::string& name, std::string_view text,
                                unsigned mode, Durability durability);

/// Removes a temporary file; of a folder, as much as the bounds allow.
void remove_temporary(int folder, const std::string& name);

/// The names of control files, temporary files and `.cursor` in a folder, as listed at one moment:
/// what is not there needs no call to be removed.
class OwnNames {
public:
    /// There may be any.
    OwnNames() = default;
    /// Those from the position of the descriptor on.
    OwnNames(int folder, const std::string& status_name);

    [[nodiscard]] bool may_contain(std::string_view name) const;
    /// Removes the temporary files that were listed.
    void remove_temporaries(int folder) const;

private:
    std::vector<std::string> names_;
    bool complete_ = false;
};

}  // namespace autoexec::handoff
