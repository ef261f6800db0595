#include "text/text.hpp"

#include "text/digest.hpp"

#include "text/utf8.hpp"

#include "autoexec/error.hpp"

#include <fmt/format.h>
#include <sys/random.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdint>

namespace autoexec::text {
namespace {

constexpr std::size_t max_file_name_length = 128;

bool is_plain_in_name(char c) noexcept
{
    return is_letter_or_digit(c) || c == '.' || c == '_' || c == '-';
}

std::string percent_encoded(std::string_view id)
{
    std::string out;
    for (std::size_t i = 0; i < id.size(); ++i) {
        // A leading dot hides a file or may form `..`; a leading dash looks like an option.
        const bool plain = is_plain_in_name(id[i]) && (i > 0 || (id[i] != '.' && id[i] != '-'));
        if (plain)
            out += id[i];
        else
            out += fmt::format("%{:02X}", static_cast<unsigned char>(id[i]));
    }
    return out;
}

/// 128 bits, so that no two ids share it.
std::string short_hash(std::string_view text)
{
    return sha256_hex(text).substr(0, 32);
}

/// Length of `ESC [ … m`, a colour sequence; 0 if `text` begins with something else.
std::size_t colour_length(std::string_view text) noexcept
{
    if (!text.starts_with("\x1b[")) return 0;
    const auto end = text.find_first_not_of("0123456789;:", 2);
    return end != text.npos && text[end] == 'm' ? end + 1 : 0;
}

/// C0 and C1 controls, and characters that change the text direction or break lines.
bool misleads(char32_t c) noexcept
{
    return c < 0x20 || (c >= 0x7F && c <= 0x9F) || c == 0x200E || c == 0x200F ||
           (c >= 0x2028 && c <= 0x202E) || (c >= 0x2066 && c <= 0x2069);
}

std::string visible(char32_t c)
{
    if (c == '\n') return "\\n";
    if (c == '\r') return "\\r";
    const auto value = static_cast<std::uint32_t>(c);
    return c < 0x100 ? fmt::format("\\x{:02x}", value) : fmt::format("\\u{:04x}", value);
}

void fill_random(std::span<unsigned char> bytes)
{
    // Up to 256 bytes are read at once; a signal can interrupt only before the pool is ready.
    while (getrandom(bytes.data(), bytes.size(), 0) != static_cast<ssize_t>(bytes.size()))
        if (errno != EINTR) throw system_error(error_code(errno, boost::system::system_category()));
}

}  // namespace

std::string lower_case(std::string_view text)
{
    std::string lower(text);
    for (char& c : lower)
        if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    return lower;
}

std::string printable(std::string_view text, bool keep_newlines)
{
    std::string out;
    out.reserve(text.size());
    while (!text.empty()) {
        if (const auto colour = colour_length(text)) {
            text.remove_prefix(colour);
            continue;
        }
        const auto step = decode_utf8(text);
        const bool line_end = text.starts_with('\n') || text.starts_with("\r\n");
        if (keep_newlines && line_end)
            out += text.front() == '\n' ? "\n" : "";
        else if (step.code_point != '\t' && misleads(step.code_point))
            out += visible(step.code_point);
        else
            append_utf8(out, step.code_point);
        text.remove_prefix(step.length);
    }
    return out;
}

std::string file_name_of(std::string_view id)
{
    auto name = percent_encoded(id);
    if (!name.empty() && name == id && name.size() <= max_file_name_length) return name;
    // `~` does not occur in unchanged names, so none of them can equal this one.
    const auto suffix = "~" + short_hash(id);
    auto length = std::min(name.size(), max_file_name_length - suffix.size());
    if (const auto escape = name.rfind('%', length); escape != name.npos && escape + 3 > length)
        length = std::min(length, escape);
    return name.substr(0, length) + suffix;
}

std::string new_uuid()
{
    using namespace std::chrono;
    const auto now = system_clock::now().time_since_epoch();
    const auto ms = floor<milliseconds>(now);
    // Twelve bits of the millisecond's fraction order the ids of one process by time.
    const auto fraction = static_cast<std::uint64_t>(duration_cast<nanoseconds>(now - ms).count());
    std::array<unsigned char, 16> id;
    fill_random(std::span(id).subspan(8));
    const auto head =
        static_cast<std::uint64_t>(ms.count()) << 16 | 0x7000 | (fraction * 4096 / 1'000'000);
    for (std::size_t i = 0; i < 8; ++i) id[i] = static_cast<unsigned char>(head >> (56 - 8 * i));
    id[8] = static_cast<unsigned char>((id[8] & 0x3F) | 0x80);
    std::string out;
    for (std::size_t i = 0; i < id.size(); ++i) {
        if (i == 4 || i == 6 || i == 8 || i == 10) out += '-';
        out += fmt::format("{:02x}", id[i]);
    }
    return out;
}

}  // namespace autoexec::text
