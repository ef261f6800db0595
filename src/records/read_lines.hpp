#pragma once

#include "files/safe_files.hpp"

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace autoexec::records {

/// The lines of a file from the last to the first, as it was when this was made. Empty lines are
/// left out. Memory is bounded by the longest line, and that by `longest`.
///
/// Thread safety: none.
class ReverseLines {
public:
    static constexpr std::size_t longest = 16 * 1024 * 1024;

    explicit ReverseLines(files::UniqueFd file);

    /// The line before, without its newline, valid until the next call.
    std::optional<std::string_view> next();

    /// Lines that were longer than `longest`.
    [[nodiscard]] std::uint64_t skipped() const noexcept { return skipped_; }

private:
    std::optional<std::string_view> take();
    void read_more();

    files::UniqueFd file_;
    off_t offset_ = 0;    // the buffer's place in the file
    std::string buffer_;  // what stands before `end_` has not been handed out
    std::size_t end_ = 0;
    std::size_t clean_ = 0;  // the buffer's last bytes before `end_` that hold no newline
    bool dropping_ = false;  // in the middle of a line that is too long
    bool finished_ = false;
    std::uint64_t skipped_ = 0;
};

/// A filter's field that everything matches.
bool is_any(const std::optional<std::string>& value);

/// False if no line of JSON with a string equal to `value` in it can look like `line`. Far
/// cheaper than to parse the line.
bool may_hold(std::string_view line, const std::optional<std::string>& value);

}  // namespace autoexec::records
