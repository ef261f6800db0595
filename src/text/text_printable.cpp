#include "text/text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>

namespace autoexec::text {
namespace {

bool is_plain_on_terminal(char c) noexcept
{
    return c >= ' ' && c <= '~';
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

// Longer than any colour sequence in use. A longer one is shown as characters.
constexpr std::size_t max_sequence = 64;

// The incomplete character at the end of the text, if any.
std::size_t partial_character(std::string_view text)
{
    for (std::size_t length = 1; length <= std::min<std::size_t>(text.size(), 3); ++length) {
        const auto byte = static_cast<unsigned char>(text[text.size() - length]);
        if (byte < 0x80) return 0;
        if (byte < 0xC0) continue;
        const std::size_t wanted = byte >= 0xF0 ? 4 : byte >= 0xE0 ? 3 : 2;
        return wanted > length ? length : 0;
    }
    return 0;
}

std::size_t partial_colour(std::string_view text)
{
    const auto escape = text.rfind('\x1b');
    if (escape == text.npos || text.size() - escape >= max_sequence) return 0;
    const auto rest = text.substr(escape + 1);
    const bool open = rest.empty() || (rest.front() == '[' &&
                                       rest.find_first_not_of("0123456789;:", 1) == rest.npos);
    return open ? text.size() - escape : 0;
}

std::size_t partial_end(std::string_view text)
{
    if (text.ends_with('\r')) return 1;
    return std::max(partial_character(text), partial_colour(text));
}

}  // namespace

std::string printable(std::string_view text, bool keep_newlines)
{
    std::string out;
    out.reserve(text.size());
    while (!text.empty()) {
        // Most text is copied in one piece.
        const auto* const rest = std::find_if_not(text.begin(), text.end(), is_plain_on_terminal);
        out.append(text.begin(), rest);
        text.remove_prefix(static_cast<std::size_t>(rest - text.begin()));
        if (text.empty()) break;
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

std::string PrintableStream::feed(std::string_view chunk)
{
    held_ += chunk;
    const auto whole = held_.size() - partial_end(held_);
    auto text = printable(std::string_view(held_).substr(0, whole), true);
    held_.erase(0, whole);
    return text;
}

std::string PrintableStream::finish()
{
    auto text = printable(held_, true);
    held_.clear();
    return text;
}

}  // namespace autoexec::text
