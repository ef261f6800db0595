#include "files/file_lock.hpp"

#include "files/safe_files.hpp"
#include "text/text.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>

#include <cerrno>
#include <charconv>
#include <cstddef>

namespace autoexec::files {
namespace {

error_code removed_error()
{
    return make_error_code(boost::system::errc::no_such_file_or_directory);
}

struct flock region_of(std::int64_t first, std::int64_t count, short type)
{
    struct flock region {};
    region.l_type = type;
    region.l_whence = SEEK_SET;
    region.l_start = first;
    region.l_len = count;
    return region;
}

short type_of(ByteLock kind)
{
    switch (kind) {
        case ByteLock::shared:
            return F_RDLCK;
        case ByteLock::exclusive:
            return F_WRLCK;
        case ByteLock::none:
            break;
    }
    return F_UNLCK;
}

}  // namespace

bool is_removed(int fd) noexcept
{
    struct stat st {};
    return ::fstat(fd, &st) != 0 || st.st_nlink == 0;
}

error_code lock_unless_removed(int file) noexcept
{
    if (::flock(file, LOCK_EX | LOCK_NB) != 0) return last_error();
    return is_removed(file) ? removed_error() : error_code();
}

error_code lock_if_at(int folder, const std::string& path, int file) noexcept
{
    if (::flock(file, LOCK_EX | LOCK_NB) != 0) return last_error();
    struct stat there {};
    struct stat open {};
    const bool is_there = ::fstatat(folder, path.c_str(), &there, AT_SYMLINK_NOFOLLOW) == 0 &&
                          ::fstat(file, &open) == 0 && there.st_dev == open.st_dev &&
                          there.st_ino == open.st_ino;
    return is_there ? error_code() : removed_error();
}

error_code set_byte_lock(int file, std::int64_t first, ByteLock kind, std::int64_t count) noexcept
{
    auto region = region_of(first, count, type_of(kind));
    if (::fcntl(file, F_OFD_SETLK, &region) == 0) return {};
    return errno == EACCES ? error_code(EAGAIN, boost::system::system_category()) : last_error();
}

std::int64_t byte_of(std::string_view name)
{
    constexpr std::size_t digits_of_60_bits = 15;
    const auto digest = text::sha256_hex(name);
    std::int64_t byte = 0;
    std::from_chars(digest.data(), digest.data() + digits_of_60_bits, byte, 16);
    return byte;
}

// The kernel names any of the locks, not the first one.
std::int64_t end_of_locked_bytes(int file, std::int64_t first) noexcept
{
    for (;;) {
        auto region = region_of(first, 0, F_WRLCK);  // zero: all that follow
        const bool any = ::fcntl(file, F_OFD_GETLK, &region) == 0 && region.l_type != F_UNLCK;
        if (!any || region.l_len == 0) return first;
        first = region.l_start + region.l_len;
    }
}

bool is_byte_locked(int file, std::int64_t first, std::int64_t count) noexcept
{
    auto region = region_of(first, count, F_WRLCK);
    return ::fcntl(file, F_OFD_GETLK, &region) != 0 || region.l_type != F_UNLCK;
}

}  // namespace autoexec::files
