#pragma once

#include "cli/session/output.hpp"
#include "cli/top/frame.hpp"

#include <optional>

namespace autoexec::cli {

/// The terminal while a program uses all of it, and gets each key. At most one exists.
///
/// The terminal is restored by the destructor, and by signals that end the process at once after an
/// error in it. Other signals are up to the caller.
class FullScreen {
public:
    /// Does not change the terminal yet. Fails if standard input and output are none, or one that
    /// cannot move its cursor.
    FullScreen();
    ~FullScreen();
    FullScreen(const FullScreen&) = delete;
    FullScreen& operator=(const FullScreen&) = delete;

    /// Opens the terminal again, for reading keys: other processes share the flags of standard
    /// input. The caller owns the descriptor.
    [[nodiscard]] static int open_keys();

    [[nodiscard]] static Screen::Size size();

    /// Shows a frame by what has changed since the last one.
    void draw(Frame frame);
    /// Draws everything next time: the terminal has another size, or something else has written.
    void forget() { shown_.reset(); }

    void enter();
    /// Gives the terminal back, for example before the process is suspended.
    static void leave();

private:
    bool colours_;
    std::optional<Frame> shown_;
};

}  // namespace autoexec::cli
