#pragma once

#include "autoexec/mailbox.hpp"
#include "autoexec/notifier.hpp"
#include "files/safe_files.hpp"
#include "protocol/control_files.hpp"

#include <cstddef>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace autoexec::handoff {

struct FileHandoffOptions {
    std::string status_file_name = control_files::status;
    std::size_t max_status_bytes = 16 * 1024 * 1024;
    files::Owners allowed_owners;  ///< Besides us, root, and the worktree's owner.
    unsigned file_mode = 0600;     ///< Of the files that the engine writes.
    /// Its repository is asked for the git directories of its worktrees. Empty: only the worktrees
    /// themselves are.
    std::filesystem::path project_root;
    std::shared_ptr<Offers> offers;  ///< Shared with agents of this process. Null: not shared.
};

/// True for a plain name that is no other control file's.
bool is_valid_status_name(std::string_view name);

/// Worktrees on file systems that this host can reach.
///
/// Thread safety: as the executor that uses it, one strand.
std::shared_ptr<Handoff> file_handoff(FileHandoffOptions options = {});

}  // namespace autoexec::handoff
