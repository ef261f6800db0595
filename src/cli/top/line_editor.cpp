#include "cli/top/line_editor.hpp"

#include "text/columns.hpp"
#include "text/text.hpp"

namespace autoexec::cli {

bool LineEditor::press(const KeyPress& key)
{
    switch (key.key) {
        case Key::character:
        case Key::paste:
            insert(key.text);
            return true;
        case Key::backspace: {
            const auto from = before_cursor();
            text_.erase(from, cursor_ - from);
            cursor_ = from;
            return true;
        }
        case Key::erase:
            text_.erase(cursor_, after_cursor() - cursor_);
            return true;
        case Key::erase_line:
            text_.clear();
            cursor_ = 0;
            return true;
        case Key::left:
            cursor_ = before_cursor();
            return true;
        case Key::right:
            cursor_ = after_cursor();
            return true;
        case Key::home:
            cursor_ = 0;
            return true;
        case Key::end:
            cursor_ = text_.size();
            return true;
        default:
            return false;
    }
}

std::pair<std::string, std::size_t> LineEditor::visible(std::size_t columns) const
{
    auto begin = text::one_line(std::string_view(text_).substr(0, cursor_));
    const auto width = text::columns_of(begin);
    if (columns == 0) return {};
    if (width >= columns) {
        // One more than what does not fit, for the mark.
        const auto hidden = text::head_columns(begin, width - columns + 2);
        begin = "…" + begin.substr(hidden.size());
    }
    const auto column = text::columns_of(begin);
    return {begin + text::one_line(std::string_view(text_).substr(cursor_)), column};
}

void LineEditor::insert(std::string_view text)
{
    if (text_.size() + text.size() > max_bytes) return;
    text_.insert(cursor_, text);
    cursor_ += text.size();
}

std::size_t LineEditor::before_cursor() const noexcept
{
    auto at = cursor_;
    while (at > 0 && (static_cast<unsigned char>(text_[--at]) & 0xC0) == 0x80) {
    }
    return at;
}

std::size_t LineEditor::after_cursor() const noexcept
{
    if (cursor_ == text_.size()) return cursor_;
    return cursor_ + text::decode_utf8(std::string_view(text_).substr(cursor_)).length;
}

}  // namespace autoexec::cli
