#include "runner/display.hpp"

#include "protocol/text.hpp"
#include "runner/project.hpp"
#include "runner/tell.hpp"

#include <fmt/format.h>

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <string_view>

namespace autoexec::runner {
namespace {

using std::chrono::duration_cast;
using std::chrono::milliseconds;

struct Size {
    std::size_t columns = 80;
    std::size_t rows = 24;
};

Size terminal_size()
{
    winsize w{};
    Size size;
    if (::ioctl(STDERR_FILENO, TIOCGWINSZ, &w) == 0 && w.ws_col > 0 && w.ws_row > 0) {
        size.columns = w.ws_col;
        size.rows = w.ws_row;
    }
    return size;
}

std::string state_of(const Event& event)
{
    switch (event.type) {
        case EventType::command_detected:
        case EventType::execution_started:
            return "waiting";
        case EventType::execution_retry:
            return "retry";
        case EventType::status_updated:
        case EventType::progress_updated:
            return event.status;
        default:
            return {};
    }
}

// Of worktrees that lie together the beginning is the same for all.
std::string end_of(const std::string& path, std::size_t width)
{
    if (path.size() <= width) return path;
    auto from = path.size() - width + 1;
    while (from < path.size() && (static_cast<unsigned char>(path[from]) & 0xC0) == 0x80) ++from;
    return "…" + path.substr(from);
}

std::string_view detail(const Event& event, const char* key)
{
    const auto* const v = event.details.if_contains(key);
    return v != nullptr && v->is_string() ? std::string_view(v->get_string()) : std::string_view();
}

}  // namespace

Display::Mode Display::suitable_mode(bool quiet)
{
    if (quiet) return Mode::quiet;
    const char* const term = std::getenv("TERM");
    const bool can_move = term != nullptr && std::string_view(term) != "dumb";
    return ::isatty(STDERR_FILENO) == 1 && can_move ? Mode::table : Mode::lines;
}

void Display::publish(const Event& event)
{
    auto& row = rows_[event.execution_id];
    if (row.worktree.empty()) {
        row.execution_id = event.execution_id;
        row.worktree = shown_path(event.worktree);
        row.since = std::chrono::steady_clock::now();
    }
    row.attempt = event.attempt;
    if (const auto state = state_of(event); !state.empty()) row.state = state;
    if (event.progress) {
        row.progress = event.progress->message;
        if (event.progress->percentage > 0)
            row.progress = fmt::format("{:.0f} % {}", event.progress->percentage, row.progress);
    }
    if (mode_ == Mode::lines) plain_line(event);
}

void Display::plain_line(const Event& event)
{
    std::string what;
    switch (event.type) {
        case EventType::execution_started:
            what = event.attempt == 1 ? "started" : fmt::format("attempt {}", event.attempt);
            break;
        case EventType::execution_retry:
            what = fmt::format("attempt {} failed: {}", event.attempt, detail(event, "error"));
            break;
        case EventType::status_rejected:
            what = fmt::format("status file not believed: {}", detail(event, "reason"));
            break;
        case EventType::secret_in_command:
            what = "the command text holds a secret; use --env instead";
            break;
        default:
            return;
    }
    tell(stderr, "{} {} {}\n", short_id(event.execution_id), shown_path(event.worktree),
         protocol::printable(what));
}

void Display::say(const std::string& line)
{
    clear();
    tell(stderr, "{}\n", line);
    if (mode_ == Mode::table) draw();
}

void Display::finished(const ExecutionResult& result)
{
    ++ended_;
    rows_.erase(result.execution_id);
}

void Display::tick()
{
    if (mode_ != Mode::table) return;
    clear();
    draw();
}

void Display::clear()
{
    if (drawn_ == 0) return;
    tell(stderr, "\r\x1b[{}A\x1b[J", drawn_);
    drawn_ = 0;
}

void Display::draw()
{
    const auto size = terminal_size();
    const auto most = std::max<std::size_t>(size.rows, 6) - 4;
    const auto shown = std::min(rows_.size(), most);
    const std::size_t fixed = 9 + 9 + 8 + 4;
    const auto rest = size.columns > fixed + 20 ? size.columns - fixed - 1 : 20;
    const auto tree_width = std::min<std::size_t>(rest / 2, 40);
    std::string text;
    auto out = std::back_inserter(text);
    const auto now = std::chrono::steady_clock::now();
    for (auto it = rows_.begin(); it != std::next(rows_.begin(), static_cast<long>(shown)); ++it) {
        const auto& row = it->second;
        const auto age = protocol::format_duration(duration_cast<milliseconds>(now - row.since));
        fmt::format_to(out, "{:8} {} {:>7} #{:<2} {} {}\n", short_id(row.execution_id),
                       cell(row.state, 8), age, row.attempt,
                       cell(end_of(row.worktree, tree_width), tree_width),
                       cell(row.progress, rest - tree_width));
    }
    if (shown < rows_.size()) fmt::format_to(out, "… and {} more\n", rows_.size() - shown);
    fmt::format_to(out, "{} of {} ended, {} in flight\n", ended_, total_, rows_.size());
    tell(stderr, text);
    drawn_ = shown + (shown < rows_.size() ? 2 : 1);
}

std::string result_line(const ExecutionResult& r)
{
    auto line = fmt::format("{:9} {} {:>7}  {}", to_string(r.status), short_id(r.execution_id),
                            protocol::format_duration(r.duration), shown_path(r.worktree));
    if (r.attempts > 1) line += fmt::format("  (attempt {})", r.attempts);
    if (r.error) line += "  " + protocol::printable(r.error->message);
    return line;
}

}  // namespace autoexec::runner
