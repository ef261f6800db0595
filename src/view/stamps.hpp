#pragma once

#include "files/safe_files.hpp"

#include <sys/stat.h>

#include <fcntl.h>

#include <map>
#include <set>
#include <string>

/// What the readers of folders share.
namespace autoexec::view {

/// Empty: there is no such file.
inline FileStamp stamp_at(int folder, const std::string& path)
{
    struct stat st {};
    return ::fstatat(folder, path.c_str(), &st, AT_SYMLINK_NOFOLLOW) == 0 ? files::stamp_of(st)
                                                                          : FileStamp{};
}

inline FileStamp stamp_of_open(int fd)
{
    struct stat st {};
    return ::fstat(fd, &st) == 0 ? files::stamp_of(st) : FileStamp{};
}

/// Drops what has gone, and adds what is new. True if something has gone.
template <class T>
bool keep_only(std::map<std::string, T>& map, const std::set<std::string>& names)
{
    const bool gone =
        std::erase_if(map, [&](const auto& item) { return !names.contains(item.first); }) > 0;
    for (const auto& name : names) map.try_emplace(name);
    return gone;
}

}  // namespace autoexec::view
