#include "cli/session/output.hpp"

#include "cli/session/color.hpp"
#include "cli/session/result_template.hpp"
#include "text/columns.hpp"
#include "text/json.hpp"
#include "text/text.hpp"

#include <fmt/ranges.h>

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <optional>
#include <set>

namespace autoexec::cli {
namespace {

Screen* active_screen = nullptr;
int first_result_error = 0;
bool reader_required = false;
bool json_printed = false;
std::optional<ResultTemplate> result_template;
std::string last_message;  // for an error whose reason was printed already
std::set<std::string, std::less<>> printed_notices;

// Returns zero or the `errno`.
int write_at_once(std::FILE* to, std::string_view bytes)
{
    const bool written =
        std::fwrite(bytes.data(), 1, bytes.size(), to) == bytes.size() && std::fflush(to) == 0;
    return written ? 0 : errno;
}

// `text` is safe to show.
int print_above_table(std::FILE* to, std::string_view text)
{
    if (text.empty()) return 0;
    const bool drawn = active_screen != nullptr && active_screen->hide();
    const int error = write_at_once(to, text);
    if (drawn) active_screen->redraw();
    return error;
}

int print_safely(std::FILE* to, std::string_view text)
{
    return print_above_table(to, text::printable(text, true));
}

std::string cut(const std::string& line, std::size_t columns)
{
    auto shown = text::one_line(line);
    if (text::columns_of(shown) > columns)
        shown = std::string(text::head_columns(shown, columns - 1)) + "…";
    return shown;
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
    last_message = text;
    (void)print_safely(stderr, text);
}

void print_notice(std::string_view text)
{
    if (printed_notices.emplace(text).second) print_message(text);
}

void print_warning(std::string_view text)
{
    print_notice(fmt::format("warning: {}\n", text::printable(text)));
}

void print_result(std::string_view text)
{
    record_result_error(print_safely(stdout, text));
}

void print_state_line(std::string_view before, std::string_view state, std::size_t width,
                      std::string_view after)
{
    const auto line = text::printable(before) + colored_state(state, width, STDOUT_FILENO) +
                      text::printable(after) + '\n';
    record_result_error(print_above_table(stdout, line));
}

void print_exact_result(std::string_view bytes)
{
    record_result_error(write_at_once(stdout, bytes));
}

void send_to_terminal(std::string_view bytes)
{
    if (::isatty(STDERR_FILENO) == 1) (void)write_at_once(stderr, bytes);
}

void print_json(const boost::json::value& value)
{
    json_printed = true;
    const auto* const object = value.if_object();
    if (result_template && object != nullptr)
        print_result("{}\n", result_template->fill(*object));
    else
        print_result("{}\n", text::dump_line(value));
}

void set_result_template(std::string_view text)
{
    result_template.emplace(text);
}

bool check_result_template()
{
    if (!result_template) return true;
    const auto missing = result_template->missing();
    if (!missing.empty())
        print_message("autoexec: --format: no result has '{}'; the keys are {}\n",
                      text::printable(fmt::format("{}", fmt::join(missing, "', '"))),
                      fmt::join(result_template->known(), ", "));
    return missing.empty();
}

bool has_printed_json() noexcept
{
    return json_printed;
}

void print_failure(std::string_view subject, const Failure& failure)
{
    for (const auto& problem : failure.problems)
        print_message("{}: {}\n", subject, text::printable(problem));
    if (!failure.advice.empty()) print_message(failure.advice);
}

void print_json_error(const Failure& failure)
{
    auto message = failure.problems.empty() ? last_message
                                            : fmt::format("{}", fmt::join(failure.problems, "\n"));
    message.erase(message.find_last_not_of('\n') + 1);
    boost::json::object error;
    error["error"] = message;
    error["error_code"] =
        failure.error_code.empty() ? std::string(error_code_of(failure.code)) : failure.error_code;
    error["exit_code"] = static_cast<int>(failure.code);
    print_json(error);
}

std::string_view error_code_of(ExitCode code) noexcept
{
    switch (code) {
        case exit_usage:
            return "usage";
        case exit_invalid:
            return "invalid_file";
        case exit_internal:
            return "internal";
        case exit_unhealthy:
            return "unhealthy";
        case exit_input:
            return "input_needed";
        case exit_timeout:
            return "timeout";
        case exit_cancelled:
            return "cancelled";
        case exit_completed:
        case exit_failed:
            break;
    }
    return "failed";
}

int result_error()
{
    // The command-line library prints the help itself.
    if (first_result_error == 0 && std::fflush(stdout) != 0) first_result_error = errno;
    if (first_result_error == 0 && std::ferror(stdout) != 0) first_result_error = EIO;
    return first_result_error == EPIPE && !reader_required ? 0 : first_result_error;
}

void record_result_error(int error)
{
    if (first_result_error == 0) first_result_error = error;
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
    const auto size = terminal_size();
    const auto lines = table_(size);
    std::string text;
    // A line that the terminal wraps would be two when it is removed.
    for (const auto& line : lines) text += cut(line, size.columns) + '\n';
    (void)write_at_once(stderr, text);
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
