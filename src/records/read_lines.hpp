#pragma once

#include "files/safe_files.hpp"

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace autoexec::records {

/// Whether one of many lines may be wanted.
using MayHold = std::function<bool(std::string_view lines)>;

/// The lines of a file, last to first, as of construction; with `end`, those before that offset.
/// Empty lines are skipped, and so may be lines that `may_hold` rules out. Memory is bounded by the
/// longest line, which is bounded by `max_line_bytes`.
///
/// Thread safety: none.
class ReverseLines {
public:
    static constexpr std::size_t max_line_bytes = 16 * 1024 * 1024;

    explicit ReverseLines(files::UniqueFd file, std::optional<std::uint64_t> end = {},
                          MayHold may_hold = {});

    /// The previous line, without its newline; valid until the next call.
    std::optional<std::string_view> next();

    /// Lines that were longer than `max_line_bytes`.
    [[nodiscard]] std::uint64_t skipped() const noexcept { return skipped_; }

    /// Where the last line that was returned begins in the file.
    [[nodiscard]] std::uint64_t offset() const noexcept
    {
        return static_cast<std::uint64_t>(offset_) + line_;
    }

private:
    std::optional<std::string_view> next_in_buffer();
    void read_more();
    void drop_unwanted();

    files::UniqueFd file_;
    MayHold may_hold_;
    off_t offset_ = 0;  // the buffer's place in the file
    // The part before `end_` has not been returned.
    std::unique_ptr<char[]> buffer_;
    std::size_t capacity_ = 0;
    std::size_t end_ = 0;
    std::size_t line_ = 0;   // where the last line begins
    std::size_t clean_ = 0;  // the last bytes before `end_` that contain no newline
    bool dropping_ = false;  // in the middle of a line that is too long
    bool finished_ = false;
    std::uint64_t skipped_ = 0;
};

/// Of an open file; zero: it is none.
ino_t inode_of(int fd);

/// Decimal digits, and nothing else; empty: it is not a number.
std::optional<std::uint64_t> parse_number(std::string_view digits);

bool contains(std::string_view text, std::string_view part);

/// True for a filter field that matches everything.
bool is_any(const std::optional<std::string>& value);

/// Rules out lines of JSON, one or many, that cannot hold a string however it is spelled. Much
/// cheaper than parsing.
class StringHint {
public:
    enum class Kind { equal, part };

    /// The string equals `value`, or `value` is a part of it.
    StringHint(std::string_view value, Kind kind);

    [[nodiscard]] bool may_be_in(std::string_view lines) const;

private:
    std::string needle_;  // empty: there is no way to tell
};

/// Of all strings that a filter asks for.
class StringHints {
public:
    void add(const std::optional<std::string>& value,
             StringHint::Kind kind = StringHint::Kind::equal);

    [[nodiscard]] bool may_be_in(std::string_view lines) const;

private:
    std::vector<StringHint> hints_;
};

}  // namespace autoexec::records
