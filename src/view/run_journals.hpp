#pragma once

#include "autoexec/view.hpp"
#include "view/entries.hpp"
#include "view/read_check.hpp"
#include "workflow/journal/journal.hpp"

#include <cstddef>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace autoexec::view {

/// A journal, of which only what has been appended is read again.
class FollowedJournal {
public:
    /// Null: it cannot be read.
    std::shared_ptr<const RunEntry> refresh(int folder, const workflow::ListedRun& run,
                                            bool has_changed);

private:
    void read(int folder, const std::string& name, int fd);
    bool read_appended(int fd);
    void add_lines(std::string_view text);

    std::optional<workflow::RunFold> fold_;  ///< Until the run has ended. Absent: read it all.
    std::size_t offset_ = 0;                 ///< Of the first line that is not folded.
    std::string last_line_;                  ///< Before it.
    std::shared_ptr<const RunEntry> entry_;
};

/// The runs of a project: the newest, and older ones while their executors live.
class RunJournals {
public:
    RunJournals(std::filesystem::path project_root, std::size_t max_runs);

    /// Reads again what has changed, and returns all.
    EntryList<RunEntry> refresh();

private:
    struct Journal {
        ReadCheck check;
        std::optional<workflow::ListedRun> listed;  ///< Absent: the file is not a journal.
        bool is_newest = false;
        bool has_changed = true;
        FollowedJournal followed;
        bool is_followed = false;
    };

    void find(int folder);
    void list(int folder, const std::string& name, Journal& journal);
    void choose_newest();

    std::filesystem::path project_root_;
    std::size_t max_runs_;
    ReadCheck check_;
    std::map<std::string, Journal> journals_;  ///< By the names of the files.
    bool order_changed_ = true;
};

}  // namespace autoexec::view
