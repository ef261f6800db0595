#pragma once

#include "autoexec/view.hpp"
#include "view/entries.hpp"
#include "view/read_check.hpp"
#include "workflow/journal/journal.hpp"

#include <cstddef>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>

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

    /// Begins to look at everything.
    void begin_sweep();
    /// Does a part of that, some ten system calls. False: nothing is left.
    bool step();

    /// Looks at one file.
    void look_at(const std::string& name);
    /// Looks at the newest runs, and those whose executors live.
    void look_at_followed();

    /// Whether something may have changed since the last call.
    [[nodiscard]] bool take_changed() { return std::exchange(changed_, false); }
    [[nodiscard]] EntryList<RunEntry> entries() const;

private:
    enum class Phase { listing, following, done };
    struct Journal {
        ReadCheck check;
        std::optional<workflow::ListedRun> listed;  ///< Absent: the file is not a journal.
        bool is_newest = false;
        bool has_changed = true;
        FollowedJournal followed;
        std::shared_ptr<const RunEntry> entry{};  ///< Null: it is not followed.
    };
    using Journals = std::map<std::string, Journal>;

    void find(int folder);
    void list(int folder, const std::string& name, Journal& journal);
    void choose_newest();
    void follow(int folder, const std::string& name, Journal& journal);
    bool for_each_next(int count, const std::function<void(int, Journals::iterator)>& visit);

    std::filesystem::path project_root_;
    std::size_t max_runs_;
    ReadCheck check_;
    Journals journals_;  ///< By the names of the files.
    std::set<std::string> followed_;
    bool order_changed_ = true;
    bool changed_ = false;

    // Of a sweep.
    Phase phase_ = Phase::done;
    std::string name_;  ///< Before the next one.
};

}  // namespace autoexec::view
