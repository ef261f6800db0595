#pragma once

#include <sys/stat.h>
#include <sys/types.h>

#include <string>

/// Checks whether other users can write a file that decides which programs run.
namespace autoexec::files {

/// The location of a file in the project.
struct TrustedLocation {
    std::string path;         ///< For messages.
    uid_t project_owner = 0;  ///< Owner of the folder that the user specified.
};

/// Trusted are this process's user, root and, if the process runs as root, the owner of the
/// project: in a container, the files of a mounted repository belong to another user.
bool is_trusted_owner(uid_t owner, uid_t project_owner) noexcept;

/// Why another user may have written this file or folder, with the command that corrects it; empty
/// if none can. The owner's private group may write: it has the owner's name and no other member.
std::string distrust(const struct stat& st, const TrustedLocation& location);

/// The same for the folder `name` in `parent`; empty if that is not a folder.
std::string distrust_folder(int parent, const std::string& name, const TrustedLocation& location);

}  // namespace autoexec::files
