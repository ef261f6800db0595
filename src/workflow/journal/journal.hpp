#pragma once

#include "autoexec/error.hpp"
#include "autoexec/file.hpp"
#include "autoexec/workflow_result.hpp"
#include "files/safe_files.hpp"
#include "records/log_file.hpp"

#include <boost/json/object.hpp>

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

/// What has happened to a run: `workflow-state/<run id>.jsonl`, a transition a line, appended
/// before it is acted on, and locked by its engine as long as that lives. Format:
/// `doc/file-protocol.md`. Blocks for microseconds (`Durability::power`: for a sync).
namespace autoexec::workflow {

class Journal {
public:
    /// A new one, locked. The run's id is `<workflow id>-<YYYYmmdd-HHMMSS>-<microseconds>` of the
    /// local time, or of the next free microsecond.
    static std::optional<Journal> create(const std::filesystem::path& project_root,
                                         std::string_view workflow_id,
                                         std::chrono::system_clock::time_point now,
                                         Durability durability, error_code& ec,
                                         records::Disk& disk = records::Disk::real());

    /// That of an earlier engine, locked, to go on with; a torn last line is cut off. `ec` is
    /// `errc::worktree_busy` while another engine has it, and an error of the file system where it
    /// is not there.
    static std::optional<Journal> take_over(const std::filesystem::path& project_root,
                                            std::string_view run_id, Durability durability,
                                            error_code& ec,
                                            records::Disk& disk = records::Disk::real());

    [[nodiscard]] const std::string& run_id() const noexcept { return run_id_; }
    [[nodiscard]] const std::filesystem::path& path() const noexcept { return path_; }

    /// For programs that work for the run to hold, so that who takes it over can wait for them.
    [[nodiscard]] int descriptor() const noexcept { return shared_.get(); }

    /// Whether all programs that held the descriptor of an earlier engine have ended.
    [[nodiscard]] bool is_settled() const noexcept;

    /// Removes it: nothing has begun.
    void discard(const std::filesystem::path& project_root);

    /// Appends one transition: `seq` (1…), `time` and `event` are put before `more`. After an error
    /// nothing of it is there, as far as that can be had; where it can't, all later ones get the
    /// same error. `errc::journal_lost` where its file was removed, replaced or truncated since, by
    /// whomever; `errc::file_too_large` and `errc::invalid_options` for what no reader would
    /// take.
    error_code append(WorkflowEvent::Type type, std::chrono::system_clock::time_point now,
                      const boost::json::object& more);

private:
    Journal(std::filesystem::path path, files::UniqueFd file, files::UniqueFd shared,
            std::string run_id, Durability durability, records::Disk& disk);
    error_code write(std::string_view line);
    [[nodiscard]] bool is_intact() const;

    std::filesystem::path path_;
    files::UniqueFd file_;
    files::UniqueFd shared_;  // another opening of the file: its lock lasts longer
    std::string run_id_;
    Durability durability_;
    records::Disk* disk_;
    std::int64_t seq_ = 0;
    std::size_t size_ = 0;
    error_code broken_;  // nobody can tell what is at the file's end
};

/// A step as the journal tells it.
struct StepRecord {
    std::string id;
    std::string agent;
    std::string action;
    StepState state = StepState::pending;
    int round = 0;
    std::string reason;  ///< Why skipped, or the error's sentence.
    std::string started_at;
    std::string ended_at;
    std::string execution_id;
    std::string worktree;
    std::string branch;
    std::string commit;
    std::optional<double> duration_seconds;
    int attempts = 0;
};

/// A run as the journal tells it.
struct RunRecord {
    std::string run_id;
    std::string workflow_id;
    std::string name;
    std::string path;  ///< Of the workflow's file.
    std::string hash;
    std::string branch;  ///< Where the steps' work comes together.
    std::string commit;  ///< Its head, once it has.
    std::string started_at;
    std::string ended_at;
    WorkflowStatus status = WorkflowStatus::running;
    bool alive = false;  ///< Its engine holds the lock. Neither alive nor ended: interrupted.
    std::string error;
    std::int64_t pid = 0;
    bool automatic = true;
    std::vector<StepRecord> steps;
    std::vector<boost::json::object> transitions;  ///< All lines, in order.
    std::uint64_t skipped_lines = 0;  ///< That were no transition; a torn last one, too.
};

/// Pure: the lines of a journal. Never fails: what can't be read is counted and left out; a file of
/// which the first line is missing gives a record with what is known.
RunRecord parse_journal(std::string_view text);

/// `run_id` is the one that was asked for. Nothing, and a sentence, if there is no such run or its
/// journal can't be read.
std::optional<RunRecord> read_run(const std::filesystem::path& project_root,
                                  std::string_view run_id, std::string& problem);

/// The ids of all runs, newest first by what their journals say.
std::vector<std::string> list_runs(const std::filesystem::path& project_root);

/// Keeps engines from going on with a run as long as the descriptor is open; nothing is written.
/// `ec` is `errc::worktree_busy` while an engine, or a program that it has left, works for it.
files::UniqueFd hold_run(const std::filesystem::path& project_root, std::string_view run_id,
                         error_code& ec);

/// Asks the engine of a run to cancel it: `workflow-state/cancel/<run id>`.
error_code ask_to_cancel_run(const std::filesystem::path& project_root, std::string_view run_id);

/// True once for each such wish.
bool take_run_cancel(const std::filesystem::path& project_root, std::string_view run_id);

}  // namespace autoexec::workflow
