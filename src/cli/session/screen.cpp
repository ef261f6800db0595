#include "cli/session/screen.hpp"

#include "cli/session/output.hpp"
#include "text/text.hpp"

#include <fmt/format.h>

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>

namespace autoexec::cli {
namespace {

Screen::Size terminal_size()
{
    winsize w{};
    Screen::Size size;
    if (::ioctl(STDERR_FILENO, TIOCGWINSZ, &w) == 0 && w.ws_col > 0 && w.ws_row > 0) {
        size.columns = w.ws_col;
        size.rows = w.ws_row;
    }
    return size;
}

}  // namespace

Screen::Mode Screen::suitable_mode(bool quiet)
{
    if (quiet) return Mode::quiet;
    const char* const term = std::getenv("TERM");
    const bool can_move = term != nullptr && std::string_view(term) != "dumb";
    return ::isatty(STDERR_FILENO) == 1 && can_move ? Mode::table : Mode::lines;
}

Screen::Screen(Mode mode, Table table) : mode_(mode), table_(std::move(table))
{
    set_screen(this);
}

Screen::~Screen()
{
    set_screen(nullptr);
}

void Screen::redraw()
{
    if (mode_ != Mode::table) return;
    hide();
    draw();
}

bool Screen::hide()
{
    if (drawn_ == 0) return false;
    write_terminal(fmt::format("\r\x1b[{}A\x1b[J", drawn_));
    drawn_ = 0;
    return true;
}

// One write, so that no part of the table is visible alone.
void Screen::draw()
{
    const auto lines = table_(terminal_size());
    std::string text;
    for (const auto& line : lines) text += line + '\n';
    write_terminal(text::printable(text, true));
    drawn_ = lines.size();
}

std::size_t room_for_rows(const Screen::Size& size)
{
    return std::max<std::size_t>(size.rows, 6) - 4;
}

}  // namespace autoexec::cli
