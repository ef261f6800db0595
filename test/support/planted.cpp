#include "support/planted.hpp"

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstring>
#include <string>

namespace autoexec::test {

std::string_view name_of(Planted kind)
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

bool plant(Planted kind, const std::filesystem::path& path, const std::filesystem::path& target)
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
