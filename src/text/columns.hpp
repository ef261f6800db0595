#pragma once

#include <cstddef>
#include <string>
#include <string_view>

/// How wide text is on a terminal.
namespace autoexec::text {

/// The columns of a character that is not a control character: 0, 1 or 2, as the C library has it.
std::size_t columns_of(char32_t c) noexcept;

/// `printable` for one line, which takes as many columns as `columns_of` counts: with spaces for
/// tabs, without invisible characters, and with at most two accents on a character.
std::string one_line(std::string_view text);

/// Of a result of `one_line`.
std::size_t columns_of(std::string_view line) noexcept;

/// The longest beginning of a result of `one_line` that fits into so many columns.
std::string_view head_columns(std::string_view line, std::size_t max_columns) noexcept;

}  // namespace autoexec::text
