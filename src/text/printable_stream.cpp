#include "text/printable_stream.hpp"

#include "text/text.hpp"

#include <algorithm>

namespace autoexec::text {
namespace {

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
