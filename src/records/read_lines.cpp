#include "records/read_lines.hpp"

#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <system_error>
#include <utility>

namespace autoexec::records {
namespace {

constexpr std::size_t min_chunk = 64 * 1024;

// Characters that JSON writers leave unescaped or write as \uXXXX.
bool is_plain(char c)
{
    return c >= ' ' && c <= '~' && c != '"' && c != '\\' && c != '/';
}

std::string_view longest_plain_part(std::string_view text)
{
    std::string_view longest;
    for (auto begin = text.begin(); begin != text.end();) {
        begin = std::find_if(begin, text.end(), is_plain);
        const auto end = std::find_if_not(begin, text.end(), is_plain);
        const std::string_view part(begin, end);
        if (part.size() > longest.size()) longest = part;
        begin = end;
    }
    return longest;
}

// Whether a plain character is written as \uXXXX.
bool has_escaped_plain(std::string_view json)
{
    // What follows a backslash does not begin an escape.
    for (auto at = json.find('\\'); at != json.npos; at = json.find('\\', at + 2)) {
        const auto escape = json.substr(at, 5);
        if (escape.starts_with("\\u00") && escape.back() >= '2' && escape.back() <= '7')
            return true;
    }
    return false;
}

// Returns false if the file was truncated meanwhile.
bool read_fully(int fd, char* to, std::size_t count, off_t at)
{
    while (count > 0) {
        const auto n = ::pread(fd, to, count, at);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return false;
        to += n;
        at += n;
        count -= static_cast<std::size_t>(n);
    }
    return true;
}

}  // namespace

ReverseLines::ReverseLines(files::UniqueFd file, std::optional<std::uint64_t> end, MayHold may_hold)
    : file_(std::move(file)), may_hold_(std::move(may_hold))
{
    struct stat st {};
    if (!file_ || ::fstat(file_.get(), &st) != 0) return;
    offset_ = st.st_size;
    if (end) offset_ = static_cast<off_t>(std::min(*end, static_cast<std::uint64_t>(st.st_size)));
}

std::optional<std::string_view> ReverseLines::next()
{
    while (!finished_) {
        const auto line = next_in_buffer();
        if (!line) {
            read_more();
        } else if (dropping_) {
            dropping_ = false;
            ++skipped_;
        } else if (!line->empty()) {
            return line;
        }
    }
    return std::nullopt;
}

// The last line of the buffer, if its beginning is known.
std::optional<std::string_view> ReverseLines::next_in_buffer()
{
    const std::string_view rest(buffer_.get(), end_);
    const void* const found =
        rest.empty() ? nullptr : ::memrchr(rest.data(), '\n', rest.size() - clean_);
    if (found != nullptr) {
        const auto newline =
            static_cast<std::size_t>(static_cast<const char*>(found) - rest.data());
        end_ = newline;
        clean_ = 0;
        line_ = newline + 1;
        return rest.substr(line_);
    }
    clean_ = end_;
    if (offset_ > 0) return std::nullopt;
    finished_ = true;
    line_ = 0;
    return rest;
}

void ReverseLines::read_more()
{
    if (end_ > max_line_bytes) {
        dropping_ = true;
        end_ = clean_ = 0;
    }
    // The size doubles, so that a long line is not copied repeatedly.
    const auto count = std::min(static_cast<std::size_t>(offset_), std::max(min_chunk, end_));
    if (count + end_ > capacity_) {
        capacity_ = std::max(min_chunk, end_) + end_;
        std::unique_ptr<char[]> larger(new char[capacity_]);  // not zeroed
        if (end_ > 0) std::memcpy(larger.get() + count, buffer_.get(), end_);
        buffer_ = std::move(larger);
    } else {
        std::memmove(buffer_.get() + count, buffer_.get(), end_);
    }
    offset_ -= static_cast<off_t>(count);
    if (!read_fully(file_.get(), buffer_.get(), count, offset_)) {
        finished_ = true;
        return;
    }
    end_ += count;
    if (may_hold_) drop_unwanted();
}

// All whole lines of the buffer at once.
void ReverseLines::drop_unwanted()
{
    const std::string_view text(buffer_.get(), end_);
    const auto newline = offset_ > 0 ? text.find('\n') : text.npos;
    if (offset_ > 0 && newline == text.npos) return;
    const auto begin = newline + 1;  // npos + 1 is 0
    if (may_hold_(text.substr(begin))) return;
    skipped_ += std::exchange(dropping_, false) ? 1 : 0;
    end_ = clean_ = begin == 0 ? 0 : newline;
}

ino_t inode_of(int fd)
{
    struct stat st {};
    return fd >= 0 && ::fstat(fd, &st) == 0 ? st.st_ino : 0;
}

std::optional<std::uint64_t> parse_number(std::string_view digits)
{
    std::uint64_t number = 0;
    const auto* const end = digits.data() + digits.size();
    const auto [stop, ec] = std::from_chars(digits.data(), end, number);
    return ec == std::errc{} && stop == end ? std::optional(number) : std::nullopt;
}

bool contains(std::string_view text, std::string_view part)
{
    return ::memmem(text.data(), text.size(), part.data(), part.size()) != nullptr;
}

bool is_any(const std::optional<std::string>& value)
{
    return !value || value->empty();
}

StringHint::StringHint(std::string_view value, Kind kind) : needle_(longest_plain_part(value))
{
    if (kind == Kind::equal && !value.empty() && needle_ == value) needle_ = '"' + needle_ + '"';
}

bool StringHint::may_be_in(std::string_view lines) const
{
    return contains(lines, needle_) || has_escaped_plain(lines);
}

void StringHints::add(const std::optional<std::string>& value, StringHint::Kind kind)
{
    if (!is_any(value)) hints_.emplace_back(*value, kind);
}

bool StringHints::may_be_in(std::string_view lines) const
{
    return std::all_of(hints_.begin(), hints_.end(),
                       [lines](const auto& hint) { return hint.may_be_in(lines); });
}

}  // namespace autoexec::records
