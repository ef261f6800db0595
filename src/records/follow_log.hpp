#pragma once

#include "files/safe_files.hpp"
#include "records/log_file.hpp"

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace autoexec::records {

/// Reads what is appended to a log that is rotated meanwhile. Nothing is missed as long as the log
/// that was read last still exists, as a backup; while it is rotated, lines may come with the next
/// call.
///
/// Thread safety: none.
class LogFollower {
public:
    /// Begins at the end of the log.
    LogFollower(Folder folder, std::string name);

    /// Passes on each whole line that was appended since, without its newline.
    void read(const std::function<void(std::string_view line)>& take);

    /// Where the next call begins, as the cursor of a query for what was written before; empty:
    /// there is no log.
    [[nodiscard]] std::string cursor() const;

private:
    files::UniqueFd open() const;
    std::vector<files::UniqueFd> open_newer() const;
    void read_open(const std::function<void(std::string_view line)>& take);

    Folder folder_;
    std::string name_;
    files::UniqueFd file_;
    std::uint64_t offset_ = 0;
    std::string rest_;  // the beginning of a line
};

}  // namespace autoexec::records
