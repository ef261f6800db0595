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

/// What is in flight, for other processes to see: `running/<attempt_id>.json`, locked by its
/// engine as long as that lives. All of this blocks for microseconds only.
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
    ArtifactBaseline artifacts;  ///< Left out of the file where there are more than 1000.
};

inline constexpr std::size_t running_limit = 512 * 1024;

/// Nothing if it names no attempt.
std::optional<RunningRecord> parse_running(const std::string& text);

/// `<attempt_id>.json`, encoded.
std::string running_name(const std::string& attempt_id);
bool is_running_name(const std::string& name);

/// One attempt's file: locked until destroyed, there until removed. An engine that ends before its
/// attempt leaves the file behind, for the next one to find.
class RunningFile {
public:
    static std::optional<RunningFile> create(const std::filesystem::path& project_root,
                                             const RunningRecord& record, error_code& ec);
    /// The file of an engine that died. Nothing if it lives, or if another was first.
    static std::optional<RunningFile> take_over(const std::filesystem::path& project_root,
                                                const std::string& attempt_id);

    void remove();

private:
    RunningFile(files::UniqueFd file, std::string path);
    // By its path: a descriptor of the folder, too, would be one more for each that waits.
    files::UniqueFd file_;
    std::string path_;
};

/// What the record of an attempt says that nobody has seen the end of.
inline constexpr char interrupted_message[] = "Interrupted: the engine that ran it has ended.";

struct RunningEntry {
    RunningRecord record;
    bool alive = false;  ///< Its engine holds the lock.
};

/// All that is in flight or was when its engine died, oldest first. Without broken records.
std::vector<RunningEntry> list_running(const std::filesystem::path& project_root);

/// The same; `problem` says why nothing can be known, as where the folder is a link.
std::vector<RunningEntry> list_running(const std::filesystem::path& project_root,
                                       error_code& problem);

/// For a person: what such a problem means, and what to do.
std::string unreadable_sentence(const std::filesystem::path& project_root, error_code problem);

/// The artifacts before the execution of that attempt, as its record says; nothing if it does not.
std::optional<ArtifactBaseline> artifacts_before(const std::filesystem::path& project_root,
                                                 const std::string& attempt_id);

/// Removes what engines have left that died while they made such a file, broken records, and
/// requests to cancel attempts that have ended.
void sweep_running(const std::filesystem::path& project_root);

/// Asks the engine of an attempt to cancel it.
error_code ask_to_cancel(const std::filesystem::path& project_root, const std::string& attempt_id);

/// True once for each such wish.
bool take_cancel_request(const std::filesystem::path& project_root, const std::string& attempt_id);

/// True when it is worth to call `take_cancel_request`.
bool any_cancel_request(const std::filesystem::path& project_root);

}  // namespace autoexec::records
