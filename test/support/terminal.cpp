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
            } else {
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
