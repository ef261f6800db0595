#include "cli/top/log_text.hpp"

#include "text/columns.hpp"

#include <algorithm>

namespace autoexec::cli {
namespace {

std::vector<std::string_view> wrap(std::string_view line, std::size_t columns)
{
    std::vector<std::string_view> rows;
    do {
        auto row = text::head_columns(line, columns);
        if (row.empty()) row = line.substr(0, text::head(line, 4).size());  // wider than all
        rows.push_back(row);
        line.remove_prefix(row.size());
    } while (!line.empty());
    return rows;
}

}  // namespace

std::size_t find_text(std::string_view line, std::string_view text)
{
    if (text::lower_case(text) != text) return line.find(text);
    return text::lower_case(line).find(text);
}

void LogText::append(std::string_view bytes)
{
    const auto printable = stream_.feed(bytes);
    std::string_view rest = printable;
    for (auto end = rest.find('\n'); end != rest.npos; end = rest.find('\n')) {
        unfinished_ += rest.substr(0, end);
        add_line(unfinished_);
        unfinished_.clear();
        rest.remove_prefix(end + 1);
    }
    unfinished_ += rest;
    while (unfinished_.size() > max_line) {
        const auto part = text::head(unfinished_, max_line).size();
        add_line(std::string_view(unfinished_).substr(0, part));
        unfinished_.erase(0, part);
    }
    last_ = text::one_line(unfinished_);
    while (bytes_ > max_bytes_) {
        bytes_ -= lines_.front().size() + sizeof(std::string);
        lines_.pop_front();
        ++first_line_;
    }
    if (top_) top_ = std::max(*top_, Place{first_line_, 0});
}

void LogText::add_line(std::string_view printable)
{
    do {
        const auto part = text::head(printable, max_line);
        lines_.push_back(text::one_line(part));
        bytes_ += lines_.back().size() + sizeof(std::string);
        printable.remove_prefix(part.size());
    } while (!printable.empty());
}

void LogText::clear()
{
    const auto columns = columns_;
    const auto rows = rows_;
    *this = LogText(max_bytes_);
    set_size(columns, rows);
}

void LogText::set_size(std::size_t columns, std::size_t rows)
{
    columns_ = std::max<std::size_t>(columns, 1);
    rows_ = std::max<std::size_t>(rows, 1);
    if (top_) top_->row = std::min(top_->row, rows_of(top_->line).size() - 1);
}

std::uint64_t LogText::end_line() const noexcept
{
    return first_line_ + lines_.size() + (last_.empty() ? 0 : 1);
}

const std::string& LogText::line(std::uint64_t number) const
{
    const auto at = static_cast<std::size_t>(number - first_line_);
    return at < lines_.size() ? lines_[at] : last_;
}

std::vector<std::string_view> LogText::rows_of(std::uint64_t number) const
{
    return wrap(line(number), columns_);
}

LogText::Place LogText::moved(Place from, long rows) const
{
    for (; rows > 0; --rows) {
        if (from.row + 1 < rows_of(from.line).size())
            ++from.row;
        else if (from.line + 1 < end_line())
            from = {from.line + 1, 0};
        else
            break;
    }
    for (; rows < 0; ++rows) {
        if (from.row > 0)
            --from.row;
        else if (from.line > first_line_)
            from = {from.line - 1, rows_of(from.line - 1).size() - 1};
        else
            break;
    }
    return from;
}

LogText::Place LogText::last_top() const
{
    if (is_empty()) return {first_line_, 0};
    const auto last = end_line() - 1;
    return moved({last, rows_of(last).size() - 1}, 1 - static_cast<long>(rows_));
}

std::vector<Line> LogText::visible() const
{
    std::vector<Line> shown;
    const auto top = top_.value_or(last_top());
    auto skipped = top.row;
    for (auto number = top.line; number < end_line() && shown.size() < rows_; ++number) {
        for (const auto row : rows_of(number)) {
            if (skipped > 0) {
                --skipped;
                continue;
            }
            if (shown.size() == rows_) break;
            shown.push_back({std::string(row), found_ == number ? Style::found : Style::plain});
        }
    }
    return shown;
}

void LogText::scroll(long rows)
{
    const auto end = last_top();
    const auto top = moved(top_.value_or(end), rows);
    if (top >= end)
        to_end();
    else
        top_ = top;
}

bool LogText::find(std::string_view text, bool to_the_end)
{
    const auto count = end_line() - first_line_;
    const bool was_found = found_ && *found_ >= first_line_;
    const auto begin = (was_found ? *found_ : top_.value_or(last_top()).line) - first_line_;
    // The line that was found last is searched again only if no other has the text.
    const std::uint64_t first_step = was_found ? 1 : 0;
    for (auto step = first_step; step < first_step + count; ++step) {
        const auto number =
            first_line_ + (to_the_end ? begin + step : begin + 2 * count - step) % count;
        const auto at = find_text(line(number), text);
        if (at == std::string_view::npos) continue;
        show(number, at);
        return true;
    }
    return false;
}

// A third of what is visible is before it.
void LogText::show(std::uint64_t number, std::size_t at)
{
    found_ = number;
    Place place{number, 0};
    for (const auto row : rows_of(number)) {
        if (at < row.size()) break;
        at -= row.size();
        ++place.row;
    }
    const auto end = last_top();
    const auto top = moved(place, -static_cast<long>(rows_ / 3));
    if (top < end)
        top_ = top;
    else
        top_ = end;
}

}  // namespace autoexec::cli
