#pragma once

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cstring>
#include <filesystem>
#include <string>
#include <string_view>

namespace autoexec::test {

/// What somebody could put where a file is expected.
enum class Planted { link, dangling_link, fifo, socket, device, directory };

inline constexpr std::array all_planted = {Planted::link,   Planted::dangling_link,
                                           Planted::fifo,   Planted::socket,
                                           Planted::device, Planted::directory};

inline std::string_view name_of(Planted kind)
{
    switch (kind) {
        case Planted::link:
            return "a link";
        case Planted::dangling_link:
            return "a dangling link";
        case Planted::fifo:
            return "a FIFO";
        case Planted::socket:
            return "a socket";
        case Planted::device:
            return "a device";
        case Planted::directory:
            return "a directory";
    }
    return "?";
}

/// Puts it at `path`; `target` is where links lead. False where this user may not.
inline bool plant(Planted kind, const std::filesystem::path& path,
                  const std::filesystem::path& target)
{
    std::filesystem::create_directories(path.parent_path());
    switch (kind) {
        case Planted::link:
            return ::symlink(target.c_str(), path.c_str()) == 0;
        case Planted::dangling_link:
            return ::symlink((target.string() + ".none").c_str(), path.c_str()) == 0;
        case Planted::fifo:
            return ::mkfifo(path.c_str(), 0600) == 0;
        case Planted::device:
            return ::mknod(path.c_str(), S_IFCHR | 0600, makedev(1, 5)) == 0;
        case Planted::directory:
            return ::mkdir(path.c_str(), 0700) == 0;
        case Planted::socket:
            break;
    }
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if (path.native().size() >= sizeof address.sun_path) return false;
    std::memcpy(address.sun_path, path.c_str(), path.native().size());
    const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const void* const raw = &address;
    const bool bound = ::bind(fd, static_cast<const sockaddr*>(raw), sizeof address) == 0;
    ::close(fd);
    return bound;
}

}  // namespace autoexec::test
