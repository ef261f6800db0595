#pragma once

#include "cli/cli.hpp"

#include <boost/json/value.hpp>

#include <fmt/format.h>

#include <cstddef>
#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

/// The only ways to the terminal: messages on standard error, results on standard output. Control
/// characters are made visible, except line ends and tabs: text from outside (paths, ids, messages
/// of agents) cannot move the cursor. The table of a `Screen` is hidden meanwhile.
///
/// All is written at once. A failed write does not throw, because it must not stop a command that
/// is running: `main` asks `result_error`. `autoexec agent` logs its messages, with times, instead.
///
/// Thread safety: none.
namespace autoexec::cli {

void print_message(std::string_view text);
void print_result(std::string_view text);

template <class... T>
void print_message(fmt::format_string<T...> format, T&&... values) requires(sizeof...(T) > 0)
{
    print_message(std::string_view(fmt::format(format, std::forward<T>(values)...)));
}

template <class... T>
void print_result(fmt::format_string<T...> format, T&&... values) requires(sizeof...(T) > 0)
{
    print_result(std::string_view(fmt::format(format, std::forward<T>(values)...)));
}

/// The same for bytes that are printed as they are: of a file for other programs, or safe already.
void print_exact_result(std::string_view bytes);

/// Prints a message unless the same one was printed in this way before: for what concerns no
/// command alone.
void print_notice(std::string_view text);
/// The same for `warning: TEXT`, in one line.
void print_warning(std::string_view text);

/// Prints a line with a state in `width` columns, which is coloured where colours are shown.
void print_state_line(std::string_view before, std::string_view state, std::size_t width,
                      std::string_view after);

/// Prints a result as one line of JSON, or by the template.
void print_json(const boost::json::value& value);
/// For all further results. Throws `Failure` if it is malformed.
void set_result_template(std::string_view text);
/// Prints which keys of the template no result had; false if there are such keys.
bool check_result_template();
/// Whether one was printed.
bool has_printed_json() noexcept;

/// Prints each problem as a message `SUBJECT: PROBLEM` of one line, then the advice. `subject`:
/// `autoexec SUBCOMMAND`.
void print_failure(std::string_view subject, const Failure& failure);

/// Prints an error as a JSON result. Without problems, its message is the last one that was
/// printed.
void print_json_error(const Failure& failure);

/// Throws a `Failure` with one problem.
template <class... T>
[[noreturn]] void fail(ExitCode code, fmt::format_string<T...> format, T&&... values)
{
    throw Failure(code, {fmt::format(format, std::forward<T>(values)...)});
}

/// Sends control sequences that neither move the cursor nor print anything to the terminal on
/// standard error; nothing if there is none.
void send_to_terminal(std::string_view bytes);

/// The `errno` of the first result that could not be written, or zero. That the reader has ended is
/// an error only after `require_reader`.
int result_error();
/// For results that are written in another way: zero or an `errno`.
void record_result_error(int error);

/// Called by what runs commands or changes something: its results must not be lost unnoticed.
void require_reader() noexcept;

/// Progress on standard error: on a terminal, a table below the messages, redrawn periodically. At
/// most one exists at a time.
class Screen {
public:
    enum class Mode { quiet, lines, table };
    static Mode suitable_mode(bool quiet);

    struct Size {
        std::size_t columns = 80;
        std::size_t rows = 24;
    };
    /// The lines of the current table, none wider than the terminal.
    using Table = std::function<std::vector<std::string>(const Size&)>;

    Screen(Mode mode, Table table);
    ~Screen();
    Screen(const Screen&) = delete;
    Screen& operator=(const Screen&) = delete;

    [[nodiscard]] Mode mode() const noexcept { return mode_; }

    /// Draws the table, in place of the previous one.
    void redraw();
    /// Removes the table; true if there was one.
    bool hide();

private:
    Mode mode_;
    Table table_;
    std::size_t drawn_ = 0;
};

/// How many rows of a table fit on the terminal besides other lines.
std::size_t room_for_rows(const Screen::Size& size);

}  // namespace autoexec::cli
