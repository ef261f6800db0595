#pragma once

#include "autoexec/command.hpp"
#include "autoexec/error.hpp"
#include "files/safe_files.hpp"
#include "protocol/running_files.hpp"

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

/// Records of running attempts, for other processes: `running/<attempt_id>.json`, locked by its
/// executor while that lives. All functions block only for microseconds.
namespace autoexec::records {

/// The file of one attempt: locked until destruction, kept until `remove`. An executor that ends
/// before its attempt leaves the file for recovery.
class RunningFile {
public:
    static std::optional<RunningFile> create(const std::filesystem::path& project_root,
                                             const protocol::RunningRecord& record, error_code& ec);
    /// Locks the file of a dead executor. Returns nullopt if that is alive, or if another process
    /// was faster.
    static std::optional<RunningFile> lock_orphaned(const std::filesystem::path& project_root,
                                                    const std::string& attempt_id);

    void remove();

private:
    RunningFile(files::UniqueFd file, std::string path);
    // A path instead of a folder descriptor: that would cost one more descriptor per attempt.
    files::UniqueFd file_;
    std::string path_;
};

/// Recorded as the error of an attempt whose executor died.
inline constexpr char interrupted_message[] = "Interrupted: the executor that ran it has ended.";

struct RunningEntry {
    protocol::RunningRecord record;
    bool alive = false;  ///< Its executor holds the lock.
};

/// All running and interrupted attempts, oldest first. Broken records are skipped. `problem` is set
/// if the folder cannot be read, for example because it is a link.
std::vector<RunningEntry> list_running(const std::filesystem::path& project_root,
                                       error_code* problem = nullptr);

/// A message that explains such a problem and its remedy.
std::string unreadable_sentence(const std::filesystem::path& project_root, error_code problem);

/// The artifact baseline in the record of that attempt; nullopt if there is none.
std::optional<ArtifactBaseline> artifacts_before(const std::filesystem::path& project_root,
                                                 const std::string& attempt_id);

/// A file in `running/` that is not a valid record of an attempt.
struct BrokenRecord {
    std::string name;     ///< Name of the file.
    std::string problem;  ///< For messages.
    bool removable = false;
};

/// Skips files that an executor still locks, and temporary files. A JSON object without ids may be
/// of a later version: it is listed as not removable, and so is a folder.
std::vector<BrokenRecord> find_broken_records(const std::filesystem::path& project_root);

/// Removes temporary files of dead executors, removable broken records, and cancel requests and
/// answers for ended attempts.
void sweep_running(const std::filesystem::path& project_root);

/// Requests that the executor of an attempt cancels it.
error_code request_cancel(const std::filesystem::path& project_root, const std::string& attempt_id);

/// True once for each such request.
bool consume_cancel_request(const std::filesystem::path& project_root,
                            const std::string& attempt_id);

/// True if `consume_cancel_request` may find a request.
bool has_cancel_requests(const std::filesystem::path& project_root);

/// Passes a person's answer to the executor of an attempt. `file_exists`: it has not read the one
/// before.
error_code put_answer(const std::filesystem::path& project_root, const std::string& attempt_id,
                      const std::string& text);

/// Reads and removes it; empty: none.
std::string consume_answer(const std::filesystem::path& project_root,
                           const std::string& attempt_id);

/// True if `consume_answer` may find one.
bool has_answers(const std::filesystem::path& project_root);

/// Where requests appear: the folder of all, and in it those of cancel requests and of answers,
/// which exist only while there are some.
std::vector<std::filesystem::path> request_folders(const std::filesystem::path& project_root);

}  // namespace autoexec::records
