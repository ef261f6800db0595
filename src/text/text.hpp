#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

/// Small rules that all file formats share. Pure.
namespace autoexec::text {

/// `2026-01-20T21:00:36.129110+00:00`: Python's `isoformat` of an aware UTC time. Empty for an
/// absent time.
std::string iso_utc(const std::optional<std::chrono::system_clock::time_point>& t);

/// The same for a time that is there, into a buffer of `iso_utc_size`. Returns its end.
char* write_iso_utc(char* out, std::chrono::system_clock::time_point t);
inline constexpr std::size_t iso_utc_size = 32;

/// `2026-01-20T21:00:36.129110`, local time: the original's naive form.
std::string iso_local(std::chrono::system_clock::time_point t);

/// `2026-01-20 22:00:36 +0100`, local time with its zone: for people.
std::string shown_time(std::chrono::system_clock::time_point t);
/// The same; `-` for an absent time.
std::string shown_time(const std::optional<std::chrono::system_clock::time_point>& t);
/// The columns of such a time.
inline constexpr std::size_t shown_time_size = 25;

/// Reads ISO-8601 with `Z`, an offset, or none (taken as UTC).
std::optional<std::chrono::system_clock::time_point> parse_iso(std::string_view text);

/// The same, of a person: without an offset, it is local time. Also reads what `shown_time` writes.
std::optional<std::chrono::system_clock::time_point> parse_local_time(std::string_view text);

/// `2026-01-20`, UTC.
std::string utc_date(std::chrono::system_clock::time_point t);

/// Of ASCII, whatever the locale is.
constexpr bool is_letter_or_digit(char c) noexcept
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

/// True if `text` is like `form`, in which each `d` is any digit.
bool has_form(std::string_view text, std::string_view form) noexcept;

/// Letters outside ASCII stay as they are.
std::string lower_case(std::string_view text);

/// One step of decoding. For bytes that are not UTF-8, `valid` is false and `length` covers the
/// longest prefix of a character: one U+FFFD, as Unicode recommends.
struct Utf8Step {
    char32_t code_point = 0xFFFD;
    std::size_t length = 1;
    bool valid = false;
};

/// `text` must not be empty.
Utf8Step decode_utf8(std::string_view text) noexcept;

void append_utf8(std::string& out, char32_t code_point);

/// Bytes that are not UTF-8 become U+FFFD.
std::string valid_utf8(std::string_view text);

/// At most `max_bytes` from the beginning, without a part of a character.
std::string_view head(std::string_view text, std::size_t max_bytes);
/// The last `max_bytes` bytes of `text`, cut at a character.
std::string_view tail(std::string_view text, std::size_t max_bytes);

/// Makes control characters and escape sequences harmless for a terminal; newlines are kept only
/// with `keep_newlines`.
std::string printable(std::string_view text, bool keep_newlines = false);

/// `printable` with line ends kept, for text in chunks. The chunking does not affect the result,
/// unless a colour sequence exceeds 64 bytes.
///
/// Thread safety: none.
class PrintableStream {
public:
    /// Feeds a chunk; returns the text that is safe to show so far.
    [[nodiscard]] std::string feed(std::string_view chunk);
    /// Returns the rest. The stream is empty afterwards.
    [[nodiscard]] std::string finish();

private:
    std::string held_;  // an incomplete character, colour sequence or line end
};

/// An id as a file name: percent-encoded, at most 128 bytes, with a hash if truncated.
std::string file_name_of(std::string_view id);

/// A double that Python reads back exactly, always with a point: `1500.0`.
std::string format_double(double value);

/// Words as one shell-quoted line, for display.
std::string quote_words(std::span<const std::string> words);

/// Splits a line into words by the rules of a POSIX shell, without expansions. Sets `problem` on
/// failure.
std::optional<std::vector<std::string>> split_words(std::string_view line, std::string& problem);

/// Two lower-case digits for each byte.
std::string hex(std::string_view bytes);
/// The same into a buffer. Returns its end.
char* write_hex(char* out, std::string_view bytes) noexcept;

using Sha256 = std::array<char, 32>;
Sha256 sha256(std::string_view bytes);
/// Its 64 digits.
std::string hex(const Sha256& digest);
std::string sha256_hex(std::string_view bytes);

/// 36 characters, version 7: sortable by time.
std::string new_uuid();

/// `90`, `90s`, `1.5m`, `2h`, `7d`, `2w`, `500ms`, `1h30m`; seconds without a unit. A day has 24
/// hours.
std::optional<std::chrono::milliseconds> parse_duration(std::string_view text);

/// `1 step`, `2 steps`. `many`: the plural; empty: `one` and an `s`.
std::string counted(std::size_t count, std::string_view one, std::string_view many = {});

/// `850ms`, `12.3s`, `4m05s`, `2h03m`, `3d04h`
std::string format_duration(std::chrono::milliseconds d);

}  // namespace autoexec::text
