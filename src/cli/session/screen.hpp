#pragma once

#include <cstddef>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace autoexec::cli {

/// What a person sees of work that goes on: lines that stay, and on a terminal a table below them
/// that is drawn anew. On standard error; the results go to standard output.
class Screen {
public:
    enum class Mode { quiet, lines, table };
    static Mode suitable_mode(bool quiet);

    struct Size {
        std::size_t columns = 80;
        std::size_t rows = 24;
    };
    /// The table as it is now, one line each, none longer than the terminal is wide.
    using Table = std::function<std::vector<std::string>(const Size&)>;

    Screen(Mode mode, Table table) : mode_(mode), table_(std::move(table)) {}

    [[nodiscard]] Mode mode() const noexcept { return mode_; }

    /// Shows a line for good, above the table.
    void say(std::string_view line);

    /// Draws the table anew.
    void tick();
    /// Takes it away.
    void clear();

private:
    void draw();

    Mode mode_;
    Table table_;
    std::size_t drawn_ = 0;
};

/// How many rows of a table there is room for, below and above what else is on the terminal.
std::size_t room_for_rows(const Screen::Size& size);

}  // namespace autoexec::cli
