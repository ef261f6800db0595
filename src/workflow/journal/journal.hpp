#pragma once

#include "autoexec/error.hpp"
#include "autoexec/file.hpp"
#include "autoexec/view.hpp"
#include "autoexec/workflow_result.hpp"
#include "files/safe_files.hpp"
#include "protocol/usage.hpp"
#include "protocol/workflow_journal.hpp"
#include "records/log_file.hpp"

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

/// The journal of a run: `workflow-state/<run id>.jsonl`, a line for each transition, appended
/// before it takes effect, and locked by its executor while that lives. Format:
/// `doc/file-protocol.md`. Calls block for microseconds (`Durability::power`: for a sync).
namespace autoexec::workflow {

/// A step, as recorded.
using StepRecord = StepEntry;

/// A run, as recorded.
struct RunRecord : RunEntry {
    std::string hash;                                 ///< Of the workflow's file.
    std::vector<protocol::JournalEntry> transitions;  ///< In order.
    std::uint64_t skipped_lines = 0;                  ///< Invalid ones, and a truncated last one.
};

/// Folds the lines of a journal into the run's state, for readers that follow it.
class RunFold {
public:
    RunFold();
    ~RunFold();
    RunFold(RunFold&&) noexcept;
    RunFold& operator=(RunFold&&) noexcept;

    /// The next line, without its newline. Empty for one that is left out: it is invalid.
    std::optional<protocol::JournalEntry> add_line(std::string_view line);

    /// Without `alive`.
    [[nodiscard]] const RunEntry& run() const noexcept;
    [[nodiscard]] const std::string& hash() const noexcept;

private:
    class State;
    std::unique_ptr<State> state_;
};

/// Reads the lines of a journal. Pure. Never fails: invalid lines are counted and left out; without
/// its first line, the record holds what is known.
RunRecord parse_journal(std::string_view text);

/// Empty, with a sentence in `problem`, if there is no such run or its journal cannot be read. The
/// record has the id that was asked for.
std::optional<RunRecord> read_run(const std::filesystem::path& project_root,
                                  std::string_view run_id, std::string& problem);

/// The id of the run whose journal has this name; empty: a journal cannot have it.
std::string run_of_journal(int folder, const std::string& name);

/// The ids of all runs, newest first by the times in their journals.
std::vector<std::string> list_runs(const std::filesystem::path& project_root);

inline constexpr std::size_t journal_limit = 64 * 1024 * 1024;
inline constexpr std::string_view journal_suffix = ".jsonl";

/// What a list of runs needs of a journal: its first line.
struct ListedRun {
    protocol::EntryTime started;  ///< Absent: not known yet.
    std::string name;             ///< Of the journal.
    std::string run_id;

    bool operator==(const ListedRun&) const = default;
};

/// The order of a list: newest first.
bool is_newer(const ListedRun& a, const ListedRun& b);

/// Reads it. Empty for a file whose name is not that of a run.
std::optional<ListedRun> list_run(int folder, const std::string& name);

/// The folder of the journals.
records::Folder state_folder(const std::filesystem::path& project_root);

/// The name of a journal in it.
std::string journal_name(std::string_view run_id);

/// Whether an executor has locked the journal.
bool is_locked(int fd);

class Journal {
public:
    /// Creates one, locked. The run's id is `<workflow id>-<YYYYmmdd-HHMMSS>-<microseconds>` of the
    /// local time, or of the next free microsecond.
    static std::optional<Journal> create(const std::filesystem::path& project_root,
                                         std::string_view workflow_id,
                                         std::chrono::system_clock::time_point now,
                                         Durability durability, error_code& ec,
                                         records::Disk& disk = records::Disk::real());

    /// The same for a run that has its id already: that of `free_run_id`. `ec` is
    /// `boost::system::errc::file_exists` if another one was faster.
    static std::optional<Journal> create_named(const std::filesystem::path& project_root,
                                               std::string_view run_id, Durability durability,
                                               error_code& ec,
                                               records::Disk& disk = records::Disk::real());

    /// Locks the journal of an earlier executor; a truncated last line is removed. `ec` is
    /// `errc::worktree_busy` while another executor holds it, `resource_unavailable_try_again`
    /// while a reader does (for microseconds: try again), and an error of the file system if there
    /// is none.
    static std::optional<Journal> take_over(const std::filesystem::path& project_root,
                                            std::string_view run_id, Durability durability,
                                            error_code& ec,
                                            records::Disk& disk = records::Disk::real());

    [[nodiscard]] const std::string& run_id() const noexcept { return run_id_; }
    [[nodiscard]] const std::filesystem::path& path() const noexcept { return path_; }

    /// Programs that work for the run hold it, so that an executor that takes over waits for them.
    [[nodiscard]] int descriptor() const noexcept { return shared_.get(); }

    /// Whether all programs that held the descriptor of an earlier executor have ended.
    [[nodiscard]] bool is_settled() const noexcept;

    /// What it held when it was taken over. Once.
    [[nodiscard]] RunRecord take_record() { return std::move(record_); }

    /// Removes it: nothing has started.
    void discard(const std::filesystem::path& project_root);

    /// Appends one line. After an error the file is as before if possible; otherwise all later
    /// calls fail with the same error. `errc::journal_lost` if the file was removed, replaced or
    /// truncated; `errc::file_too_large` and `errc::invalid_options` for a line that readers would
    /// not accept.
    error_code append(const protocol::Transition& transition,
                      std::chrono::system_clock::time_point now);

private:
    /// `link` gives the file, whose temporary name it gets, the name of a run, and returns the id.
    template <class Link>
    static std::optional<Journal> create_by(const std::filesystem::path& project_root, Link link,
                                            Durability durability, error_code& ec,
                                            records::Disk& disk);
    Journal(std::filesystem::path path, files::UniqueFd file, files::UniqueFd shared,
            std::string run_id, Durability durability, records::Disk& disk);
    error_code write(std::string_view line);
    [[nodiscard]] bool is_intact() const;

    std::filesystem::path path_;
    files::UniqueFd file_;
    files::UniqueFd shared_;  // a second open file description: its lock lasts longer
    std::string run_id_;
    RunRecord record_;
    Durability durability_;
    records::Disk* disk_;
    std::int64_t seq_ = 0;
    std::size_t size_ = 0;
    error_code broken_;  // what the file ends with is unknown
};

/// An id for a run that is to be created later, as those of `Journal::create`: no journal has it,
/// and it is not among `taken`.
std::string free_run_id(const std::filesystem::path& project_root, std::string_view workflow_id,
                        std::chrono::system_clock::time_point now,
                        const std::set<std::string>& taken);

/// Prevents executors from resuming a run while the descriptor is open; nothing is written. `ec` is
/// `errc::worktree_busy` while an executor, or a program that it left behind, works for it. Waits
/// up to 250 ms for readers.
files::UniqueFd hold_run(const std::filesystem::path& project_root, std::string_view run_id,
                         error_code& ec);

/// Requests that the executor of a run cancels it: `workflow-state/cancel/<run id>`.
error_code ask_to_cancel_run(const std::filesystem::path& project_root, std::string_view run_id);

/// Consumes such a request: true once for each.
bool take_run_cancel(const std::filesystem::path& project_root, std::string_view run_id);

}  // namespace autoexec::workflow
