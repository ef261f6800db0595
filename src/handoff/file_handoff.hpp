#pragma once

#include "autoexec/command.hpp"
#include "autoexec/mailbox.hpp"
#include "autoexec/notifier.hpp"
#include "files/safe_files.hpp"
#include "protocol/control_files.hpp"

#include <cstddef>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace autoexec::handoff {

struct FileHandoffOptions {
    std::string status_file_name = control_files::status;
    std::size_t max_status_bytes = 16 * 1024 * 1024;
    files::Owners allowed_owners;  ///< In addition to this user, root, and the worktree's owner.
    unsigned file_mode = 0600;     ///< Mode of the files that the executor writes.
    /// Its repository is searched for the git directories of its worktrees. Empty: only the
    /// worktrees are.
    std::filesystem::path project_root;
    std::shared_ptr<Offers> offers;  ///< Shared with agents of this process. Null: not shared.
};

/// True for a plain file name that no other control file has.
bool is_valid_status_name(std::string_view name);

/// Reads the status files of a worktree and asks whether an agent holds a claim there.
StatusCheck read_status(Mailbox& mailbox);

/// The valid status in a worktree, for a program that only reads. It may be of any attempt.
std::optional<AgentStatus> find_status(const std::filesystem::path& worktree,
                                       const std::string& status_file_name);

/// Hand-off through files, for worktrees on this host's file systems.
///
/// Thread safety: that of the executor that uses it; one strand.
std::shared_ptr<Handoff> file_handoff(FileHandoffOptions options = {});

}  // namespace autoexec::handoff
