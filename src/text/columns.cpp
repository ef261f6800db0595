#include "text/columns.hpp"

#include "text/text.hpp"

#include <locale.h>
#include <wchar.h>

#include <algorithm>

namespace autoexec::text {
namespace {

constexpr std::size_t tab_width = 8;
constexpr int max_accents = 2;

// The program does not set the locale of its environment: its output is always UTF-8.
locale_t utf8_locale() noexcept
{
    static const locale_t locale = ::newlocale(LC_CTYPE_MASK, "C.UTF-8", nullptr);
    return locale;
}

// Joiners, variation selectors and tags: terminals disagree about their effect on the width.
bool is_invisible(char32_t c) noexcept
{
    return (c >= 0x200B && c <= 0x200F) || (c >= 0x2060 && c <= 0x206F) ||
           (c >= 0xFE00 && c <= 0xFE0F) || c == 0xFEFF || (c >= 0xE0000 && c <= 0xE0FFF);
}

bool is_plain(std::string_view line) noexcept
{
    return std::all_of(line.begin(), line.end(), [](char c) { return c >= ' ' && c <= '~'; });
}

}  // namespace

std::size_t columns_of(char32_t c) noexcept
{
    if (c < 0x300) return 1;
    const auto locale = utf8_locale();
    if (locale == nullptr) return 1;
    const auto before = ::uselocale(locale);
    const int columns = ::wcwidth(static_cast<wchar_t>(c));
    ::uselocale(before);
    return columns < 0 ? 1 : static_cast<std::size_t>(columns);
}

std::string one_line(std::string_view text)
{
    auto shown = printable(text);
    if (is_plain(shown)) return shown;
    std::string line;
    std::size_t columns = 0;
    int accents = max_accents;  // none on what is left of the line
    for (std::string_view rest = shown; !rest.empty();) {
        const auto step = decode_utf8(rest);
        const auto character = rest.substr(0, step.length);
        rest.remove_prefix(step.length);
        if (step.code_point == '\t') {
            const auto spaces = tab_width - columns % tab_width;
            line.append(spaces, ' ');
            columns += spaces;
            continue;
        }
        const auto width = columns_of(step.code_point);
        accents = width > 0 ? 0 : accents + 1;
        if (is_invisible(step.code_point) || accents > max_accents) continue;
        line += character;
        columns += width;
    }
    return line;
}

std::size_t columns_of(std::string_view line) noexcept
{
    std::size_t columns = 0;
    while (!line.empty()) {
        const auto step = decode_utf8(line);
        columns += columns_of(step.code_point);
        line.remove_prefix(step.length);
    }
    return columns;
}

std::string_view head_columns(std::string_view line, std::size_t max_columns) noexcept
{
    std::size_t columns = 0;
    std::size_t length = 0;
    while (length < line.size()) {
        const auto step = decode_utf8(line.substr(length));
        columns += columns_of(step.code_point);
        if (columns > max_columns) break;
        length += step.length;
    }
    return line.substr(0, length);
}

}  // namespace autoexec::text
