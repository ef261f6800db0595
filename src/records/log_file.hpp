#pragma once

#include "autoexec/error.hpp"
#include "autoexec/file.hpp"
#include "files/safe_files.hpp"

#include <sys/types.h>

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>

namespace autoexec::records {

/// The calls that may fail half-way. Tests put their own in this place.
class Disk {
public:
    virtual ~Disk() = default;
    virtual ssize_t write(int fd, std::string_view text);
    virtual int sync(int fd);
    virtual int truncate(int fd, off_t size);

    static Disk& real();
};

/// Where logs are. Links in `base` are the user's own; `below`, which a repository may bring
/// along, is never followed through one.
struct Folder {
    std::filesystem::path base;
    std::filesystem::path below;

    /// `chosen`, or if that is empty `<project_root>/.tapps-agents/<name>`.
    static Folder of(const std::filesystem::path& chosen, const std::filesystem::path& project_root,
                     const std::string& name);

    std::filesystem::path path() const { return below.empty() ? base : base / below; }
    files::UniqueFd create(error_code& ec) const;
    files::UniqueFd open(error_code& ec) const;

    /// A log to read; only a regular file is opened.
    static files::UniqueFd open_log(int folder, const std::string& name, error_code& ec);
    /// A log to append to, made if it is not there. One of another user is `errc::unsafe_path`: see
    /// `files::is_trusted_owner`.
    static files::UniqueFd open_to_append(int folder, const std::string& name, error_code& ec);
};

struct Rotation {
    std::uint64_t max_bytes = 0;  ///< Zero: never rotated.
    int backups = 0;              ///< Zero: truncated instead.
};

/// The log that is being appended to. Several processes may append to it at once.
///
/// Thread safety: none.
class LogFile {
public:
    LogFile(Folder folder, Rotation rotation, Durability durability, Disk& disk);

    /// Appends whole lines to the log `name` and removes from the front of `lines` what is
    /// written (`Durability::power`: synced). `is_busy` when another process holds the log. Lines
    /// that an error left over can be given again: none is written twice, but for one case: a
    /// failed sync whose lines can't be cut off again. Readers drop such repeats by their key.
    error_code append(const std::string& name, std::string_view& lines);

    static bool is_busy(error_code ec) noexcept;

private:
    error_code lock(const std::string& name);
    error_code open(const std::string& name);
    void unlock();
    void close();
    bool is_current() const;
    error_code append_locked(std::string_view& lines);
    error_code write(std::string_view chunk, std::uint64_t start, std::size_t& kept);
    error_code seal(std::uint64_t& size);
    std::string_view fitting(std::string_view lines, std::uint64_t size) const;
    bool rotate();
    bool shift_backups();
    bool sync();
    void cut(std::uint64_t end, std::uint64_t keep);
    std::string backup(int number) const;

    Folder place_;
    Rotation rotation_;
    Durability durability_;
    Disk& disk_;
    files::UniqueFd folder_;
    files::UniqueFd file_;
    std::string name_;
    std::filesystem::path path_;
    bool new_entry_ = false;  // the folder has to be synced, too
};

}  // namespace autoexec::records
