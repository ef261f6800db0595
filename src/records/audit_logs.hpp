#pragma once

#include "files/safe_files.hpp"
#include "records/log_file.hpp"
#include "records/queries.hpp"

#include <sys/types.h>

#include <deque>
#include <filesystem>
#include <optional>
#include <string>

namespace autoexec::records {

/// The audit log and its backups, as of construction, newest first, each once. One is open at a
/// time: there may be more of them than descriptors.
///
/// Thread safety: none.
class AuditLogs {
public:
    explicit AuditLogs(const Folder& folder, ReportUnreadable report = {});

    struct OpenLog {
        std::string name;
        files::UniqueFd file;
    };
    /// nullopt: there are no more.
    std::optional<OpenLog> next();

private:
    struct FoundLog {
        int number = 0;  ///< A rotation since makes it larger.
        dev_t device = 0;
        ino_t inode = 0;
    };

    bool find_logs();
    std::optional<OpenLog> open(const FoundLog& log) const;

    std::filesystem::path path_;
    ReportUnreadable report_;
    files::UniqueFd folder_;
    std::deque<FoundLog> logs_;
};

}  // namespace autoexec::records
