#include "files/safe_files.hpp"

#include "text/random.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <linux/openat2.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstring>

namespace autoexec::files {
namespace {

constexpr int max_tries = 64;
constexpr std::uint64_t max_unseen = 512;  // descriptors

int open_retrying(int folder, const char* path, int flags, unsigned mode = 0)
{
    int fd = -1;
    do fd = ::openat(folder, path, flags, mode);
    while (fd < 0 && errno == EINTR);
    return fd;
}

bool is_link(int folder, const char* name)
{
    struct stat st {};
    return ::fstatat(folder, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISLNK(st.st_mode);
}

// For kernels and sandboxes without openat2. Stricter: no link is followed.
UniqueFd open_by_component(int folder, const std::filesystem::path& path, int flags)
{
    UniqueFd current;
    int at = folder;
    for (auto it = path.begin(); it != path.end();) {
        const auto part = *it;
        const bool last = ++it == path.end();
        if (part == ".." || part.is_absolute()) {
            errno = EXDEV;
            return {};
        }
        const int how = last ? flags | O_NOFOLLOW : O_PATH | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW;
        UniqueFd next(open_retrying(at, part.c_str(), how));
        if (!next) {
            if (errno == ENOTDIR && is_link(at, part.c_str())) errno = ELOOP;
            return {};
        }
        current = std::move(next);
        at = current.get();
    }
    return current;
}

UniqueFd open_resolving(int folder, const char* path, const open_how& how)
{
    // EAGAIN: a concurrent rename, or a lease, whose holder may delay for up to 45 s.
    long fd = -1;
    int tries = 0;
    do fd = ::syscall(SYS_openat2, folder, path, &how, sizeof how);
    while (fd < 0 && (errno == EINTR || (errno == EAGAIN && ++tries < max_tries)));
    return UniqueFd(static_cast<int>(fd));
}

FoundFile unreadable(error_code reason)
{
    FoundFile found;
    found.state = FoundFile::State::unreadable;
    found.reason = reason;
    found.problem = reason.message();
    return found;
}

std::string describe_type(mode_t mode)
{
    if (S_ISDIR(mode)) return "a directory";
    if (S_ISLNK(mode)) return "a symbolic link";
    if (S_ISFIFO(mode)) return "a FIFO";
    if (S_ISSOCK(mode)) return "a socket";
    return "a device";
}

FoundFile failed_open(int folder, const std::string& path, error_code ec)
{
    FoundFile found;
    if (ec == boost::system::errc::no_such_file_or_directory) return found;
    struct stat st {};
    const bool seen = ::fstatat(folder, path.c_str(), &st, AT_SYMLINK_NOFOLLOW) == 0;
    // Without a free descriptor, opening fails before the name is looked up.
    if (!seen && errno == ENOENT && is_resource_shortage(ec)) return found;
    // A socket and an unplugged device give ENXIO; a link in the path gives ELOOP or EXDEV.
    const bool unsafe = (seen && !S_ISREG(st.st_mode)) || ec.value() == ELOOP ||
                        ec.value() == EXDEV || ec.value() == ENXIO;
    found.state = unsafe ? FoundFile::State::unsafe : FoundFile::State::unreadable;
    if (seen) found.stamp = stamp_of(st);
    found.problem = seen && !S_ISREG(st.st_mode) ? "it is " + describe_type(st.st_mode)
                    : unsafe                     ? "its path leads through a symbolic link"
                                                 : ec.message();
    if (!unsafe) found.reason = ec;
    return found;
}

std::string temporary_name()
{
    std::array<unsigned char, 8> random{};
    text::fill_random(random);
    return fmt::format(".cursor-skill-tmp.{:02x}", fmt::join(random, ""));
}

}  // namespace

UniqueFd::~UniqueFd()
{
    if (fd_ >= 0) ::close(fd_);
}

error_code last_error() noexcept
{
    return {errno, boost::system::system_category()};
}

bool is_resource_shortage(error_code ec) noexcept
{
    if (ec == errc::no_resources) return true;
    if (ec.category() != boost::system::system_category()) return false;
    // EAGAIN: fork(2) reports it at the limit of processes.
    const int reason = ec.value();
    return reason == EMFILE || reason == ENFILE || reason == ENOMEM || reason == EAGAIN;
}

std::uint64_t max_descriptors() noexcept
{
    rlimit limit{};
    return ::getrlimit(RLIMIT_NOFILE, &limit) == 0 ? limit.rlim_cur : RLIM_INFINITY;
}

bool has_descriptors_left(unsigned count) noexcept
{
    return DescriptorEstimate().has_left(count);
}

bool DescriptorEstimate::has_left(unsigned count) noexcept
{
    if (count <= unseen_) {
        unseen_ -= count;
        return true;
    }
    rlimit limit{};
    if (::getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY) return true;
    // The lowest free number approximates the number of open descriptors.
    const UniqueFd lowest(::open("/", O_PATH | O_CLOEXEC));
    const auto used = static_cast<std::uint64_t>(lowest.get()) + count;
    if (!lowest || used > limit.rlim_cur) return false;
    unseen_ = std::min<std::uint64_t>((limit.rlim_cur - used) / 2, max_unseen);
    return true;
}

UniqueFd open_beneath(int folder, const std::string& path, int flags, Links links, error_code& ec)
{
    ec = {};
    open_how how{};
    how.flags = static_cast<std::uint64_t>(flags | O_CLOEXEC | O_NONBLOCK);
    how.resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS;
    if (links == Links::none) how.resolve |= RESOLVE_NO_SYMLINKS;
    if ((flags & O_PATH) != 0) how.flags &= ~static_cast<std::uint64_t>(O_NONBLOCK);

    if (auto opened = open_resolving(folder, path.c_str(), how)) return opened;
    if (errno == ENOSYS || errno == EPERM) {
        auto opened = open_by_component(folder, path, static_cast<int>(how.flags));
        if (opened) return opened;
    }
    ec = last_error();
    return {};
}

error_code read_all(int fd, std::string& text, std::size_t limit)
{
    // A caller that knows the size has made room for it: reading exactly that is the whole file.
    const std::size_t expected = text.empty() ? 0 : text.size() - 1;
    std::size_t used = 0;
    for (;;) {
        // One byte more than expected, to detect a growing file.
        if (used == text.size()) text.resize(std::min(limit + 1, std::max(used * 2, used + 4096)));
        if (used == text.size()) break;
        const auto n = ::read(fd, text.data() + used, text.size() - used);
        if (n < 0 && errno != EINTR) return last_error();
        if (n > 0) used += static_cast<std::size_t>(n);
        if (n == 0 || (n > 0 && used == expected)) break;
    }
    text.resize(used);
    return {};
}

FileStamp stamp_of(const struct stat& st) noexcept
{
    FileStamp stamp;
    stamp.device = st.st_dev;
    stamp.inode = st.st_ino;
    stamp.modified_ns = st.st_mtim.tv_sec * 1'000'000'000L + st.st_mtim.tv_nsec;
    stamp.changed_ns = st.st_ctim.tv_sec * 1'000'000'000L + st.st_ctim.tv_nsec;
    stamp.size = static_cast<std::uint64_t>(st.st_size);
    return stamp;
}

namespace {

std::string flaw_of_owner(const struct stat& st, const Owners& owners)
{
    // The usual ones first: the last one is a system call.
    const bool known = st.st_uid == 0 ||
                       std::find(owners.begin(), owners.end(), st.st_uid) != owners.end() ||
                       st.st_uid == ::geteuid();
    return known ? std::string() : fmt::format("it belongs to user {}", st.st_uid);
}

// `flaw_of` returns why a regular file is not trusted.
template <class FlawOf>
FoundFile read_checked(int folder, const std::string& path, std::size_t limit, FlawOf flaw_of)
{
    error_code ec;
    const auto fd = open_beneath(folder, path, O_RDONLY, Links::none, ec);
    if (!fd) return failed_open(folder, path, ec);

    FoundFile found;
    struct stat st {};
    if (::fstat(fd.get(), &st) != 0) return unreadable(last_error());
    found.stamp = stamp_of(st);
    found.problem = S_ISREG(st.st_mode) ? flaw_of(st) : "it is " + describe_type(st.st_mode);
    if (!found.problem.empty()) {
        found.state = FoundFile::State::unsafe;
        return found;
    }
    if (found.stamp.size <= limit) {
        found.text.resize(found.stamp.size + 1);
        if (const auto failure = read_all(fd.get(), found.text, limit)) return unreadable(failure);
    }
    if (found.stamp.size > limit || found.text.size() > limit) {
        found.state = FoundFile::State::too_large;
        found.problem = fmt::format("it is larger than {} bytes", limit);
        found.text.clear();
        return found;
    }
    found.state = FoundFile::State::present;
    return found;
}

}  // namespace

FoundFile read_regular(int folder, const std::string& path, std::size_t limit, const Owners& owners)
{
    return read_checked(folder, path, limit,
                        [&](const struct stat& st) { return flaw_of_owner(st, owners); });
}

FoundFile read_trusted(int folder, const std::string& path, std::size_t limit,
                       const TrustedLocation& location)
{
    bool distrusted = false;
    auto found = read_checked(folder, path, limit, [&](const struct stat& st) {
        auto problem = distrust(st, location);
        distrusted = !problem.empty();
        return problem;
    });
    if (distrusted) found.reason = errc::unsafe_path;
    return found;
}

error_code write_all(int fd, std::string_view text)
{
    while (!text.empty()) {
        const auto n = ::write(fd, text.data(), text.size());
        if (n >= 0)
            text.remove_prefix(static_cast<std::size_t>(n));
        else if (errno != EINTR)
            return last_error();
    }
    return {};
}

error_code create_file(int folder, const std::string& name, std::string_view text, unsigned mode)
{
    const UniqueFd fd(open_retrying(folder, name.c_str(),
                                    O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode));
    if (!fd) return last_error();
    if (mode != 0600 && ::fchmod(fd.get(), mode) != 0) return last_error();
    return write_all(fd.get(), text);
}

error_code create_whole_file(int folder, const std::string& name, std::string_view text)
{
    const auto temporary = temporary_name();
    const UniqueFd fd(open_retrying(folder, temporary.c_str(),
                                    O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
    if (!fd) return last_error();
    auto ec = write_all(fd.get(), text);
    if (!ec && ::linkat(folder, temporary.c_str(), folder, name.c_str(), 0) != 0) ec = last_error();
    ::unlinkat(folder, temporary.c_str(), 0);
    return ec;
}

error_code replace_file(int folder, const std::string& name, std::string_view text, unsigned mode,
                        Durability durability)
{
    const auto temporary = temporary_name();
    const UniqueFd fd(open_retrying(folder, temporary.c_str(),
                                    O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode));
    if (!fd) return last_error();

    error_code ec;
    if (mode != 0600 && ::fchmod(fd.get(), mode) != 0)
        ec = last_error();  // regardless of the umask
    if (!ec) ec = write_all(fd.get(), text);
    if (!ec && durability == Durability::power && ::fsync(fd.get()) != 0) ec = last_error();
    if (!ec && ::renameat(folder, temporary.c_str(), folder, name.c_str()) != 0) ec = last_error();
    if (ec) {
        ::unlinkat(folder, temporary.c_str(), 0);
        return ec;
    }
    if (durability == Durability::power && ::fsync(folder) != 0) return last_error();
    return {};
}

error_code remove_file(int folder, const std::string& path)
{
    if (::unlinkat(folder, path.c_str(), 0) == 0 || errno == ENOENT || errno == ENOTDIR) return {};
    return last_error();
}

UniqueFd make_folder(int folder, const std::string& name, error_code& ec, bool* is_new)
{
    ec = {};
    UniqueFd made;
    const bool was_missing = ::mkdirat(folder, name.c_str(), 0700) == 0;
    if (is_new != nullptr) *is_new = was_missing;
    if (was_missing || errno == EEXIST)
        made = UniqueFd(
            open_retrying(folder, name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    if (!made) ec = last_error();
    return made;
}

UniqueFd make_folders(int folder, const std::filesystem::path& path, error_code& ec)
{
    if (path.is_absolute() || std::find(path.begin(), path.end(), "..") != path.end()) {
        ec = errc::unsafe_path;
        return {};
    }
    // The folder almost always exists: then one call instead of three per component.
    if (!path.empty()) {
        auto existing =
            open_beneath(folder, path.string(), O_RDONLY | O_DIRECTORY, Links::none, ec);
        if (existing) return existing;
    }
    ec = {};
    UniqueFd current;
    int at = folder;
    const auto& parts = path.empty() ? std::filesystem::path(".") : path;
    for (const auto& part : parts) {
        current = make_folder(at, part.string(), ec);
        if (ec) break;
        at = current.get();
    }
    return current;
}

UniqueFd make_folders(const std::filesystem::path& path, error_code& ec)
{
    // Links in the existing part of the path are the user's own.
    std::error_code ignored;
    auto existing = path;
    while (!std::filesystem::is_directory(existing, ignored) && existing.has_relative_path())
        existing = existing.parent_path();
    const UniqueFd base(open_retrying(AT_FDCWD, existing.empty() ? "." : existing.c_str(),
                                      O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!base) {
        ec = last_error();
        return {};
    }
    const auto rest = path.lexically_relative(existing);
    return make_folders(base.get(), rest == "." ? std::filesystem::path{} : rest, ec);
}

std::string normal_path(const std::filesystem::path& path)
{
    std::string_view rest = path.native();
    bool is_normal = rest.starts_with('/');
    while (is_normal && rest.size() > 1) {
        rest.remove_prefix(1);
        const auto part = rest.substr(0, rest.find('/'));
        is_normal = part != "." && part != ".." && (!part.empty() || rest.empty());
        rest.remove_prefix(part.size());
    }
    return is_normal ? path.native() : path.lexically_normal().native();
}

UniqueFd open_without_links(const std::filesystem::path& path, int flags, error_code& ec)
{
    ec = {};
    flags |= O_CLOEXEC;
    open_how how{};
    how.flags = static_cast<std::uint64_t>(flags);
    how.resolve = RESOLVE_NO_SYMLINKS;
    auto opened = open_resolving(AT_FDCWD, path.c_str(), how);
    if (!opened && (errno == ENOSYS || errno == EPERM)) {
        const UniqueFd root(::open("/", O_PATH | O_DIRECTORY | O_CLOEXEC));
        opened = open_by_component(root.get(), path.relative_path(), flags);
    }
    if (!opened) ec = last_error();
    return opened;
}

UniqueFd open_folder_without_links(const std::filesystem::path& path, error_code& ec)
{
    return open_without_links(path, O_RDONLY | O_DIRECTORY, ec);
}

UniqueFd open_folder(const std::filesystem::path& path)
{
    return UniqueFd(open_retrying(AT_FDCWD, path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
}

bool visit_names(int folder, const std::function<bool(std::string_view)>& visit)
{
    alignas(dirent64) std::array<char, 32 * 1024> buffer;
    for (;;) {
        const auto size = ::getdents64(folder, buffer.data(), buffer.size());
        if (size <= 0) return size == 0;
        for (ssize_t at = 0; at < size;) {
            const auto* const entry = buffer.data() + at;
            std::uint16_t length = 0;
            std::memcpy(&length, entry + offsetof(dirent64, d_reclen), sizeof length);
            const std::string_view name = entry + offsetof(dirent64, d_name);
            at += length;
            if (name != "." && name != ".." && !visit(name)) return false;
        }
    }
}

std::vector<std::string> list_folder(int folder, std::size_t max_names)
{
    std::vector<std::string> names;
    const UniqueFd copy(open_retrying(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!copy) return names;
    visit_names(copy.get(), [&](std::string_view name) {
        if (names.size() == max_names) return false;
        names.emplace_back(name);
        return true;
    });
    return names;
}

}  // namespace autoexec::files
