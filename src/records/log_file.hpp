#pragma once

#include "autoexec/error.hpp"
#include "autoexec/file.hpp"
#include "files/safe_files.hpp"
#include "records/audit_chain.hpp"

#include <sys/stat.h>
#include <sys/types.h>

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace autoexec::records {

/// System calls that may fail midway. Tests replace them.
class Disk {
public:
    virtual ~Disk() = default;
    virtual ssize_t write(int fd, std::string_view text);
    virtual int sync(int fd);
    virtual int truncate(int fd, off_t size);

    static Disk& real();
};

/// The folder of logs. Links in `base` are the user's own and are followed; links in `below`, which
/// a repository may contain, are not.
struct Folder {
    std::filesystem::path base;
    std::filesystem::path below;

    /// `chosen` or, if that is empty, `<project_root>/.tapps-agents/<name>`.
    static Folder of(const std::filesystem::path& chosen, const std::filesystem::path& project_root,
                     const std::string& name);

    std::filesystem::path path() const { return below.empty() ? base : base / below; }
    files::UniqueFd create(error_code& ec) const;
    files::UniqueFd open(error_code& ec) const;

    /// Opens a log for reading; only regular files.
    static files::UniqueFd open_log(int folder, const std::string& name, error_code& ec);
    /// Opens or creates a log for appending. Another user's file gives `errc::unsafe_path`: see
    /// `files::is_trusted_owner`.
    static files::UniqueFd open_to_append(int folder, const std::string& name, error_code& ec);
};

/// Not even a log that keeps all its backups has as many.
inline constexpr int max_log_number = 1'000'000;

/// The numbers of the backups of a log, from the newest (1) to the oldest, after 0 for the log.
/// With those that a rotation may make meanwhile: a number need not have a file.
std::vector<int> log_numbers(int folder, const std::string& name);
/// `name` for 0, otherwise `name.number`.
std::string log_name(const std::string& name, int number);

struct Rotation {
    std::uint64_t max_bytes = 0;  ///< Zero: never rotated.
    int backups = 0;              ///< Zero: all are kept.
};

/// Appends to a log. Several processes may append to the same log.
///
/// Thread safety: none.
class LogFile {
public:
    /// With a `chain`, each line gets a link to the one before.
    LogFile(Folder folder, Rotation rotation, Durability durability, Disk& disk,
            std::shared_ptr<const AuditChain> chain = {});

    /// Appends whole lines to the log `name` and removes the written ones (`Durability::power`:
    /// synced) from the front of `lines`. Returns an `is_busy` error if another process has locked
    /// the log. Remaining lines can be passed again; a line is written twice only if a sync failed
    /// and the lines could not be truncated. Readers drop such duplicates by their key.
    error_code append(const std::string& name, std::string_view& lines);

    static bool is_busy(error_code ec) noexcept;

private:
    error_code lock(const std::string& name);
    error_code open(const std::string& name);
    void unlock();
    void close();
    error_code append_locked(std::string_view& lines);
    error_code append_plain(std::string_view& lines, std::uint64_t size);
    error_code append_chained(std::string_view& lines, const struct stat& before,
                              std::uint64_t size);
    error_code find_last_link(ChainLink& last) const;
    error_code write(std::string_view chunk, std::uint64_t start, std::size_t& kept);
    error_code seal(std::uint64_t& size);
    std::string_view fit_to_rotation(std::string_view lines, std::uint64_t size) const;
    bool rotate();
    bool shift_backups();
    bool sync();
    void cut(std::uint64_t end, std::uint64_t keep);
    std::string backup(int number) const;

    Folder log_folder_;
    Rotation rotation_;
    Durability durability_;
    Disk& disk_;
    files::UniqueFd folder_;
    files::UniqueFd file_;
    std::string name_;
    std::filesystem::path path_;
    bool new_entry_ = false;  // the folder has to be synced, too

    std::shared_ptr<const AuditChain> chain_;
    /// The last line, while the log is as it was after this object has written it.
    struct Tail {
        dev_t device = 0;
        ino_t inode = 0;
        std::uint64_t size = 0;
        ChainLink link;
    };
    std::optional<Tail> tail_;
};

}  // namespace autoexec::records
