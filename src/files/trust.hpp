#pragma once

#include <sys/stat.h>
#include <sys/types.h>

#include <string>

/// Whether a file that decides what we run can have been written by somebody else.
namespace autoexec::files {

/// A file of the project, opened or not yet.
struct TrustedPlace {
    std::string path;         ///< For the message.
    uid_t project_owner = 0;  ///< Of the folder that the user has named.
};

/// This process's user, root, and where we are root the owner of the project: in a container the
/// files of a mounted repository are another user's.
bool is_trusted_owner(uid_t owner, uid_t project_owner) noexcept;

/// Why another user may have written this file or folder, with the command that mends it; empty if
/// none can. A group may write if it is the owner's private one: it has the owner's name and no
/// other member.
std::string distrust(const struct stat& st, const TrustedPlace& place);

/// The same of the folder `name` in `parent`; empty where that is no folder.
std::string distrust_folder(int parent, const std::string& name, const TrustedPlace& place);

}  // namespace autoexec::files
