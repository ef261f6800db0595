#pragma once

#include "autoexec/command.hpp"
#include "autoexec/error.hpp"
#include "files/safe_files.hpp"
#include "protocol/running_files.hpp"
#include "records/executor_lock.hpp"

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

/// Records of running attempts, for other processes: `running/<executor id>/<attempt_id>.json`. The
/// lock of the executor shows whether it lives. Older versions write `running/<attempt_id>.json`,
/// each locked by itself: these are read and recovered, too. All functions block only for
/// microseconds.
namespace autoexec::records {

/// The records of one executor object, below one lock, which the first record takes. What is left
/// at the end is for recovery. Thread safety: none.
class RunningRecords {
public:
    explicit RunningRecords(std::filesystem::path project_root);
    ~RunningRecords();
    RunningRecords(const RunningRecords&) = delete;
    RunningRecords& operator=(const RunningRecords&) = delete;

    /// Creates or replaces the record of an attempt.
    error_code put(const protocol::RunningRecord& record);
    void remove(const std::string& attempt_id);

    /// Instead of `remove`, if another attempt follows: until `withdraw_retry`, the record is a
    /// note that its execution continues. Returns false if there is no record.
    bool announce_retry(const std::string& attempt_id);
    void withdraw_retry(const std::string& attempt_id);

    /// Makes the record of a dead executor one of these. False if that lives or may live, if
    /// another process has its lock (as a reader has for a moment), or if there is none.
    bool adopt(const std::string& attempt_id);

    /// Releases the lock. Removes it, unless records are left. A later record takes another one.
    void close() noexcept;

private:
    error_code open();
    bool adopt_unshared(int running, const std::string& name);

    std::filesystem::path project_root_;
    std::string id_;
    std::optional<ExecutorLock> lock_;
    files::UniqueFd folder_;
};

/// The record of a dead executor, locked against other processes while it or another record of that
/// executor exists here.
class OrphanedRecord {
public:
    /// `lock`: what holds the lock.
    OrphanedRecord(protocol::RunningRecord record, std::shared_ptr<const files::UniqueFd> folder,
                   std::shared_ptr<const void> lock)
        : record_(std::move(record)), folder_(std::move(folder)), lock_(std::move(lock))
    {}

    [[nodiscard]] const protocol::RunningRecord& record() const noexcept { return record_; }
    void remove() const;

private:
    protocol::RunningRecord record_;
    std::shared_ptr<const files::UniqueFd> folder_;
    std::shared_ptr<const void> lock_;
};

/// All records of dead executors, oldest first. `problem` as in `list_running`.
std::vector<OrphanedRecord> lock_orphaned(const std::filesystem::path& project_root,
                                          error_code* problem = nullptr);

/// Recorded as the error of an attempt whose executor died.
inline constexpr char interrupted_message[] = "Interrupted: the executor that ran it has ended.";

struct RunningEntry {
    protocol::RunningRecord record;
    bool alive = false;      ///< Its executor holds the lock, or may live on another host.
    std::string other_host;  ///< Of an executor that may live there.
};

/// All running and interrupted attempts, oldest first. Broken records are skipped. `problem` is set
/// if the folder cannot be read, for example because it is a link.
std::vector<RunningEntry> list_running(const std::filesystem::path& project_root,
                                       error_code* problem = nullptr);

/// The attempts of live executors: of each execution the last one, also if it has ended and another
/// one follows. Unordered. `problem` as in `list_running`.
std::vector<protocol::RunningRecord> list_executions(const std::filesystem::path& project_root,
                                                     error_code* problem = nullptr);

/// A message that explains such a problem and its remedy.
std::string unreadable_sentence(const std::filesystem::path& project_root, error_code problem);

/// True if there is a record of that attempt, whether its executor lives or not.
bool has_record(const std::filesystem::path& project_root, const std::string& attempt_id);

/// The artifact baseline in the record of that attempt; nullopt if there is none.
std::optional<ArtifactBaseline> artifacts_before(const std::filesystem::path& project_root,
                                                 const std::string& attempt_id);

/// A file in `running/` that is not a valid record of an attempt.
struct BrokenRecord {
    std::string name;     ///< Relative to `running/`.
    std::string problem;  ///< For messages.
    bool removable = false;
};

/// Skips files that an executor still locks, and temporary files. A JSON object without ids may be
/// of a later version: it is listed as not removable, and so is a folder.
std::vector<BrokenRecord> find_broken_records(const std::filesystem::path& project_root);

/// Removes temporary files, empty folders and locks of dead executors, removable broken records,
/// and cancel requests and answers for ended attempts.
void sweep_running(const std::filesystem::path& project_root);

/// Requests that the executor of an attempt cancels it.
error_code request_cancel(const std::filesystem::path& project_root, const std::string& attempt_id);

/// True once for each such request.
bool consume_cancel_request(const std::filesystem::path& project_root,
                            const std::string& attempt_id);

/// True if `consume_cancel_request` may find a request.
bool has_cancel_requests(const std::filesystem::path& project_root);

/// The attempts for which it may, as names of files.
std::vector<std::string> find_cancel_requests(const std::filesystem::path& project_root);

/// Passes a person's answer to the executor of an attempt. `file_exists`: it has not read the one
/// before.
error_code put_answer(const std::filesystem::path& project_root, const std::string& attempt_id,
                      const std::string& text);

/// Reads and removes it; empty: none.
std::string consume_answer(const std::filesystem::path& project_root,
                           const std::string& attempt_id);

/// True if `consume_answer` may find one.
bool has_answers(const std::filesystem::path& project_root);

/// Notes, before an attempt of a dead executor is cleaned up, that it may have run: otherwise the
/// next engine of the queue would start a queued command again as one that never ran. Nothing
/// happens if the execution is not a started request of the queue.
void note_interrupted(const std::filesystem::path& project_root, const std::string& execution_id);

/// Where requests appear: the folder of all, and in it those of cancel requests and of answers,
/// which exist only while there are some.
std::vector<std::filesystem::path> request_folders(const std::filesystem::path& project_root);

}  // namespace autoexec::records
