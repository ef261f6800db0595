#pragma once

#include "cli/top/log_text.hpp"
#include "files/safe_files.hpp"
#include "records/log_file.hpp"

#include <sys/stat.h>

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>

namespace autoexec::cli {

/// Reads the end of an attempt's log, and what is added to it.
class LogFollower {
public:
    LogFollower(const std::filesystem::path& project_root, std::string_view attempt_id);

    /// Adds what is new. A log that was replaced or truncated is read again. True if `text` has
    /// changed.
    bool refresh(LogText& text);

private:
    files::UniqueFd open(struct stat& st) const;
    void begin(const struct stat& st, LogText& text);
    std::string read_part(int fd, std::uint64_t end);

    records::Folder folder_;
    std::string name_;
    struct stat seen_ {};  ///< Of the file that is being read.
    std::uint64_t offset_ = 0;
    bool is_within_line_ = false;  ///< The rest of a line of which the beginning was skipped.
};

}  // namespace autoexec::cli
