#include "support/terminal.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cstdlib>
#include <utility>

namespace autoexec::test {

std::vector<std::string> shown(const std::string& sent)
{
    std::vector<std::string> lines(1);
    std::size_t row = 0;
    for (std::size_t i = 0; i < sent.size(); ++i) {
        if (sent[i] == '\n') {
            if (++row == lines.size()) lines.emplace_back();
        } else if (sent[i] == '\x1b') {
            REQUIRE(sent.substr(i + 1, 1) == "[");
            const auto end = sent.find_first_not_of("0123456789;", i + 2);
            REQUIRE(end != sent.npos);
            const auto count = static_cast<std::size_t>(std::atoi(sent.c_str() + i + 2));
            if (sent[end] == 'A') {
                REQUIRE(count <= row);
                row -= count;
            } else if (sent[end] != 'm') {  // a colour
                REQUIRE(sent.substr(i, end + 1 - i) == "\x1b[J");
                lines.resize(row + 1);
                lines.back().clear();
            }
            i = end;
        } else if (sent[i] != '\r') {
            lines[row] += sent[i];
        }
    }
    return lines;
}

bool FullScreenView::has(std::string_view part) const
{
    return count_of(lines, part) > 0;
}

FullScreenView full_screen(const std::string& sent)
{
    FullScreenView view;
    std::string outside;
    auto* line = &outside;
    for (std::size_t i = 0; i < sent.size(); ++i) {
        if (sent[i] != '\x1b') {
            *line += sent[i];
            continue;
        }
        if (i + 1 == sent.size()) break;  // the rest has not arrived
        if (sent[i + 1] != '[') FAIL("not a known sequence: " << sent.substr(i + 1, 5));
        const auto end = sent.find_first_not_of("0123456789;?", i + 2);
        if (end == sent.npos) break;
        const auto sequence = sent.substr(i + 2, end - i - 1);
        i = end;
        if (sequence.ends_with('H')) {
            const auto row = static_cast<std::size_t>(std::atoi(sequence.c_str()));
            if (view.lines.size() < row) view.lines.resize(row);
            line = &view.lines[row - 1];
            if (sequence.ends_with(";1H")) line->clear();  // a line is sent whole
        } else if (sequence == "2J") {
            view.lines.clear();
            line = &outside;
        } else if (sequence == "?1049h" || sequence == "?1049l") {
            view.entered = sequence.back() == 'h';
            line = &outside;
        } else if (sequence == "?25h" || sequence == "?25l") {
            view.cursor = sequence.back() == 'h';
        } else {
            const bool is_known = sequence.ends_with('m') || sequence.starts_with("?7") ||
                                  sequence.starts_with("?2004");
            if (!is_known) FAIL("not a known sequence: " << sequence);
        }
    }
    for (auto& shown_line : view.lines) shown_line.erase(shown_line.find_last_not_of(' ') + 1);
    return view;
}

std::size_t count_of(const std::vector<std::string>& lines, std::string_view part)
{
    return static_cast<std::size_t>(std::count_if(
        lines.begin(), lines.end(), [&](const auto& line) { return contains(line, part); }));
}

Start on_terminal(const Project& project, Words words)
{
    auto start = project.start(std::move(words));
    start.terminal = true;
    return start;
}

}  // namespace autoexec::test
