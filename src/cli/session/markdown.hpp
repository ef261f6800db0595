#pragma once

#include <cstddef>
#include <string>
#include <string_view>

/// Text from outside in Markdown. Pure.
namespace autoexec::cli {

inline constexpr std::size_t max_code_span = 300;

/// One line as a code span, in which no character has a meaning: no markup, HTML, link, mention or
/// reference. Without control characters; at most `max_bytes`. Empty for an empty text.
std::string code_span(std::string_view text, std::size_t max_bytes = max_code_span);

/// The same in a table, whose cells end at a vertical bar even there: it becomes a broken bar.
std::string table_code_span(std::string_view text, std::size_t max_bytes = max_code_span);

}  // namespace autoexec::cli
