#include "cli/top/full_screen.hpp"

#include "cli/session/color.hpp"
#include "files/safe_files.hpp"

#include <sys/ioctl.h>

#include <fcntl.h>
#include <termios.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <string_view>
#include <utility>

namespace autoexec::cli {
namespace {

// The other screen, without the wrapping of lines; pasted text is marked.
constexpr std::string_view enter_bytes = "\x1b[?1049h\x1b[?7l\x1b[?2004h";
constexpr std::string_view leave_bytes = "\x1b[m\x1b[?2004l\x1b[?7h\x1b[?25h\x1b[?1049l";
constexpr std::array fatal_signals = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT};

// For signal handlers.
termios usual_modes;
volatile std::sig_atomic_t is_entered = 0;

void set_modes(const termios& modes) noexcept
{
    while (::tcsetattr(STDIN_FILENO, TCSANOW, &modes) != 0 && errno == EINTR) {
    }
}

// Uses only what a signal handler may.
void restore() noexcept
{
    if (is_entered == 0) return;
    is_entered = 0;
    (void)!::write(STDOUT_FILENO, leave_bytes.data(), leave_bytes.size());
    set_modes(usual_modes);
}

void restore_and_die(int signal)
{
    restore();
    (void)std::raise(signal);  // blocked until the handler returns, and reset to its default action
}

void catch_fatal_signals()
{
    struct sigaction action {};
    action.sa_handler = restore_and_die;
    action.sa_flags = SA_RESETHAND;
    for (const int signal : fatal_signals) {
        struct sigaction now {};
        // A sanitizer may have its own.
        if (::sigaction(signal, nullptr, &now) == 0 && now.sa_handler == SIG_DFL)
            ::sigaction(signal, &action, nullptr);
    }
}

}  // namespace

FullScreen::FullScreen() : colours_(shows_color(STDOUT_FILENO))
{
    if (::isatty(STDIN_FILENO) != 1 || ::isatty(STDOUT_FILENO) != 1)
        fail(exit_usage,
             "standard input and output must be a terminal; autoexec status and autoexec attach "
             "need "
             "none");
    const char* const term = std::getenv("TERM");
    if (term == nullptr || *term == '\0' || std::string_view(term) == "dumb")
        fail(exit_usage,
             "this terminal cannot move its cursor (TERM={}); autoexec status and autoexec attach "
             "work on it",
             term == nullptr ? "" : term);
    if (::tcgetattr(STDIN_FILENO, &usual_modes) != 0)
        fail(exit_internal, "cannot read the modes of the terminal: {}", std::strerror(errno));
    catch_fatal_signals();
}

FullScreen::~FullScreen()
{
    leave();
}

int FullScreen::open_keys()
{
    const int keys = ::open("/dev/tty", O_RDONLY | O_NOCTTY | O_CLOEXEC);
    if (keys < 0) fail(exit_internal, "cannot open the terminal: {}", std::strerror(errno));
    return keys;
}

Screen::Size FullScreen::size()
{
    winsize w{};
    Screen::Size size;
    if (::ioctl(STDOUT_FILENO, TIOCGWINSZ, &w) == 0 && w.ws_col > 0 && w.ws_row > 0) {
        size.columns = w.ws_col;
        size.rows = w.ws_row;
    }
    return size;
}

void FullScreen::draw(Frame frame)
{
    const auto bytes = redraw(shown_ ? &*shown_ : nullptr, frame, size(), colours_);
    (void)files::write_all(STDOUT_FILENO, bytes);
    shown_ = std::move(frame);
}

void FullScreen::enter()
{
    auto modes = usual_modes;
    modes.c_lflag &= ~static_cast<tcflag_t>(ICANON | ECHO | IEXTEN);
    modes.c_iflag &= ~static_cast<tcflag_t>(IXON);  // Ctrl-S must not stop the output
    modes.c_cc[VMIN] = 1;
    modes.c_cc[VTIME] = 0;
    is_entered = 1;
    set_modes(modes);
    (void)files::write_all(STDOUT_FILENO, enter_bytes);
    forget();
}

void FullScreen::leave()
{
    restore();
}

}  // namespace autoexec::cli
