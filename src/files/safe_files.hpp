#pragma once

#include "autoexec/error.hpp"
#include "autoexec/file.hpp"
#include "files/trust.hpp"

#include <sys/stat.h>

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

/// Access to files in folders where other programs write: no function here follows a link out of
/// the folder, opens a device, or waits for a FIFO's other end.
namespace autoexec::files {

class UniqueFd {
public:
    UniqueFd() = default;
    explicit UniqueFd(int fd) noexcept : fd_(fd) {}
    UniqueFd(UniqueFd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
    UniqueFd& operator=(UniqueFd&& other) noexcept
    {
        std::swap(fd_, other.fd_);
        return *this;
    }
    ~UniqueFd();

    [[nodiscard]] int get() const noexcept { return fd_; }
    explicit operator bool() const noexcept { return fd_ >= 0; }

private:
    int fd_ = -1;
};

error_code last_error() noexcept;

/// True if a system call failed for lack of descriptors, processes or memory: it may succeed later.
bool is_resource_shortage(error_code ec) noexcept;

/// The soft limit of open files.
std::uint64_t max_descriptors() noexcept;

/// True if this process can open about that many more descriptors.
bool has_descriptors_left(unsigned count) noexcept;

/// The same for a caller that asks often, and can bear a wrong answer: it looks again when half of
/// the descriptors that were left may have been used, or a few hundred, since the limit may change.
class DescriptorEstimate {
public:
    bool has_left(unsigned count) noexcept;

private:
    std::uint64_t unseen_ = 0;  ///< How many may be used before the next look.
};

enum class Links {
    none,    ///< A symbolic link anywhere in the path is an error.
    inside,  ///< Links are followed as long as they stay beneath the folder.
};

/// Opens `path` beneath `folder`. `O_CLOEXEC`, `O_NOFOLLOW` (for `Links::none`) and `O_NONBLOCK`
/// are added.
UniqueFd open_beneath(int folder, const std::string& path, int flags, Links links, error_code& ec);

FileStamp stamp_of(const struct stat& st) noexcept;

/// The trusted owners: this user, root, and these.
using Owners = std::vector<unsigned>;

/// Reads a regular file of at most `limit` bytes.
FoundFile read_regular(int folder, const std::string& path, std::size_t limit,
                       const Owners& owners);

/// The same for a file that decides which programs run. If others can write to it, `reason` is
/// `errc::unsafe_path`, and `problem` contains the command that corrects it.
FoundFile read_trusted(int folder, const std::string& path, std::size_t limit,
                       const TrustedLocation& location);

/// Creates a file that is not there yet, in place: a reader may see part of it.
error_code create_file(int folder, const std::string& name, std::string_view text, unsigned mode);

/// The same atomically, with mode 0600: a reader sees all of it. `file_exists`: it is there.
error_code create_whole_file(int folder, const std::string& name, std::string_view text);

/// Atomically replaces `name`, whatever its type, with a file of this content. Temporary files are
/// named `.cursor-skill-tmp.*`.
error_code replace_file(int folder, const std::string& name, std::string_view text, unsigned mode,
                        Durability durability);

/// Removes a file or link; a missing one is not an error.
error_code remove_file(int folder, const std::string& path);

/// Opens the folder `name` in `folder`, creating it with mode 0700 if it is missing.
/// `is_new`: set to whether it was.
UniqueFd make_folder(int folder, const std::string& name, error_code& ec, bool* is_new = nullptr);

/// Opens the folder `path` beneath `folder`, creating missing folders with mode 0700.
UniqueFd make_folders(int folder, const std::filesystem::path& path, error_code& ec);

/// The same for an absolute path whose existing part is trusted.
UniqueFd make_folders(const std::filesystem::path& path, error_code& ec);

/// Opens a folder at a trusted path, to read it.
UniqueFd open_folder(const std::filesystem::path& path);

/// Opens an absolute path without a symbolic link in it. `ELOOP`: there is one. `O_CLOEXEC` is
/// added.
UniqueFd open_without_links(const std::filesystem::path& path, int flags, error_code& ec);

/// The same for a folder, to read it.
UniqueFd open_folder_without_links(const std::filesystem::path& path, error_code& ec);

/// `path.lexically_normal()`, at a fraction of its cost for a path that is normal.
std::string normal_path(const std::filesystem::path& path);

/// Reads to the end, but at most one byte more than `limit`.
error_code read_all(int fd, std::string& text, std::size_t limit);

/// Writes all of `text`.
error_code write_all(int fd, std::string_view text);

/// Calls `visit` with each name from the position of the descriptor on, without `.` and `..`, until
/// it returns false. Returns true if there are no more. Without readdir, which asks for more.
bool visit_names(int folder, const std::function<bool(std::string_view)>& visit);

/// The names in a folder, at most `max_names`, without `.` and `..`.
std::vector<std::string> list_folder(int folder, std::size_t max_names);

}  // namespace autoexec::files
