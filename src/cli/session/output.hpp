#pragma once

#include "text/text.hpp"

#include <fmt/format.h>

#include <cstdio>
#include <string_view>
#include <utility>

/// The only ways to the terminal. Text from outside (paths, ids, an agent's words) passes no escape
/// sequence through them: control characters are made visible, but for line ends and tabs.
namespace autoexec::cli {

/// Prints at once. Whoever reads may be gone, and that must not stop a command that runs: what
/// can't be written is lost, which `main` finds out for standard output.
inline void tell(std::FILE* to, std::string_view text)
{
    const auto safe = text::printable(text, true);
    (void)std::fwrite(safe.data(), 1, safe.size(), to);
    (void)std::fflush(to);
}

template <class... T>
void tell(std::FILE* to, fmt::format_string<T...> format, T&&... values) requires(sizeof...(T) > 0)
{
    tell(to, std::string_view(fmt::format(format, std::forward<T>(values)...)));
}

/// For verbs that only print: buffered, and throws when it can't be written.
template <class... T>
void print_text(std::FILE* to, fmt::format_string<T...> format, T&&... values)
{
    fmt::print(to, "{}", text::printable(fmt::format(format, std::forward<T>(values)...), true));
}

/// Moves the cursor or draws: exactly these bytes, at once.
inline void write_raw(std::FILE* to, std::string_view text)
{
    (void)std::fwrite(text.data(), 1, text.size(), to);
    (void)std::fflush(to);
}

}  // namespace autoexec::cli
