#include "cli/session/screen.hpp"

#include "cli/session/output.hpp"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
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

void Screen::say(std::string_view line)
{
    clear();
    tell(stderr, "{}\n", line);
    if (mode_ == Mode::table) draw();
}

void Screen::tick()
{
    if (mode_ != Mode::table) return;
    clear();
    draw();
}

void Screen::clear()
{
    if (drawn_ == 0) return;
    write_raw(stderr, fmt::format("\r\x1b[{}A\x1b[J", drawn_));
    drawn_ = 0;
}

// In one piece, so that no half of it is seen.
void Screen::draw()
{
    const auto lines = table_(terminal_size());
    std::string text;
    for (const auto& line : lines) text += line + '\n';
    tell(stderr, text);
    drawn_ = lines.size();
}

std::size_t room_for_rows(const Screen::Size& size)
{
    return std::max<std::size_t>(size.rows, 6) - 4;
}

}  // namespace autoexec::cli
