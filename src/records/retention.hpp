#pragma once

#include "autoexec/error.hpp"

#include <sys/types.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

/// Removal of old records. All functions block while they read folders. Nothing here follows a link
/// below the project's root, or removes anything but regular files.
namespace autoexec::records {

enum class RecordKind { executions, attempts, audit, output, log, run };
/// For users: both files of a day are `metrics`.
std::string_view to_string(RecordKind kind) noexcept;

/// A file that may be removed once it is old: not one that is written, or that belongs to a running
/// attempt. Of a run: its journal, with which its markers are removed.
struct StoredRecord {
    RecordKind kind = RecordKind::output;
    std::string folder;                          ///< Relative to the project's root.
    std::string name;                            ///< In that folder.
    std::chrono::system_clock::time_point time;  ///< Of its last change.
    std::uint64_t bytes = 0;
    int backup = 0;  ///< Its number, of a rotated log.
    dev_t device = 0;
    ino_t inode = 0;

    [[nodiscard]] std::string path() const { return folder + "/" + name; }
};

/// Each limit applies for itself. Zero: no limit.
struct RetentionLimits {
    std::chrono::milliseconds older_than{0};
    std::uint64_t max_bytes = 0;  ///< Of all together.
    std::size_t keep = 0;         ///< Of each kind, the newest ones.

    [[nodiscard]] bool any() const { return older_than.count() > 0 || max_bytes > 0 || keep > 0; }
};

/// What changed within this time before now, or later than now, is never removed: it may still be
/// written, whatever clocks do.
inline constexpr std::chrono::hours min_record_age{24};

/// Lists regular files of a folder, at most `max_names` of all names in it. `visit` completes a
/// record; false: it is not one.
void list_files(const std::filesystem::path& project_root, RecordKind kind, std::size_t max_names,
                const std::function<bool(StoredRecord&)>& visit,
                std::vector<StoredRecord>& records);

/// All but those of runs: daily files of metrics, backups of the audit log and of the debug log,
/// outputs. Reads at most `max_names` names of each folder.
std::vector<StoredRecord> list_stored(const std::filesystem::path& project_root,
                                      std::size_t max_names);

/// Calls `remove` with each record that a limit removes, oldest first. It returns whether the
/// record is gone, or would be; the limits apply to what is left.
void apply_limits(std::vector<StoredRecord> records, const RetentionLimits& limits,
                  std::chrono::system_clock::time_point now,
                  const std::function<bool(const StoredRecord&)>& remove);

/// What became of a record.
struct Removal {
    std::string kept_because;  ///< Empty: it is gone.
    bool failed = false;       ///< By an error of the system.

    static Removal error(error_code ec) { return {ec.message(), true}; }
    [[nodiscard]] bool is_gone() const { return kept_because.empty(); }
};

/// Removes a file, unless it was replaced since it was listed. Waits for the lock of its log, 250
/// ms at most.
Removal remove_stored(const std::filesystem::path& project_root, const StoredRecord& record);

/// What `remove_stored` would do, if no other process has locked the log. `older_is_gone`: as if
/// the next older backup were removed before.
Removal check_stored(const std::filesystem::path& project_root, const StoredRecord& record,
                     bool older_is_gone);

}  // namespace autoexec::records
