#include "cli/session/output.hpp"

#include "text/json.hpp"
#include "text/text.hpp"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>

namespace autoexec::cli {
namespace {

Screen* active_screen = nullptr;
int first_result_error = 0;
bool reader_required = false;

// Returns zero or the `errno`.
int write_at_once(std::FILE* to, std::string_view bytes)
{
    const bool written =
        std::fwrite(bytes.data(), 1, bytes.size(), to) == bytes.size() && std::fflush(to) == 0;
    return written ? 0 : errno;
}

int print_safely(std::FILE* to, std::string_view text)
{
    if (text.empty()) return 0;
    const bool drawn = active_screen != nullptr && active_screen->hide();
    const int error = write_at_once(to, text::printable(text, true));
    if (drawn) active_screen->redraw();
    return error;
}

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

void print_message(std::string_view text)
{
    (void)print_safely(stderr, text);
}

void print_result(std::string_view text)
{
    const int error = print_safely(stdout, text);
    if (first_result_error == 0) first_result_error = error;
}

void print_exact_result(std::string_view bytes)
{
    const int error = write_at_once(stdout, bytes);
    if (first_result_error == 0) first_result_error = error;
}

void send_to_terminal(std::string_view bytes)
{
    if (::isatty(STDERR_FILENO) == 1) (void)write_at_once(stderr, bytes);
}

void print_json(const boost::json::value& value)
{
    print_result("{}\n", text::dump_line(value));
}

void print_errors(std::string_view subcommand, const std::vector<std::string>& problems)
{
    for (const auto& problem : problems)
        print_message("autoexec {}: {}\n", subcommand, text::printable(problem));
}

int result_error()
{
    // The command-line library prints the help itself.
    if (first_result_error == 0 && std::fflush(stdout) != 0) first_result_error = errno;
    if (first_result_error == 0 && std::ferror(stdout) != 0) first_result_error = EIO;
    return first_result_error == EPIPE && !reader_required ? 0 : first_result_error;
}

void require_reader() noexcept
{
    reader_required = true;
}

Screen::Mode Screen::suitable_mode(bool quiet)
{
    if (quiet) return Mode::quiet;
    const char* const term = std::getenv("TERM");
    const bool can_move = term != nullptr && std::string_view(term) != "dumb";
    return ::isatty(STDERR_FILENO) == 1 && can_move ? Mode::table : Mode::lines;
}

Screen::Screen(Mode mode, Table table) : mode_(mode), table_(std::move(table))
{
    active_screen = this;
}

Screen::~Screen()
{
    active_screen = nullptr;
}

// One write, so that no part of the table is visible alone.
void Screen::redraw()
{
    if (mode_ != Mode::table) return;
    hide();
    const auto lines = table_(terminal_size());
    std::string text;
    for (const auto& line : lines) text += line + '\n';
    (void)write_at_once(stderr, text::printable(text, true));
    drawn_ = lines.size();
}

bool Screen::hide()
{
    if (drawn_ == 0) return false;
    (void)write_at_once(stderr, fmt::format("\r\x1b[{}A\x1b[J", drawn_));
    drawn_ = 0;
    return true;
}

std::size_t room_for_rows(const Screen::Size& size)
{
    return std::max<std::size_t>(size.rows, 6) - 4;
}

}  // namespace autoexec::cli
