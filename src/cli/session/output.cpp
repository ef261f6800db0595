#include "cli/session/output.hpp"

#include "cli/session/screen.hpp"
#include "text/json.hpp"
#include "text/text.hpp"

#include <cerrno>
#include <cstdio>

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

void print_json(const boost::json::value& value)
{
    print_result("{}\n", text::dump_line(value));
}

void print_error_line(std::string_view subcommand, std::string_view problem)
{
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

void write_terminal(std::string_view bytes)
{
    (void)write_at_once(stderr, bytes);
}

void set_screen(Screen* screen)
{
    active_screen = screen;
}

}  // namespace autoexec::cli
