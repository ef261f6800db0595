#pragma once

#include <boost/json/value.hpp>

#include <fmt/format.h>

#include <string_view>
#include <utility>

/// The only ways to the terminal: messages on standard error, results on standard output. Control
/// characters are made visible, except line ends and tabs: text from outside (paths, ids, messages
/// of agents) cannot move the cursor. The table of a `Screen` is hidden meanwhile.
///
/// All is written at once. A failed write does not throw, because it must not stop a command that
/// is running: `main` asks `result_error`. `autoexec agent` logs its messages, with times, instead.
///
/// Thread safety: none.
namespace autoexec::cli {

class Screen;

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

/// Prints a result as one line of JSON.
void print_json(const boost::json::value& value);

/// Prints the message `autoexec SUBCOMMAND: PROBLEM` as one line.
void print_error_line(std::string_view subcommand, std::string_view problem);

template <class... T>
void print_error(std::string_view subcommand, fmt::format_string<T...> format, T&&... values)
{
    print_error_line(subcommand, fmt::format(format, std::forward<T>(values)...));
}

/// The `errno` of the first result that could not be written, or zero. That the reader has ended is
/// an error only after `require_reader`.
int result_error();

/// Called by what runs commands or changes something: its results must not be lost unnoticed.
void require_reader() noexcept;

/// For `Screen`: exactly these bytes, to standard error.
void write_terminal(std::string_view bytes);
/// The screen to hide; null: none.
void set_screen(Screen* screen);

}  // namespace autoexec::cli
