#include "records/log_file.hpp"

#include "files/file_lock.hpp"
#include "protocol/layout.hpp"
#include "records/read_lines.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstdio>
#include <iterator>
#include <limits>
#include <set>
#include <system_error>
#include <utility>

namespace autoexec::records {
namespace {

using files::last_error;
using files::UniqueFd;

// O_NONBLOCK: a FIFO in place of the log must not block.
constexpr int safe_flags = O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC;

error_code busy() noexcept
{
    return {EWOULDBLOCK, boost::system::system_category()};
}

// open(2)'s errors for a link, a directory, and a socket or an unplugged device.
bool is_unsafe(int error) noexcept
{
    return error == ELOOP || error == EISDIR || error == ENXIO;
}

UniqueFd open_regular(int folder, const std::string& name, int flags, error_code& ec)
{
    int fd = -1;
    do fd = ::openat(folder, name.c_str(), flags | safe_flags, 0600);
    while (fd < 0 && errno == EINTR);
    UniqueFd file(fd);
    struct stat st {};
    if (!file) {
        ec = is_unsafe(errno) ? make_error_code(errc::unsafe_path) : last_error();
    } else if (::fstat(fd, &st) != 0) {
        ec = last_error();
    } else if (!S_ISREG(st.st_mode)) {
        ec = errc::unsafe_path;
    } else {
        ec = {};
        return file;
    }
    return {};
}

error_code folder_error(error_code ec)
{
    const bool unsafe = ec.value() == ELOOP || ec.value() == ENOTDIR || ec.value() == EXDEV;
    return ec.category() == boost::system::system_category() && unsafe ? errc::unsafe_path : ec;
}

}  // namespace

ssize_t Disk::write(int fd, std::string_view text)
{
    return ::write(fd, text.data(), text.size());
}

int Disk::sync(int fd)
{
    return ::fdatasync(fd);
}

int Disk::truncate(int fd, off_t size)
{
    return ::ftruncate(fd, size);
}

Disk& Disk::real()
{
    static Disk disk;
    return disk;
}

Folder Folder::of(const std::filesystem::path& chosen, const std::filesystem::path& project_root,
                  const std::string& name)
{
    // Absolute, because the application may change its current directory later.
    const auto absolute = [](const std::filesystem::path& path) {
        // Reopened only then, because a command may have removed it.
        auto whole = path.is_absolute() ? path : std::filesystem::current_path() / path;
        auto clean = whole.lexically_normal();
        return clean.has_filename() ? clean : clean.parent_path();
    };
    Folder folder;
    folder.base = absolute(chosen.empty() ? project_root : chosen);
    if (chosen.empty()) folder.below = std::filesystem::path(layout::records) / name;
    return folder;
}

UniqueFd Folder::create(error_code& ec) const
{
    auto fd = open(ec);  // it almost always exists
    if (fd) return fd;
    fd = files::make_folders(base, ec);
    if (!ec && !below.empty()) fd = files::make_folders(fd.get(), below, ec);
    ec = folder_error(ec);
    return fd;
}

UniqueFd Folder::open(error_code& ec) const
{
    UniqueFd fd(::open(base.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    ec = fd ? error_code{} : last_error();
    if (!ec && !below.empty())
        fd = files::open_beneath(fd.get(), below.string(), O_RDONLY | O_DIRECTORY,
                                 files::Links::none, ec);
    ec = folder_error(ec);
    return fd;
}

UniqueFd Folder::open_log(int folder, const std::string& name, error_code& ec)
{
    return open_regular(folder, name, O_RDONLY, ec);
}

UniqueFd Folder::open_to_append(int folder, const std::string& name, error_code& ec)
{
    auto file = open_regular(folder, name, O_RDWR | O_APPEND | O_CREAT, ec);
    struct stat st {};
    struct stat around {};
    if (!file) return {};
    if (::fstat(file.get(), &st) != 0 || ::fstat(folder, &around) != 0)
        ec = last_error();
    else if (!files::is_trusted_owner(st.st_uid, around.st_uid))
        ec = errc::unsafe_path;
    return ec ? UniqueFd() : std::move(file);
}

std::vector<int> log_numbers(int folder, const std::string& name)
{
    constexpr std::size_t max_numbers = 10'000;
    std::set<int> numbers{0};
    for (const auto& entry : files::list_folder(folder, std::numeric_limits<std::size_t>::max())) {
        if (!entry.starts_with(name + ".")) continue;
        const auto suffix = std::string_view(entry).substr(name.size() + 1);
        int number = 0;
        const auto* const end = suffix.data() + suffix.size();
        const auto [stop, ec] = std::from_chars(suffix.data(), end, number);
        if (ec != std::errc{} || stop != end || number < 1 || number > max_log_number) continue;
        numbers.insert({number, number + 1});
        if (numbers.size() > max_numbers) numbers.erase(std::prev(numbers.end()));
    }
    numbers.insert(1);
    return {numbers.begin(), numbers.end()};
}

std::string log_name(const std::string& name, int number)
{
    return number == 0 ? name : name + '.' + std::to_string(number);
}

LogFile::LogFile(Folder folder, Rotation rotation, Durability durability, Disk& disk,
                 std::shared_ptr<const AuditChain> chain)
    : log_folder_(std::move(folder)),
      rotation_(rotation),
      durability_(durability),
      disk_(disk),
      chain_(std::move(chain))
{}

bool LogFile::is_busy(error_code ec) noexcept
{
    return ec == busy();
}

error_code LogFile::append(const std::string& name, std::string_view& lines)
{
    while (!lines.empty()) {
        auto ec = lock(name);
        if (!ec) {
            ec = append_locked(lines);
            unlock();
        }
        if (ec) return ec;
    }
    return {};
}

error_code LogFile::lock(const std::string& name)
{
    // A second round is needed if the log was rotated or removed meanwhile.
    for (int tries = 0; tries < 3; ++tries) {
        if (const auto ec = open(name)) return ec;
        const auto ec = files::lock_if_at(AT_FDCWD, path_, file_.get());
        if (!ec) return {};
        // The next attempt reopens the log: the lock's holder may be suspended after it has
        // renamed this file.
        close();
        if (ec != boost::system::errc::no_such_file_or_directory) return ec;
    }
    return busy();
}

error_code LogFile::open(const std::string& name)
{
    if (file_ && name == name_) return {};
    error_code ec;
    folder_ = log_folder_.create(ec);
    if (ec) return ec;
    file_ = Folder::open_to_append(folder_.get(), name, ec);
    name_ = name;
    path_ = log_folder_.path() / name;
    new_entry_ = true;
    const bool needs_folder = rotation_.max_bytes > 0 || durability_ == Durability::power;
    if (!needs_folder) folder_ = UniqueFd();
    return ec;
}

// Closing may not release the lock: a child between fork and exec shares the open file.
void LogFile::unlock()
{
    if (file_) ::flock(file_.get(), LOCK_UN);
}

void LogFile::close()
{
    unlock();
    file_ = UniqueFd();
}

// At most one write, then back to `append`: after a rotation the lock belongs to another file.
error_code LogFile::append_locked(std::string_view& lines)
{
    struct stat st {};
    if (::fstat(file_.get(), &st) != 0) return last_error();
    auto size = static_cast<std::uint64_t>(st.st_size);
    if (const auto ec = seal(size)) return ec;
    return chain_ ? append_chained(lines, st, size) : append_plain(lines, size);
}

error_code LogFile::append_plain(std::string_view& lines, std::uint64_t size)
{
    auto chunk = fit_to_rotation(lines, size);
    if (chunk.empty()) {
        if (rotate()) return {};
        // A log that cannot be rotated grows: its content matters more than its size.
        chunk = lines;
    }
    std::size_t kept = 0;
    const auto ec = write(chunk, size, kept);
    lines.remove_prefix(kept);
    return ec;
}

error_code LogFile::append_chained(std::string_view& lines, const struct stat& before,
                                   std::uint64_t size)
{
    const bool is_known = tail_ && tail_->device == before.st_dev &&
                          tail_->inode == before.st_ino && tail_->size == size;
    ChainLink last;
    if (is_known)
        last = tail_->link;
    else if (const auto ec = find_last_link(last))
        return ec;
    auto end = last;
    constexpr std::uint64_t max_chunk = std::uint64_t{1} << 20;
    const auto limit = rotation_.max_bytes == 0 ? max_chunk : rotation_.max_bytes;
    auto after = lines;
    const auto text = chain_->extend(after, std::min(limit, max_chunk), end);
    auto rest = std::string_view(text);
    const auto ec = append_plain(rest, size);
    const auto written = std::string_view(text).substr(0, text.size() - rest.size());
    tail_.reset();
    if (written.empty()) return ec;
    if (rest.empty()) {
        lines = after;
    } else {
        for (auto count = std::count(written.begin(), written.end(), '\n'); count > 0; --count)
            lines.remove_prefix(lines.find('\n') + 1);
        const auto line = written.substr(0, written.size() - 1);
        end = link_of(line.substr(line.rfind('\n') + 1)).value_or(last);
    }
    if (!ec) tail_ = Tail{before.st_dev, before.st_ino, size + written.size(), std::move(end)};
    return ec;
}

// Of this log or, if it is new, of its backups. Lines of writers that do not chain are passed over.
// A log that cannot be read now may have it: without it the chain would begin again.
error_code LogFile::find_last_link(ChainLink& last) const
{
    for (const auto number : log_numbers(folder_.get(), name_)) {
        error_code ec;
        ReverseLines lines(Folder::open_log(folder_.get(), log_name(name_, number), ec));
        if (files::is_resource_shortage(ec) || ec == boost::system::errc::io_error) return ec;
        while (const auto line = lines.next()) {
            auto link = link_of(*line);
            if (!link) continue;
            last = *std::move(link);
            return {};
        }
    }
    return {};
}

error_code LogFile::write(std::string_view chunk, std::uint64_t start, std::size_t& kept)
{
    ssize_t written = 0;
    do written = disk_.write(file_.get(), chunk);
    while (written < 0 && errno == EINTR);
    if (written < 0) return last_error();

    const auto count = static_cast<std::size_t>(written);
    kept = chunk.substr(0, count).rfind('\n') + 1;  // without any: npos + 1 is 0
    if (kept < count) cut(start + count, start + kept);
    if (kept > 0 && durability_ == Durability::power && !sync()) {
        const auto ec = last_error();
        cut(start + kept, start);
        kept = 0;
        // The kernel reports a lost page once: on this descriptor a second sync would "succeed".
        close();
        return ec;
    }
    if (kept == 0) return {ENOSPC, boost::system::system_category()};
    return {};
}

// Otherwise an unterminated line of an earlier writer would merge with the first new line.
error_code LogFile::seal(std::uint64_t& size)
{
    char last = '\n';
    if (size > 0 && ::pread(file_.get(), &last, 1, static_cast<off_t>(size) - 1) < 0)
        return last_error();
    if (last == '\n') return {};
    const auto written = disk_.write(file_.get(), "\n");
    if (written < 0) return last_error();
    size += static_cast<std::uint64_t>(written);
    return written == 1 ? error_code{} : error_code{ENOSPC, boost::system::system_category()};
}

// As many whole lines as keep the log below its limit; at least one if the log is empty.
std::string_view LogFile::fit_to_rotation(std::string_view lines, std::uint64_t size) const
{
    if (rotation_.max_bytes == 0 || size + lines.size() < rotation_.max_bytes) return lines;
    const auto room = size < rotation_.max_bytes ? rotation_.max_bytes - size - 1 : 0;
    const auto whole = lines.substr(0, room).rfind('\n') + 1;
    if (whole > 0 || size > 0) return lines.substr(0, whole);
    return lines.substr(0, lines.find('\n') + 1);
}

bool LogFile::rotate()
{
    if (!shift_backups()) return false;
    if (::renameat(folder_.get(), name_.c_str(), folder_.get(), backup(1).c_str()) != 0)
        return false;
    close();
    return true;
}

// Only up to the first gap, so that no backup is dropped while a number is free.
bool LogFile::shift_backups()
{
    int last = 1;
    while ((rotation_.backups == 0 || last < rotation_.backups) &&
           ::faccessat(folder_.get(), backup(last).c_str(), F_OK, AT_SYMLINK_NOFOLLOW) == 0)
        ++last;
    for (int i = last; i > 1; --i) {
        if (::renameat(folder_.get(), backup(i - 1).c_str(), folder_.get(), backup(i).c_str()) != 0)
            return false;
    }
    return true;
}

bool LogFile::sync()
{
    if (disk_.sync(file_.get()) != 0) return false;
    if (new_entry_ && disk_.sync(folder_.get()) != 0) return false;
    new_entry_ = false;
    return true;
}

// Not if a process without the lock has appended: then `seal` terminates the partial line.
void LogFile::cut(std::uint64_t end, std::uint64_t keep)
{
    struct stat st {};
    if (::fstat(file_.get(), &st) == 0 && static_cast<std::uint64_t>(st.st_size) == end)
        (void)disk_.truncate(file_.get(), static_cast<off_t>(keep));
}

std::string LogFile::backup(int number) const
{
    return log_name(name_, number);
}

}  // namespace autoexec::records
