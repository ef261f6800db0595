#include "cli/top/frame.hpp"

#include "cli/session/color.hpp"
#include "cli/session/project.hpp"

#include <fmt/format.h>

#include <string_view>

namespace autoexec::cli {
namespace {

constexpr char hide_cursor[] = "\x1b[?25l";
constexpr char show_cursor[] = "\x1b[?25h";
constexpr char clear_screen[] = "\x1b[2J";

// The parameters of a graphic rendition; empty: the usual one.
std::string_view rendition_of(Style style, bool colours)
{
    switch (style) {
        case Style::heading:
            return renditions::bold;
        case Style::selected:
            return "7";
        case Style::attention:
            return colours ? renditions::bold_yellow : renditions::bold;
        case Style::failure:
            return colours ? renditions::red : std::string_view();
        case Style::faint:
            return colours ? "2" : "";
        case Style::found:
            return "4";
        case Style::plain:
            break;
    }
    return {};
}

const Line& line_at(const Frame& frame, std::size_t row)
{
    static const Line blank;
    return row < frame.lines.size() ? frame.lines[row] : blank;
}

}  // namespace

std::string redraw(const Frame* before, const Frame& now, const Screen::Size& size, bool colours)
{
    std::string bytes;
    for (std::size_t row = 0; row < size.rows; ++row) {
        const auto& line = line_at(now, row);
        if (before != nullptr && line_at(*before, row) == line) continue;
        bytes += fmt::format("\x1b[{};1H", row + 1);
        bytes += with_rendition(cell(line.text, size.columns), rendition_of(line.style, colours));
    }
    if (before != nullptr && bytes.empty() && before->cursor == now.cursor) return {};
    if (before == nullptr) bytes.insert(0, clear_screen);
    bytes.insert(0, hide_cursor);
    if (now.cursor)
        bytes +=
            fmt::format("\x1b[{};{}H{}", now.cursor->row + 1, now.cursor->column + 1, show_cursor);
    return bytes;
}

}  // namespace autoexec::cli
