#pragma once

#include "autoexec/error.hpp"
#include "autoexec/view.hpp"
#include "files/safe_files.hpp"
#include "protocol/running_files.hpp"
#include "view/executors.hpp"
#include "view/lazy_redactor.hpp"
#include "view/read_check.hpp"

#include <filesystem>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

namespace autoexec::view {

/// What the files of an attempt are read with.
struct AttemptReader {
    std::filesystem::path project_root;
    std::string status_name;
    LazyRedactor& redactor;
};

/// The record of an attempt, and the status that its agent reports.
class AttemptFiles {
public:
    enum class Change { none, changed, gone };

    /// Reads again what has changed. `gone`: there is no record.
    Change refresh(const AttemptReader& reader, int folder, const std::string& name, bool alive,
                   const std::string& other_host);

    /// Null: the file is no valid record.
    [[nodiscard]] const std::shared_ptr<const ExecutionEntry>& entry() const noexcept
    {
        return entry_;
    }

private:
    [[nodiscard]] bool has_new_status(const AttemptReader& reader);

    ReadCheck record_check_;
    ReadCheck root_check_;
    ReadCheck cursor_folder_check_;
    ReadCheck below_cursor_check_;
    bool alive_ = false;
    std::shared_ptr<const ExecutionEntry> entry_;
};

/// The executions that are published: `running/`, and the status files in their worktrees.
class Executions {
public:
    Executions(AttemptReader reader, ExecutorLives& lives);

    /// Begins to look at everything.
    void begin_sweep();
    /// Does a part of that, some ten system calls. False: nothing is left.
    bool step();
    /// Why executions cannot be found.
    [[nodiscard]] error_code problem() const noexcept { return problem_; }

    /// Looks at one record of an executor.
    void look_at(const std::string& executor, const std::string& name);
    /// Looks at all records of that name.
    void look_at(const std::string& name);
    /// Looks for records of an executor that have come or gone.
    void look_into(const std::string& executor);
    /// Looks at the records of older versions: each is locked by itself.
    void look_at_unshared();
    /// The names of an executor's records that are known.
    [[nodiscard]] std::vector<std::string> names_of(const std::string& executor) const;
    /// The ids of all executors that have folders.
    [[nodiscard]] std::vector<std::string> executors() const;

    /// The names of the records that have changed since the last call.
    [[nodiscard]] std::set<std::string> take_changed() { return std::exchange(changed_, {}); }
    /// Of records of that name, that of an executor that lives counts. Null: there is none.
    [[nodiscard]] std::shared_ptr<const ExecutionEntry> find(const std::string& name) const;

private:
    enum class Phase { listing, listing_again, attempts, unshared, done };
    using Attempts = std::map<std::string, AttemptFiles>;  ///< By the names of their records.
    struct Executor {
        ReadCheck check;
        Attempts attempts;
    };

    void list_executors();
    bool list_next();
    void list_records(int folder, Executor& executor);
    void look_at_missing();
    bool look_at_next();
    void refresh(int folder, const std::string& id, Executor& executor, const std::string& name);
    [[nodiscard]] files::UniqueFd open(const std::string& id) const;

    AttemptReader reader_;
    ExecutorLives& lives_;
    std::map<std::string, Executor> executors_;
    Attempts unshared_;  ///< Of older versions.
    std::set<std::string> changed_;

    // Of a sweep.
    Phase phase_ = Phase::done;
    error_code problem_;
    std::string executor_;           ///< Before the next one.
    std::string name_;               ///< Before its next record.
    std::set<std::string> missing_;  ///< Records that are no longer where they were.
};

}  // namespace autoexec::view
