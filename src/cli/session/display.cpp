#include "cli/session/display.hpp"

#include "cli/session/output.hpp"
#include "cli/session/project.hpp"
#include "cli/session/questions.hpp"
#include "protocol/usage.hpp"
#include "text/columns.hpp"
#include "text/text.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <iterator>
#include <string_view>
#include <utility>

namespace autoexec::cli {
namespace {

using std::chrono::duration_cast;
using std::chrono::milliseconds;

// On narrower terminals, rows have neither worktree nor attempt.
constexpr std::size_t min_wide = 60;
constexpr std::size_t max_excerpt = 10;
constexpr std::size_t max_excerpt_columns = 160;

// Paths of worktrees mostly share their beginning, so the end is shown.
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

std::string duration_text(std::chrono::steady_clock::duration duration)
{
    return text::format_duration(duration_cast<milliseconds>(duration));
}

bool is_wait(EventType type)
{
    return type == EventType::waiting_for_agent || type == EventType::waiting_for_resume;
}

}  // namespace

Display::Display(Screen::Mode mode, std::size_t total)
    : screen_(mode, [this](const Screen::Size& size) { return table(size); }),
      total_(total),
      begin_(std::chrono::steady_clock::now())
{}

void Display::publish(const Event& event)
{
    if (event.type == EventType::execution_interrupted) return;  // of another run
    auto& row = rows_[event.execution_id];
    if (row.worktree.empty()) {
        row.execution_id = event.execution_id;
        row.worktree = event.worktree;
        row.command = event.command;
        row.since = std::chrono::steady_clock::now();
    }
    row.attempt = event.attempt;
    if (const auto state = state_of(event); !state.empty()) row.state = state;
    row.progress = progress_after(event, std::move(row.progress));
    row.asks = asks_after(event, std::move(row.asks));
    const bool was_queued = queue_.contains(event.execution_id);
    queue_.publish(event);
    if (was_queued && !queue_.contains(event.execution_id))
        row.since = std::chrono::steady_clock::now();
    if (!is_line(screen_.mode(), event) || repeats_wait(event, last_wait_)) return;
    const auto place = queue_.place_of(event.execution_id);
    const auto what =
        place > 0 ? fmt::format("queued {}: {}", place, event.command) : sentence_of(event);
    if (!what.empty())
        print_message("{} {} {}\n", short_id(event.execution_id), shown_path(event.worktree),
                      text::printable(what));
}

void Display::finished(const ExecutionResult& result)
{
    ++ended_;
    rows_.erase(result.execution_id);
    queue_.erase(result.execution_id);
}

std::vector<std::string> Display::table(const Screen::Size& size) const
{
    const auto now = std::chrono::steady_clock::now();
    const auto room = room_for_rows(size);
    std::vector<std::string> lines;
    for (const auto& [id, row] : rows_)
        if (lines.size() < room && !queue_.contains(id))
            lines.push_back(row_line(row, 0, now, size.columns));
    std::size_t place = 0;
    for (const auto& id : queue_.first(std::min(max_queued_rows, room - lines.size())))
        lines.push_back(row_line(rows_.at(id), ++place, now, size.columns));
    if (lines.size() < rows_.size())
        lines.push_back(fmt::format("… and {} more", rows_.size() - lines.size()));
    const auto active = rows_.size() - queue_.size();
    const auto waiting = total_ - std::min(total_, ended_ + active);
    lines.push_back(fmt::format("{}: {} of {} {}, {} active{}", duration_text(now - begin_), ended_,
                                total_, size.columns < min_wide ? "done" : "finished", active,
                                waiting > 0 ? fmt::format(", {} waiting", waiting) : ""));
    return lines;
}

std::string Display::row_line(const Row& row, std::size_t place,
                              std::chrono::steady_clock::time_point now, std::size_t columns)
{
    auto line = fmt::format("{:8} {} {:>7} ", short_id(row.execution_id),
                            cell(state_in_table(row.state, row.asks, place), 8),
                            duration_text(now - row.since));
    constexpr std::size_t fixed = 9 + 9 + 8;
    constexpr std::size_t attempt = 4;
    std::size_t rest = columns > fixed + 1 ? columns - fixed - 1 : 1;
    if (columns >= min_wide) {
        rest -= attempt;
        const auto tree = std::min<std::size_t>(rest / 2, 40);
        line += fmt::format("#{:<2} {} ", row.attempt,
                            cell(end_of(shown_path(row.worktree), tree), tree));
        rest -= tree;
    }
    const auto& says = row.progress.empty() ? row.command : row.progress;
    return line + cell(row.asks.empty() ? says : row.asks, rest);
}

std::string state_in_table(const std::string& state, const std::string& asks, std::size_t place)
{
    if (!asks.empty()) return "input";
    return place > 0 ? fmt::format("queued {}", place) : state;
}

std::string state_of(const Event& event)
{
    switch (event.type) {
        case EventType::command_detected:
        case EventType::execution_started:
        case EventType::waiting_for_worktree:
            return "waiting";
        case EventType::waiting_for_slot:
            return "queued";
        case EventType::execution_retry:
            return "retry";
        case EventType::starts_paused:
        case EventType::waiting_for_agent:
        case EventType::waiting_for_resume:
            return "paused";
        case EventType::status_updated:
        case EventType::progress_updated:
        case EventType::command_unclaimed:
            return event.status ? std::string(to_string(*event.status)) : std::string();
        default:
            return {};
    }
}

std::string progress_after(const Event& event, std::string progress)
{
    if (event.progress) return text_of(event.progress);
    if (is_wait(event.type) || event.type == EventType::waiting_for_worktree)
        return std::string(detail(event, "reason"));
    return event.type == EventType::execution_started ? std::string() : std::move(progress);
}

bool repeats_wait(const Event& event, std::string& last)
{
    if (!is_wait(event.type)) return false;
    std::string reason(detail(event, "reason"));
    return std::exchange(last, reason) == reason;
}

std::string asks_after(const Event& event, std::string asks)
{
    if (event.type == EventType::input_needed) return sentence_of(event);
    const bool is_start = event.type == EventType::execution_started;
    return event.type == EventType::input_ended || is_start ? std::string() : std::move(asks);
}

bool is_line(Screen::Mode mode, const Event& event)
{
    const bool is_important = event.type == EventType::input_needed;
    return mode == Screen::Mode::lines || (is_important && mode == Screen::Mode::table);
}

std::string text_of(const std::optional<Progress>& progress)
{
    if (!progress) return {};
    if (progress->percentage <= 0) return progress->message;
    return fmt::format("{:.0f} % {}", progress->percentage, progress->message);
}

std::string sentence_of(const Event& event)
{
    switch (event.type) {
        case EventType::execution_started:
            if (event.attempt > 1) return fmt::format("attempt {}", event.attempt);
            return "started: " + event.command;
        case EventType::execution_retry:
            return fmt::format("attempt {} failed: {}", event.attempt, detail(event, "error"));
        case EventType::status_rejected:
            return fmt::format("status file ignored: {}", detail(event, "reason"));
        case EventType::input_needed:
            return event.question ? waiting_sentence(*event.question, event.execution_id)
                                  : std::string();
        case EventType::input_ended:
            return fmt::format("no longer waits for an answer ({})", detail(event, "outcome"));
        case EventType::waiting_for_agent:
        case EventType::waiting_for_resume:
            return fmt::format("paused: {}", detail(event, "reason"));
        case EventType::waiting_for_worktree:
            return fmt::format("waits: {}", detail(event, "reason"));
        case EventType::fallback_chosen:
            return fmt::format("agent {} takes over: {}", detail(event, "fallback"),
                               detail(event, "reason"));
        case EventType::breaker_closed:
            return fmt::format("agent {} works again", detail(event, "agent"));
        case EventType::secret_in_command:
            return "the command text contains a secret; pass a variable instead (--env, env_refs)";
        default:
            return {};
    }
}

std::string after_state(const ExecutionResult& r, const ModelPrices& prices)
{
    auto line = fmt::format(" {} {:>7}  {}", short_id(r.execution_id),
                            text::format_duration(r.duration), shown_path(r.worktree));
    if (r.attempts > 1) line += fmt::format("  (attempt {})", r.attempts);
    if (const auto usage = to_text(protocol::Spending(r.usage, prices)); !usage.empty())
        line += "  " + usage;
    if (r.error) line += "  " + text::printable(r.error->message);
    return line;
}

std::string excerpt_of(const ExecutionResult& result)
{
    const bool has_failed =
        result.status == ExecutionStatus::failed || result.status == ExecutionStatus::timeout;
    if (!has_failed) return {};
    std::string_view rest = result.output;
    std::vector<std::string> lines;  // the last one first
    while (!rest.empty() && lines.size() < max_excerpt) {
        const auto end = rest.find_last_not_of("\r\n");
        if (end == rest.npos) break;
        rest = rest.substr(0, end + 1);
        const auto begin = rest.rfind('\n') + 1;  // npos + 1 is zero
        const auto line = text::printable(rest.substr(begin));
        const auto shown = text::head_columns(line, max_excerpt_columns);
        lines.push_back(fmt::format("  | {}{}\n", shown, shown.size() < line.size() ? "…" : ""));
        rest = rest.substr(0, begin);
    }
    return fmt::format("{}", fmt::join(lines.rbegin(), lines.rend(), ""));
}

}  // namespace autoexec::cli
