#include "cli/session/project.hpp"
#include "cli/top/dashboard.hpp"
#include "text/text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <string_view>
#include <utility>

namespace autoexec::cli {
namespace {

constexpr std::string_view list_keys =
    "q quit  ? help  Enter details  c cancel  a answer  r run again  / search";
constexpr std::string_view details_keys =
    "Esc back  Tab view  c cancel  a answer  r run again  f follow  / n N search";
constexpr std::size_t bottom_rows = 2;  // a message, and the keys
constexpr std::size_t top_rows = 2;
constexpr std::size_t max_attempts = 3;

constexpr auto help_lines = std::to_array<std::string_view>({
    "Up Down j k      move, or scroll the output    PgUp PgDn  by a page",
    "Home g  End G    the first, the last",
    "Enter            details: state, attempts, output",
    "Esc q            back; in the list, q quits",
    "c                cancel (asks first)",
    "a                answer a question, or end a manual step",
    "r R              run an ended command again; R in the session of its agent",
    "/                search, also the output       n N        next, previous",
    "",
    "In the details:",
    "f                follow the output",
    "Left Right       the output of another attempt",
    "Tab              the output only, the details only, or both",
    "",
    "Ctrl-L           draw everything again",
});

std::size_t lines_for(std::size_t rows, std::size_t others)
{
    return rows > others ? rows - others : 1;
}

// The lines of a list, of which few are visible: a title before the rows of each section.
struct ListLine {
    Section section;
    std::size_t count;                 ///< Of the rows of the section.
    std::optional<std::size_t> row{};  ///< Absent: a title.
};

std::vector<ListLine> lines_of(const std::vector<TopRow>& rows)
{
    std::vector<ListLine> lines;
    for (std::size_t i = 0; i < rows.size(); ++i) {
        const auto section = rows[i].section;
        if (i == 0 || rows[i - 1].section != section)
            lines.push_back({section, static_cast<std::size_t>(
                                          std::ranges::count(rows, section, &TopRow::section))});
        lines.push_back({section, 0, i});
    }
    return lines;
}

}  // namespace

Frame Dashboard::draw(const Screen::Size& size, Time now)
{
    if (helps_) return draw_help();
    if (answer_) return answer_->draw(size);
    return opened_ ? draw_details(size, now) : draw_list(size, now);
}

std::string Dashboard::title() const
{
    std::string counts;
    for (const auto section : all_sections) {
        const auto count = std::ranges::count(rows_, section, &TopRow::section);
        if (count > 0) counts += fmt::format("  {} {}", count, text::lower_case(title_of(section)));
    }
    if (counts.empty()) counts = is_known_ ? "  nothing runs" : "  reading the project ...";
    return project_ + counts;
}

Frame Dashboard::draw_list(const Screen::Size& size, Time now)
{
    Frame frame;
    frame.lines.push_back({title(), Style::heading});
    frame.lines.push_back({engine_, Style::faint});
    const auto lines = lines_of(rows_);
    page_ = lines_for(size.rows, top_rows + bottom_rows);
    const auto selected = static_cast<std::size_t>(
        std::ranges::find(lines, std::optional(selected_), &ListLine::row) - lines.begin());
    const bool has_title = selected > 0 && selected < lines.size() && !lines[selected - 1].row;
    list_top_ = std::min(list_top_, selected - (has_title ? 1 : 0));
    if (selected >= list_top_ + page_) list_top_ = selected - page_ + 1;
    list_top_ = std::min(list_top_, lines.size() - std::min(lines.size(), page_));
    for (auto i = list_top_; i < std::min(lines.size(), list_top_ + page_); ++i) {
        const auto& line = lines[i];
        if (!line.row) {
            frame.lines.push_back(
                {fmt::format("{} ({})", title_of(line.section), line.count), Style::heading});
            continue;
        }
        const bool is_selected = *line.row == selected_;
        const auto text =
            line_of(rows_[*line.row], size.columns - std::min<std::size_t>(size.columns, 2), now);
        frame.lines.push_back({(is_selected ? "> " : "  ") + text,
                               is_selected ? Style::selected : style_of(line.section)});
    }
    add_bottom(frame, size);
    return frame;
}

Frame Dashboard::draw_details(const Screen::Size& size, Time now)
{
    Frame frame;
    if (parts_ != Parts::output) frame.lines = details_of(*opened_, now);
    if (parts_ == Parts::details) {
        add_bottom(frame, size);
        return frame;
    }
    const auto room = lines_for(size.rows, bottom_rows + 1);
    frame.lines.resize(std::min(frame.lines.size(), std::max<std::size_t>(room / 2, 1)));
    frame.lines.push_back({log_title(), Style::heading});
    page_ = lines_for(size.rows, frame.lines.size() + bottom_rows);
    log_.set_size(size.columns, page_);
    for (auto& line : log_.visible()) frame.lines.push_back(std::move(line));
    add_bottom(frame, size);
    return frame;
}

std::string Dashboard::log_title() const
{
    if (opened_->kind == TopRow::Kind::run) return "Steps";
    if (log_.is_empty())
        return opened_->ended_at ? "No output was recorded; the command may have run elsewhere"
                                 : "No output yet";
    std::string title = "Output";
    if (attempts_.size() > 1)
        title += fmt::format(" of attempt {} of {}", attempt_.value_or(attempts_.size() - 1) + 1,
                             attempts_.size());
    if (log_.follows()) title += ", followed";
    if (log_.is_cut()) title += "; its beginning: autoexec logs " + short_id(opened_->id);
    return title;
}

std::vector<Line> Dashboard::details_of(const TopRow& row, Time now) const
{
    const bool is_execution = row.kind == TopRow::Kind::execution;
    auto title = fmt::format("{} {}", row.state, is_execution ? short_id(row.id) : row.id);
    if (row.attempt > 0) title += fmt::format(" #{}", row.attempt);
    title += " " + text::format_duration(row.age(now));
    std::vector<Line> lines = {{title, Style::heading}};
    const auto add = [&lines](std::string_view name, std::string_view value, Style style = {}) {
        if (!value.empty()) lines.push_back({fmt::format("{:9} {}", name, value), style});
    };
    add(is_execution ? "Command" : "Name", row.command);
    if (!row.note.empty()) lines.push_back({row.note, style_of(row.section)});
    if (is_execution) {
        add("Exit", row.exit);
        add("Claimed", row.claimed);
        add("Verified", row.verified);
    }
    const auto shown = std::min(attempts_.size(), max_attempts);
    for (auto i = attempts_.size() - shown; attempts_.size() > 1 && i < attempts_.size(); ++i)
        add(fmt::format("#{}", i + 1), attempts_[i].text);
    add("Agent", row.agent);
    if (!row.worktree.empty()) add("Worktree", shown_path(row.worktree));
    return lines;
}

Frame Dashboard::draw_help()
{
    Frame frame;
    frame.lines.push_back({"autoexec top", Style::heading});
    frame.lines.emplace_back();
    for (const auto line : help_lines) frame.lines.push_back({std::string(line)});
    frame.lines.emplace_back();
    frame.lines.push_back({"Any key: back", Style::faint});
    return frame;
}

// The last line is for the keys, the one above for what is asked or has happened.
void Dashboard::add_bottom(Frame& frame, const Screen::Size& size) const
{
    frame.lines.resize(lines_for(size.rows, bottom_rows));
    if (search_) {
        auto [text, column] =
            search_->visible(size.columns - std::min<std::size_t>(size.columns, 1));
        frame.cursor = Frame::Position{frame.lines.size(), column + 1};
        frame.lines.push_back({"/" + text});
    } else if (confirmation_) {
        frame.lines.push_back({confirmation_->sentence, Style::attention});
    } else {
        frame.lines.push_back({message_});
    }
    frame.lines.push_back({std::string(opened_ ? details_keys : list_keys), Style::faint});
}

}  // namespace autoexec::cli
