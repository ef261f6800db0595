#pragma once

#include "autoexec/command.hpp"
#include "autoexec/error.hpp"
#include "files/safe_files.hpp"

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

/// Records of running attempts, for other processes: `running/<attempt_id>.json`, locked by its
/// executor while that lives. All functions block only for microseconds.
namespace autoexec::records {

struct RunningRecord {
    std::string execution_id;
    std::string attempt_id;
    int attempt = 1;
    std::optional<std::string> workflow_id;
    std::optional<std::string> step_id;
    std::string command;  ///< Redacted.
    std::string worktree;
    std::string started_at;
    std::string agent;
    std::int64_t pid = 0;
    ArtifactBaseline artifacts;  ///< Omitted from the file if there are more than 1000.
};

inline constexpr std::size_t running_limit = 512 * 1024;

/// Returns nullopt if it has no attempt id.
std::optional<RunningRecord> parse_running(const std::string& text);

/// `<attempt_id>.json`, encoded.
std::string running_name(const std::string& attempt_id);
bool is_running_name(const std::string& name);

/// The file of one attempt: locked until destruction, kept until `remove`. An executor that ends
/// before its attempt leaves the file for recovery.
class RunningFile {
public:
    static std::optional<RunningFile> create(const std::filesystem::path& project_root,
                                             const RunningRecord& record, error_code& ec);
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
    RunningRecord record;
    bool alive = false;  ///< Its executor holds the lock.
};

/// All running and interrupted attempts, oldest first. Broken records are skipped.
std::vector<RunningEntry> list_running(const std::filesystem::path& project_root);

/// The same; `problem` is set if the folder cannot be read, for example because it is a link.
std::vector<RunningEntry> list_running(const std::filesystem::path& project_root,
                                       error_code& problem);

/// A message that explains such a problem and its remedy.
std::string unreadable_sentence(const std::filesystem::path& project_root, error_code problem);

/// The artifact baseline in the record of that attempt; nullopt if there is none.
std::optional<ArtifactBaseline> artifacts_before(const std::filesystem::path& project_root,
                                                 const std::string& attempt_id);

/// Removes temporary files of dead executors, broken records, and cancel requests for ended
/// attempts.
void sweep_running(const std::filesystem::path& project_root);

/// Requests that the executor of an attempt cancels it.
error_code request_cancel(const std::filesystem::path& project_root, const std::string& attempt_id);

/// True once for each such request.
bool consume_cancel_request(const std::filesystem::path& project_root,
                            const std::string& attempt_id);

/// True if `consume_cancel_request` may find a request.
bool has_cancel_requests(const std::filesystem::path& project_root);

}  // namespace autoexec::records
