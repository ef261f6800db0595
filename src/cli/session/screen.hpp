#pragma once

#include <cstddef>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace autoexec::cli {

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
    void draw();

    Mode mode_;
    Table table_;
    std::size_t drawn_ = 0;
};

/// How many rows of a table fit on the terminal besides other lines.
std::size_t room_for_rows(const Screen::Size& size);

}  // namespace autoexec::cli
