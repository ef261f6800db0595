#include "cli/session/markdown.hpp"

#include "text/columns.hpp"
#include "text/text.hpp"

#include <algorithm>

namespace autoexec::cli {
namespace {

constexpr char tick = '`';

// A span ends at a sequence of exactly as many backticks as it began with.
std::size_t longest_ticks(std::string_view text)
{
    std::size_t longest = 0;
    std::size_t length = 0;
    for (const char c : text) {
        length = c == tick ? length + 1 : 0;
        longest = std::max(longest, length);
    }
    return longest;
}

}  // namespace

std::string code_span(std::string_view text, std::size_t max_bytes)
{
    auto line = text::one_line(text);
    if (line.size() > max_bytes) line = std::string(text::head(line, max_bytes)) + "…";
    if (line.find_first_not_of(' ') == line.npos) return {};
    const std::string fence(longest_ticks(line) + 1, tick);
    // A space at both ends is not part of the text.
    const bool needs_space =
        line.front() == tick || line.back() == tick || (line.front() == ' ' && line.back() == ' ');
    const std::string space(needs_space ? 1 : 0, ' ');
    return fence + space + line + space + fence;
}

std::string table_code_span(std::string_view text, std::size_t max_bytes)
{
    std::string out;
    for (const char c : code_span(text, max_bytes))
        if (c == '|')
            out += "¦";
        else
            out += c;
    return out;
}

}  // namespace autoexec::cli
