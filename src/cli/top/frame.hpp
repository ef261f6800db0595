#pragma once

#include "cli/session/output.hpp"

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

namespace autoexec::cli {

/// How a line looks. What it means is in its text, too: some terminals show no colours.
enum class Style { plain, heading, selected, attention, failure, faint, found };

struct Line {
    std::string text{};  ///< Any text; what does not fit is cut.
    Style style = Style::plain;

    bool operator==(const Line&) const = default;
};

/// What a full-screen program shows.
struct Frame {
    struct Position {
        std::size_t row = 0;
        std::size_t column = 0;

        bool operator==(const Position&) const = default;
    };

    std::vector<Line> lines{};
    std::optional<Position> cursor{};  ///< Hidden without.
};

/// What must be sent to a terminal that shows `before`, so that it shows `now`. Null: anything may
/// be there. No control character of a line's text is sent.
std::string redraw(const Frame* before, const Frame& now, const Screen::Size& size, bool colours);

}  // namespace autoexec::cli
