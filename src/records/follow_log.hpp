#pragma once

#include "files/safe_files.hpp"
#include "records/log_file.hpp"

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

namespace autoexec::records {

/// Reads what is appended to a log that is rotated meanwhile. A rotation is noticed if no more than
/// one happens between two calls; the first of several logs is read to its end in any case.
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
    void read_open(const std::function<void(std::string_view line)>& take);

    Folder folder_;
    std::string name_;
    files::UniqueFd file_;
    std::uint64_t offset_ = 0;
    std::string rest_;  // the beginning of a line
};

}  // namespace autoexec::records
