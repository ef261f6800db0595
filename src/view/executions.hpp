#pragma once

#include "autoexec/error.hpp"
#include "autoexec/view.hpp"
#include "files/safe_files.hpp"
#include "protocol/running_files.hpp"
#include "view/entries.hpp"
#include "view/executors.hpp"
#include "view/lazy_redactor.hpp"
#include "view/read_check.hpp"

#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace autoexec::view {

/// The status files in one worktree.
class StatusFiles {
public:
    StatusFiles(const std::string& worktree, const std::string& name);

    /// True if one may have changed since the last call.
    bool must_read();

private:
    struct File {
        std::string path;
        ReadCheck check{};
    };
    File root_;
    File cursor_folder_;
    File below_cursor_;
};

/// The record of an attempt, and the status that its agent reports.
class AttemptFiles {
public:
    /// Reads again what has changed.
    void refresh(int folder, const std::string& name, const std::string& status_name, bool alive);

    /// Null: the file is no valid record.
    [[nodiscard]] std::shared_ptr<const ExecutionEntry> entry(
        const std::filesystem::path& project_root, const std::string& other_host,
        LazyRedactor& redactor);

private:
    void read_record(int folder, const std::string& name, const std::string& status_name);
    [[nodiscard]] ExecutionEntry make_entry(const std::string& other_host,
                                            LazyRedactor& redactor) const;

    ReadCheck check_;
    std::optional<protocol::RunningRecord> record_;
    std::optional<StatusFiles> status_files_;
    std::optional<AgentStatus> status_;  ///< Of this attempt.
    bool alive_ = false;
    bool awaits_retry_ = false;  ///< The attempt has ended, and another one follows.
    std::shared_ptr<const ExecutionEntry> entry_;  ///< Null: it has to be made again.
};

/// The executions that are published: `running/`, and the status files in their worktrees.
class Executions {
public:
    /// `redactor` must outlive this.
    Executions(std::filesystem::path project_root, std::string status_name, LazyRedactor& redactor);

    /// Reads again what has changed, and returns all. Of attempts that are recorded twice, those
    /// whose executor lives are first.
    EntryList<ExecutionEntry> refresh(error_code& problem);

private:
    using Attempts = std::map<std::string, AttemptFiles>;  ///< By the names of their records.
    struct Executor {
        ReadCheck check;
        ExecutorLife life;
        Attempts attempts;
        files::UniqueFd folder{};  ///< Open during a refresh.
    };

    struct Lists {
        void add(std::shared_ptr<const ExecutionEntry> entry);

        EntryList<ExecutionEntry> alive;
        EntryList<ExecutionEntry> interrupted;
    };

    bool find_records(int running);
    void add_records_of_executors(Lists& lists);
    void add_unshared_records(int running, Lists& lists);

    std::filesystem::path project_root_;
    std::string status_name_;
    LazyRedactor& redactor_;
    std::map<std::string, Executor> executors_;
    Attempts unshared_;  ///< Of older versions.
};

}  // namespace autoexec::view
